# SPDX-License-Identifier: Apache-2.0
"""The probes on the kernel's paths: what each costs per operation of a load that makes nothing else, beside other tools; what all of them cost
together; and how much slower the loads become."""
import collections
import contextlib
import fnmatch
import statistics
import time

import kernel
import loads
import report
import storms
import tools

FULL_S, QUICK_S = 300, 100  # no new measurement is begun after this
SHARE = 1 / 3  # of the peers' cost: the aim
ALL_SONDE, ALL_PEERS = "sonde, all probes", "the other tools together"

CALLS_BT = """
tracepoint:raw_syscalls:sys_enter { @since[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit /@since[tid]/ {
    @ns[args->id] = hist(nsecs - @since[tid]);
    if (args->ret < 0) { @errors[args->id, args->ret] = count(); }
    delete(@since[tid]);
}
END { clear(@since); }
"""
TCP_BT = """
tracepoint:sock:inet_sock_set_state /args->newstate == 2/ { @since[args->skaddr] = nsecs; }
tracepoint:sock:inet_sock_set_state /args->newstate == 1 && @since[args->skaddr]/ {
    @connect_ns[ntop(args->family, args->daddr), args->dport] = hist(nsecs - @since[args->skaddr]);
}
tracepoint:sock:inet_sock_set_state /args->newstate == 7/ { delete(@since[args->skaddr]); }
tracepoint:tcp:tcp_retransmit_skb { @retransmits[args->dport] = count(); }
END { clear(@since); }
"""
RTT_BT = "tracepoint:tcp:tcp_probe { @srtt_us = hist(args->srtt); }"
BLOCK_BT = """
tracepoint:block:block_rq_issue { @since[args->dev, args->sector] = nsecs; @who[args->dev, args->sector] = comm; }
tracepoint:block:block_rq_complete /@since[args->dev, args->sector]/ {
    @ns[args->dev, @who[args->dev, args->sector]] = hist(nsecs - @since[args->dev, args->sector]);
    delete(@since[args->dev, args->sector]); delete(@who[args->dev, args->sector]);
}
END { clear(@since); clear(@who); }
"""
FAULTS_BT = "software:faults:1 { @[pid, comm] = count(); }"
PROCESSES_BT = """
tracepoint:sched:sched_process_fork { @forks[comm] = count(); }
tracepoint:sched:sched_process_exec { @since[pid] = nsecs; @execs[comm] = count(); }
tracepoint:sched:sched_process_exit /@since[pid]/ { @ns[comm] = hist(nsecs - @since[pid]); delete(@since[pid]); }
END { clear(@since); }
"""
FUTEX_BT = """
tracepoint:syscalls:sys_enter_futex { @since[tid] = nsecs; @at[tid] = args->uaddr; }
tracepoint:syscalls:sys_exit_futex /@since[tid]/ {
    @ns[pid, @at[tid]] = hist(nsecs - @since[tid]); delete(@since[tid]); delete(@at[tid]);
}
END { clear(@since); clear(@at); }
"""

# name, which loads it is measured under, commands
Watcher = collections.namedtuple("Watcher", "name loads commands")


def sonde(command, *loads_of):
    return Watcher(f"sonde {command}", loads_of, (("{sonde}", command, "-q", "-f", "json"),))


def libbpf(name, *loads_of, arguments=()):
    return Watcher(" ".join((name, *arguments)), loads_of, ((name, *arguments),))


def script(name, text, *loads_of):
    return Watcher(f"bpftrace {name}", loads_of, ((*tools.BPFTRACE, text),))


# What is left out of `together` is another tool's answer to the same question, or cannot run everywhere.
TOGETHER = (("syscount", "-L"), ("tcplife",), ("tcpstates",), ("biolatency", "-Q"), ("biosnoop",), ("execsnoop",), ("exitsnoop",), ("drsnoop",),
            (*tools.BPFTRACE, RTT_BT), (*tools.BPFTRACE, FAULTS_BT), (*tools.BPFTRACE, FUTEX_BT))
