# SPDX-License-Identifier: Apache-2.0
"""What unwind tables and names cost in time and memory, and how long the start takes."""
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time

import kernel
import loads
import report
import tools

TABLE_LINE = re.compile(r"(?P<path>\S+): index (?P<index>[\d.]+) ms, index and all chunks (?P<all>[\d.]+) ms, "
                        r"\+(?P<peak>\d+) KiB peak, (?P<rows>\d+) rows, \d+ bytes, (?P<row>[\d.]+) bytes a row")
ROW_AIM, LARGEST, BUILD_AIM_MS = 2.8, "libLLVM", 150
PSS_AIM, MAPS_AIM, START_AIM_MS = 48e6, 32e6, 150
PROCESSES = 200


def tables(options, places):
    """Of files that many systems run: how long the table takes, what it takes while built and when done."""
    command = [f"{places['here']}/../../tests/oracle/run", "--bench"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = [match for match in map(TABLE_LINE.match, done.stdout.splitlines()) if match]
    rows = []
    for each in found:
        name, row, ms = os.path.basename(each["path"]), float(each["row"]), float(each["all"])
        rows.append([name, each["rows"], f"{row:.2f}", report.limit(row, ROW_AIM), f"{float(each['index']):.1f}",
                     f"{ms:.1f}", report.limit(ms, BUILD_AIM_MS if LARGEST in name else None),
                     f"{int(each['peak']) * 1024 / 1e6:.1f}"])
    notes = [] if found else ["tables: build/oracle/unwind printed nothing: run make oracles first"]
    explain = ("Unwind tables of whole files, built by the code of the helper in a process of its own; best of five. "
               "sonde builds only the chunks that samples ask for. Peak: what building adds to the process.")
    head = ["file", "rows", "bytes per row", "aim", "index, ms", "index and all chunks, ms", "aim", "peak memory, MB"]
    return [(explain, head, rows)], notes


# --- names


def cpu_s(pid):
    """CPU time of a process and of all below it until now."""
    total = 0
    for each in loads.descendants(pid):
        for thread in os.listdir(f"/proc/{each}/task"):
            with open(f"/proc/{each}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def reaped(popen):
    """CPU seconds of a process that has ended or does so now, with all that it has reaped."""
    _, status, usage = os.wait4(popen.pid, 0)
    popen.returncode = os.waitstatus_to_exitcode(status)
    if popen.returncode not in (0, 128 + signal.SIGINT, -signal.SIGINT):
        raise tools.ToolError(f"{popen.args[0]} ended with {popen.returncode}")
    return usage.ru_utime + usage.ru_stime


def sonde_names(places, pid, seconds):
    """(CPU seconds from the end of the measurement to the end of the program, those before)"""
    with tempfile.TemporaryFile() as output:
        command = ("{sonde}", "profile", "-q", "-f", "folded", "-p", str(pid))
        process = tools.Process(command, places, stdout=output)
        try:
            time.sleep(seconds)
            before = cpu_s(process.popen.pid)
            process.popen.send_signal(signal.SIGINT)
            return reaped(process.popen) - before, before
        finally:
            process.kill()


def perf_names(pid, seconds):
    with tempfile.NamedTemporaryFile() as data:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        record = ["perf", "record", "-q", "-F", "99", "-g", "-p", str(pid), "-o", data.name]
        recording = reaped(subprocess.Popen([*record, "--", "sleep", str(seconds)], **quiet))
        return reaped(subprocess.Popen(["perf", "script", "-f", "-i", data.name], **quiet)), recording


def names(options, places):
    """Naming a profile of node, whose program has many symbols and whose own code has a perf map."""
    seconds = 4 if options.quick else 10 if options.rounds < 3 else 30
    with loads.Node(("node",)) as node:
        pid = node.pids()[0]
        options.progress("symbols: sonde")
        ours = sonde_names(places, pid, seconds)
        options.progress("symbols: perf")
        theirs = perf_names(pid, seconds)
    explain = (f"CPU seconds of all processes of the tool for a profile of node --perf-basic-prof over {seconds} s "
               "at 99 Hz: from the end of the measurement until all is printed with names; and until then. "
               "sonde's contain its start; its unwind tables are built before the end.")
    rows = [["sonde profile --folded", f"{ours[0]:.3f}", report.limit(ours[0], theirs[0], "{:.3f}"), f"{ours[1]:.3f}"],
            ["perf record -g, perf script", f"{theirs[0]:.3f}", "-", f"{theirs[1]:.3f}"]]
    return [(explain, ["tool", "names, CPU s", "aim", "before, CPU s"], rows)], []


# --- memory


def pss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


def memory_of(arguments, places, many, seconds):
    """Highest (Pss of main, of helpers, of all, bytes of maps) that was seen."""
    command = ("{sonde}", *arguments)
    process = tools.Process(command, places)
    most = [0, 0, 0, 0]
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            many.pump(0.5)
            pids = loads.descendants(process.popen.pid)
            sizes = [pss_bytes(pid) for pid in pids]
            maps = kernel.map_bytes(*reversed(kernel.ids_of(process.popen.pid)))
            most = list(map(max, most, (sizes[0], sum(sizes[1:]), sum(sizes), maps)))
        process.end()
        return most
    finally:
        process.kill()


def memory(options, places):
    """While profiling many processes of many programs."""
    rows, seconds = [], 5 if options.quick else 12
    with loads.Many(PROCESSES) as many:
        for arguments in (("profile",), ("profile", "--unwind", "fp"), ("offcpu",), ("wall", "--svg")):
            name = " ".join(arguments)
            options.progress(f"memory: {name}")
            own, helpers, together, maps = memory_of(arguments, places, many, seconds)
            rows.append([f"sonde {name}", f"{own / 1e6:.1f}", f"{helpers / 1e6:.1f}", f"{together / 1e6:.1f}",
                         report.limit(together, PSS_AIM, scale=1e6), f"{maps / 1e6:.1f}",
                         report.limit(maps, MAPS_AIM, scale=1e6)])
    explain = (f"While {PROCESSES} processes of {many.kinds} programs run: highest Pss of sonde and of its helper in "
               f"{seconds} s, seen twice a second; maps: what the kernel accounts to all BPF maps of sonde, "
               "those of unwind tables included.")
    head = ["tool", "Pss of sonde, MB", "Pss of its helper, MB", "together, MB", "aim", "maps, MB", "aim"]
    return [(explain, head, rows)], []


# --- start

STARTS = ("profile", "offcpu", "wall", "wall --svg")


def start_of(words, places, expected):
    """(Links, ns from exec to attached, CPU seconds by then, instructions that the verifier went through)"""
    tool = tools.Tool(words, "", (("{sonde}", *words.split()),), None)
    with tools.Running(tool, places, expected) as running:
        pid = running.processes[0].popen.pid
        found = running.links, running.attached_ns, cpu_s(pid), kernel.verified(pid)
        running.end()
        return found


def start(options, places):
    """Round after round, tool by tool: what disturbs one disturbs all."""
    names = [f"{each}{how}" for each in STARTS for how in ("", " --unwind fp")]
    expected, found = {}, {name: [] for name in names}
    for name in names:
        options.progress(f"start: {name}")
        expected[name] = start_of(name, places, None)[0]
    for _ in range(3 if options.quick else 9):
        for name in names:
            found[name].append(start_of(name, places, expected[name])[1:])
    rows = []
    for name in names:
        ns, cpu, verified = zip(*found[name])
        ms = statistics.median(ns) / 1e6
        rows.append([f"sonde {name}", report.median_best(ns, 1e6), report.limit(ms, START_AIM_MS, "{:.0f}"),
                     f"{1000 * statistics.median(cpu):.0f}", f"{statistics.median(verified) / 1000:.0f}"])
    explain = ("From exec until all links are there; CPU time of sonde and its helper by then, which is what remains "
               "meaningful when the machine has other work; thousands of instructions that the kernel's verifier went "
               "through. Median (best).")
    return [(explain, ["tool", "attached, ms", "aim", "CPU ms", "verified, 1000s"], rows)], []
