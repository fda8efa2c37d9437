# SPDX-License-Identifier: Apache-2.0
"""The tools that are compared, and how one of them is started, awaited and ended.

A tool is one row: what it answers, its commands (several run at the same time), and the same with an end
after one second. {sonde} and {here} are replaced.
"""
import collections
import ctypes
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

import kernel

PR_SET_PDEATHSIG = 1
ATTACH_LIMIT_S = 30
END_LIMIT_S = 20
ITERATORS = ("sweep", "visit")
SETTLE_S = 0.8  # no further link for so long: all are there

RUNQ_BT = """
tracepoint:sched:sched_wakeup, tracepoint:sched:sched_wakeup_new { @since[args->pid] = nsecs; }
tracepoint:sched:sched_switch {
    if (args->prev_state == 0) { @since[args->prev_pid] = nsecs; }
    $since = @since[args->next_pid];
    if ($since) { @us = hist((nsecs - $since) / 1000); delete(@since[args->next_pid]); }
}
END { clear(@since); }
"""
OFFCPU_BT = """
tracepoint:sched:sched_switch {
    if (args->prev_pid) {
        @since[args->prev_pid] = nsecs; @kernel[args->prev_pid] = kstack; @user[args->prev_pid] = ustack;
    }
    $next = args->next_pid;
    $since = @since[$next];
    if ($since) {
        @ns[@kernel[$next], @user[$next], args->next_comm] = sum(nsecs - $since);
        delete(@since[$next]); delete(@kernel[$next]); delete(@user[$next]);
    }
}
END { clear(@since); clear(@kernel); clear(@user); }
"""
BPFTRACE = ("bpftrace", "-q", "-e")
ONE_SECOND_BT = "interval:s:1 { exit(); }"


def sonde(*arguments):
    command = ("{sonde}", *arguments)
    return {"commands": (command,), "once": (*command, "-d", "1s")}


def libbpf(name, *once):
    return {"commands": ((name,),), "once": (name, *once)}


def bpftrace(script):
    return {"commands": ((*BPFTRACE, script),), "once": (*BPFTRACE, script + ONE_SECOND_BT)}


def together(*commands):
    return {"commands": commands, "once": None}


# name, the question, commands, the command that ends after 1 s; aim: ns per switch by workload
Tool = collections.namedtuple("Tool", "name question commands once aims", defaults=({},))
ACCOUNTING = {"pipe": 250, "messaging": 800}
STACKS = {"pipe": 1600, "messaging": 3300}
SAMPLED = {"pipe": 400, "messaging": 1000}
TOOLS = (
    Tool("empty program", "floor", (("{here}/floor",),), None),
    Tool("sonde runq", "run queue", **sonde("runq"), aims=ACCOUNTING),
    Tool("runqlat", "run queue", **libbpf("runqlat", "1", "1")),
    Tool("bpftrace runqlat", "run queue", **bpftrace(RUNQ_BT)),
    Tool("sonde wall", "states of time", **sonde("wall", "-f", "table"), aims=ACCOUNTING),
    Tool("cpudist", "on-CPU time", **libbpf("cpudist", "1", "1")),
    Tool("sonde offcpu", "off-CPU stacks", **sonde("offcpu"), aims=STACKS),
    Tool("sonde offcpu --unwind fp", "off-CPU stacks", **sonde("offcpu", "--unwind", "fp")),
    Tool("sonde offcpu --sample", "off-CPU stacks", **sonde("offcpu", "--sample"), aims=SAMPLED),
    Tool("offcputime", "off-CPU stacks", **libbpf("offcputime", "1")),
    Tool("bpftrace offcputime", "off-CPU stacks", **bpftrace(OFFCPU_BT)),
    Tool("sonde wall --svg", "all three", **sonde("wall", "--svg"), aims=STACKS),
    Tool("runqlat cpudist offcputime", "all three", **together(("runqlat",), ("cpudist",), ("offcputime",))),
    Tool("bpftrace, both", "two of three",
         **together((*BPFTRACE, RUNQ_BT), (*BPFTRACE, OFFCPU_BT))),
)


def missing(tool, places):
    """Why the tool cannot be run here, or None."""
    for command in tool.commands:
        program = command[0].format(**places) if "{" in command[0] else command[0]
        if not shutil.which(program):
            return f"{program} is not installed: tools/setup bench"
        if program == "bpftrace" and not kernel.have_tracefs():
            return f"no tracefs at {kernel.TRACEFS}"
    return None


class ToolError(Exception):
    pass