WATCHERS = (
    sonde("syscalls", "calls"), libbpf("syscount", "calls", arguments=("-L",)), script("syscalls", CALLS_BT, "calls"),
    sonde("tcp", "connections", "bytes"), libbpf("tcplife", "connections", "bytes"), libbpf("tcpstates", "connections"),
    libbpf("tcpconnect", "connections"), libbpf("tcprtt", "connections", "bytes"), script("connections", TCP_BT, "connections"),
    script("tcp_probe", RTT_BT, "connections", "bytes"),
    sonde("block", "requests"), libbpf("biolatency", "requests"), libbpf("biosnoop", "requests"), script("requests", BLOCK_BT, "requests"),
    sonde("memory", "faults"), script("faults", FAULTS_BT, "faults"),
    sonde("processes", "processes"), libbpf("execsnoop", "processes"), libbpf("exitsnoop", "processes"),
    script("processes", PROCESSES_BT, "processes"),
    sonde("locks", "waits"), libbpf("klockstat", "waits"), script("futex", FUTEX_BT, "waits"),
)


class Found:
    """What was measured of one watcher under one load, a value for each round."""

    def __init__(self):
        self.ns, self.runs, self.walls, self.cpus = [], [], [], []


class Bench:
    def __init__(self, options, places):
        self.options, self.places = options, places
        self.deadline = time.monotonic() + (QUICK_S if options.quick else FULL_S)
        self.share = 0.25 if options.quick else 1
        self.found, self.notes, self.links, self.starts = collections.defaultdict(Found), {}, {}, {}
        self.loads = {}

    def late(self):
        return time.monotonic() > self.deadline

    def under(self, watcher, load, running):
        """The load bare was just before; now without and with statistics."""
        found = self.found[watcher.name, load.name]
        free = load.run(self.share)
        with kernel.Statistics():
            before = running.counters()
            counted = load.run(self.share)
            after = running.counters()
        spent = [(ns - before.get(number, (name, 0, 0))[1], runs - before.get(number, (name, 0, 0))[2]) for number, (name, ns, runs) in after.items()]
        found.ns.append(sum(ns for ns, _ in spent) / counted.count)
        found.runs.append(sum(runs for _, runs in spent) / counted.count)
        return free

    def watch(self, watcher):
        """One watcher under each of its loads, each beside the bare load just before its start."""
        chosen = [self.loads[name] for name in watcher.loads if name in self.loads]
        bare = {load.name: load.run(self.share) for load in chosen}
        with tools.Running(watcher, self.places, self.links.get(watcher.name)) as running:
            self.links[watcher.name] = running.links
            start = self.starts.setdefault(watcher.name, ([], []))
            start[0].append(running.attached_ns)
            start[1].append(running.map_bytes())
            for load in chosen:
                free = self.under(watcher, load, running)
                found = self.found[watcher.name, load.name]
                found.walls.append(free.wall_s / free.count / (bare[load.name].wall_s / bare[load.name].count))
                found.cpus.append(free.cpu_s / free.count / (bare[load.name].cpu_s / bare[load.name].count))
            running.end()

    def guarded(self, watcher):
        """One that cannot run does not stop the others."""
        if watcher.name in self.notes or self.late() or not any(fnmatch.fnmatch(watcher.name, glob) for glob in self.options.only):
            return
        self.options.progress(f"probes: {watcher.name}")
        problem = tools.missing(watcher, self.places)
        try:
            if problem:
                raise tools.ToolError(problem)
            self.watch(watcher)
        except tools.ToolError as error:
            self.notes[watcher.name] = str(error)

    def together(self):
        """The other tools of which all could be started here."""
        commands, names = [], []
        for command in TOGETHER:
            watcher = Watcher(" ".join(command[:1]), (), (command,))
            try:
                problem = tools.missing(watcher, self.places)
                if problem:
                    raise tools.ToolError(problem)
                with tools.Running(watcher, self.places, 1) as running:
                    running.end()
            except tools.ToolError:
                continue
            commands.append(command)
            names.append(command[0])
        return Watcher(ALL_PEERS, tuple(self.loads), tuple(commands)), names

    def run(self):
        with contextlib.ExitStack() as stack:
            for load in storms.every():
                problem = load.missing()
                try:
                    if problem:
                        raise loads.LoadError(problem)
                    self.loads[load.name] = stack.enter_context(load)
                except loads.LoadError as error:
                    self.notes[f"load {load.name}"] = str(error)
            everybody, self.peers = self.together()
            all_sonde = Watcher(ALL_SONDE, tuple(self.loads), (("{sonde}", "all", "-q", "-f", "json"),))
            for number in range(self.options.rounds):
                for watcher in (all_sonde, everybody, *WATCHERS):
                    self.guarded(watcher)
                if self.late():
                    break


def why_not(error):
    """libbpf says much when a program cannot be loaded or attached."""
    for sign, words in (("kprobe", "needs kprobes"), ("fentry", "needs fentry"), ("BPF skeleton", "this kernel does not load it")):
        if sign in error:
            return f"cannot run here: {words}"
    return error[-120:]


def cost(bench):
    rows = []
    for watcher in WATCHERS:
        for name in watcher.loads:
            found = bench.found.get((watcher.name, name))
            if found and found.ns:
                rows.append([watcher.name, name, report.median_best(found.ns, 1, 0), report.median(found.runs, 1, 1),
                             percent(found.walls), percent(found.cpus)])
    return rows


def percent(ratios):
    return f"{100 * (statistics.median(ratios) - 1):+.0f}" if ratios else "-"


def all_together(bench):
    rows, sums = [], [0, 0]
    for load in bench.loads.values():
        ours, theirs = bench.found.get((ALL_SONDE, load.name)), bench.found.get((ALL_PEERS, load.name))
        if not (ours and theirs and ours.ns and theirs.ns):
            continue
        one, other = statistics.median(ours.ns), statistics.median(theirs.ns)
        sums[0] += one * load.count
        sums[1] += other * load.count
        rows.append([load.name, load.unit, f"{one:,.0f}", f"{other:,.0f}", f"{one / other:.2f}" if other else "-", f"{SHARE:.2f}",
                     percent(ours.walls), percent(theirs.walls)])
    if sums[1]:
        over = " over" if sums[0] > SHARE * sums[1] else ""
        rows.append(["all", "ms of the run", f"{sums[0] / 1e6:,.0f}", f"{sums[1] / 1e6:,.0f}", f"{sums[0] / sums[1]:.2f}", f"{SHARE:.2f}{over}", "", ""])
    return rows


def starts(bench):
    names = [ALL_SONDE, ALL_PEERS, *(watcher.name for watcher in WATCHERS)]
    return [[name, report.median_best(bench.starts[name][0], 1e6), report.median(bench.starts[name][1], 1e6, 1), str(bench.links[name])]
            for name in names if name in bench.starts]


EXPLAIN_COST = ("Run time of all BPF programs of a tool (the kernel's statistics) for each operation of a load that makes nothing else; runs of its programs "
                "for each; and the load's own time and CPU time with the tool against without, statistics off. Median over the rounds (best round).")
EXPLAIN_ALL = ("All of sonde's probes in one process against the other tools, each in its own, attached at the same time: BPF run time for each "
               "operation, and how much slower the load becomes. The last line weighs the loads by how much of them a round has.")
EXPLAIN_START = "From exec until all links are there, median (best); what the kernel accounts to the maps."


def section(options, places):
    bench = Bench(options, places)
    bench.run()
    notes = [f"{name}: {why_not(reason)}" for name, reason in bench.notes.items()]
    if hasattr(bench, "peers"):
        notes.insert(0, f"The other tools: {', '.join(bench.peers)} (bpftrace: tcp_probe, faults, futex).")
    counts = [len(found.ns) for found in bench.found.values()]
    notes.append(f"Rounds: {min(counts)} to {max(counts)}" if counts else "Nothing was measured")
    return [(EXPLAIN_COST, ["tool", "load", "ns per operation", "runs", "time %", "CPU time %"], cost(bench)),
            (EXPLAIN_ALL, ["load", "unit", "sonde, ns", "other tools, ns", "ratio", "aim", "sonde: time %", "other tools: time %"], all_together(bench)),
            (EXPLAIN_START, ["tool", "attached, ms", "maps, MB", "links"], starts(bench))], notes