class Process:
    """One command, from its exec on. It ends with us, however we end."""

    def __init__(self, argv, places, stdout=None):
        # bpftrace's scripts have braces of their own
        self.argv = [each.format(**places) if each.startswith("{") else each for each in argv]
        self.stderr = tempfile.TemporaryFile()
        reader, writer = os.pipe()
        self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stderr=self.stderr,
                                      stdout=stdout or subprocess.DEVNULL, start_new_session=True,
                                      preexec_fn=lambda: self.before_exec(writer))
        os.close(writer)
        self.exec_ns = int(os.read(reader, 32))
        os.close(reader)
        self.ours = argv[0] == "{sonde}"
        self.seen = False  # attached, sonde to all that it wants
        self.peak = 0

    @staticmethod
    def before_exec(writer):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.write(writer, str(time.monotonic_ns()).encode())

    def words(self):
        """The end of what it said on stderr, in one line."""
        self.stderr.seek(0)
        return " ".join(self.stderr.read().decode(errors="replace").split())[-200:]

    def attached(self):
        """How many links and perf events it holds."""
        try:
            count = kernel.attached_count(self.popen.pid)
        except (FileNotFoundError, ProcessLookupError):
            count = 0
        if count == 0 and self.popen.poll() is not None:
            raise ToolError(f"{self.argv[0]} ended with {self.popen.returncode}: {self.words()}")
        self.seen = self.seen or count > 0 and (not self.ours or kernel.has_timers(self.popen.pid))
        return count

    def end(self):
        """Ctrl-C, and memory is watched to the end: naming stacks may need most of it."""
        deadline = time.monotonic() + END_LIMIT_S
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        while self.popen.poll() is None and time.monotonic() < deadline:
            self.peak = max(self.peak, kernel.peak_bytes(self.popen.pid) or 0)
            time.sleep(0.001)
        self.kill()
        if self.popen.returncode not in (0, 128 + signal.SIGINT, -signal.SIGINT):
            raise ToolError(f"{self.argv[0]} ended with {self.popen.returncode} after Ctrl-C: {self.words()}")

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


class Running:
    """A tool, all of whose commands are attached. Use as a context."""

    def __init__(self, tool, places, expected):
        """expected: the number of links, None if not yet known."""
        self.processes = []
        try:
            for command in tool.commands:
                self.processes.append(Process(command, places))
            self.links, self.attached_ns = self.wait_attached(expected)
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.kill()

    def kill(self):
        for process in self.processes:
            process.kill()

    def wait_attached(self, expected):
        """(Links and perf events, ns from exec until the last came); expected None: until no more come. sonde says itself when it is there:
        some links it only tries."""
        count, since, begun = 0, 0, self.processes[0].exec_ns
        while True:
            now_count, now = sum(process.attached() for process in self.processes), time.monotonic_ns()
            if now_count > count:
                count, since = now_count, now
            seen = all(process.seen for process in self.processes)
            settled = now - since > SETTLE_S * 1e9 if expected is None else now_count >= expected
            if seen and (settled or all(process.ours for process in self.processes)):
                return now_count, since - begun
            if now - begun > ATTACH_LIMIT_S * 1e9:
                words = " ".join(process.words() for process in self.processes)
                raise ToolError(f"not attached within {ATTACH_LIMIT_S} s: {words}")
            time.sleep(0.0005)

    def ids(self):
        """The ids of its programs and of its maps."""
        for process in self.processes:
            if process.popen.poll() is not None:
                raise ToolError(f"ended with {process.popen.returncode} while measured: {process.words()}")
        found = [kernel.ids_of(process.popen.pid) for process in self.processes]
        return set().union(*(programs for programs, _ in found)), set().union(*(maps for _, maps in found))

    def counters(self):
        """{program id: (name, run time ns, runs)} of this tool's programs, but for iterators: they run in its own time, and the kernel
        counts the time in which they are preempted."""
        programs, _ = self.ids()
        return {number: (row["name"], row.get("run_time_ns", 0), row.get("run_cnt", 0))
                for number, row in kernel.bpftool("prog").items()
                if number in programs and not row["name"].startswith(ITERATORS)}

    def map_bytes(self):
        programs, maps = self.ids()
        return kernel.map_bytes(maps, programs)

    def end(self):
        """Ends it properly; returns the peak memory of its processes."""
        for process in self.processes:
            process.end()
        return sum(process.peak for process in self.processes)


def first_data_ns(tool, places):
    """From exec to the first output of a run that measures for one second, without that second."""
    reader, writer = os.pipe()
    process = Process(tool.once, places, stdout=writer)
    os.close(writer)
    second = 10**9
    try:
        while True:
            if not select.select([reader], [], [], ATTACH_LIMIT_S)[0]:
                raise ToolError(f"{tool.name} printed nothing within {ATTACH_LIMIT_S} s")
            data, elapsed = os.read(reader, 1 << 16), time.monotonic_ns() - process.exec_ns
            if not data:
                raise ToolError(f"{tool.name} printed no data: {process.words()}")
            if elapsed >= second:
                return elapsed - second
    finally:
        os.close(reader)
        process.kill()
