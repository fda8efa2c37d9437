# SPDX-License-Identifier: Apache-2.0
"""What sonde says that it costs, beside what the kernel counts: run time of its programs, and the CPU time of its processes."""
import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time

import kernel
import loads
import report
import storms
import tools

ITERATORS = (*tools.ITERATORS, "on_socket", "on_file")  # run in sonde's own time
CASES = (("syscalls", "calls"), ("tcp", "connections"), ("block", "requests"), ("memory", "faults"), ("processes", "processes"),
         ("locks", "waits"), ("all", "calls"), ("all", "waits"))
LOOK_S = 0.02
AIM = 20  # percent
EXPLAIN = ("The `own cost` of sonde, of all CPUs together, beside the sum of its programs' run time (statistics on all the time) and of its processes' CPU "
           "time in the same intervals of half a second.")


class Watch:
    """What the kernel has counted of a sonde, by time."""

    def __init__(self, pid):
        names = kernel.bpftool("prog")
        self.pids, self.programs, self.seen = loads.descendants(pid), {}, []
        directory = f"/proc/{pid}/fdinfo"
        for fd in os.listdir(directory):
            number = self.field(f"{directory}/{fd}", "prog_id")
            if number and self.field(f"{directory}/{fd}", "run_cnt") is not None:
                if not names.get(number, {"name": ""})["name"].startswith(ITERATORS):
                    self.programs[number] = f"{directory}/{fd}"

    @staticmethod
    def field(path, name):
        with contextlib.suppress(OSError), open(path) as file:
            for line in file:
                key, _, value = line.partition(":")
                if key == name:
                    return int(value)
        return None

    def look(self):
        now = time.monotonic_ns()
        ns = sum(self.field(path, "run_time_ns") or 0 for path in self.programs.values())
        for pid in self.pids:
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                        ns += int(file.read().split()[0])
        self.seen.append((now, ns))

    def spent(self, begin, end):
        """ns between two times; None: not looked at."""
        found = [self.at(when) for when in (begin, end)]
        return None if None in found else found[1] - found[0]

    def at(self, when):
        # the last looks are left out: the process was ending
        for (early, less), (late, more) in zip(self.seen[:-2], self.seen[1:-2]):
            if early <= when <= late:
                return less + (more - less) * (when - early) / (late - early)
        return None


@contextlib.contextmanager
def going_on(load):
    """The load, again and again."""
    over = threading.Event()

    def repeat():
        while not over.is_set():
            load.run(0.5)

    with load:
        thread = threading.Thread(target=repeat)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def watched(command, places, seconds, output):
    with kernel.Statistics():
        process = tools.Process(("{sonde}", command, "-q", "-f", "json", "-o", output, "-d", f"{seconds}s", "-i", "500ms"), places)
        try:
            deadline = time.monotonic() + tools.ATTACH_LIMIT_S
            while not kernel.has_timers(process.popen.pid) and time.monotonic() < deadline:
                time.sleep(LOOK_S)
            watch = Watch(process.popen.pid)
            while process.popen.poll() is None:
                watch.look()
                time.sleep(LOOK_S)
        finally:
            process.kill()
    if process.popen.returncode:
        raise tools.ToolError(f"sonde {command} ended with {process.popen.returncode}: {process.words()}")
    return watch


def compare(command, places, seconds):
    """(CPU ns that it says, that the kernel says, ns of all CPUs, how many intervals)"""
    said = counted = elapsed = count = 0
    with tempfile.TemporaryDirectory() as directory:
        watch = watched(command, places, seconds, f"{directory}/out.json")
        with open(f"{directory}/out.json") as file:
            intervals = [json.loads(line) for line in file if line.startswith('{"type":"interval"')]
    for each in intervals:
        spent, length = watch.spent(each["start_ns"], each["end_ns"]), (each["end_ns"] - each["start_ns"]) * os.cpu_count()
        if spent is not None and each["own_cost"] is not None:
            said, counted, elapsed, count = said + each["own_cost"] * length, counted + spent, elapsed + length, count + 1
    if not count:
        raise tools.ToolError(f"sonde {command}: no interval has an own cost")
    return said, counted, elapsed, count


def section(options, places):
    rows, notes, every = [], [], {load.name: load for load in storms.every()}
    for command, name in CASES:
        problem = every[name].missing()
        if problem:
            notes.append(f"{name}: {problem}")
            continue
        options.progress(f"own: {command}")
        try:
            with going_on(every[name]):
                said, counted, elapsed, count = compare(command, places, 2 if options.quick else 4)
        except (loads.LoadError, tools.ToolError, subprocess.SubprocessError) as error:
            notes.append(f"{command}: {error}")
            continue
        off = 100 * (said / counted - 1)
        rows.append([f"sonde {command}", name, f"{100 * said / elapsed:.2f}", f"{100 * counted / elapsed:.2f}", f"{off:+.0f}",
                     report.limit(abs(off), AIM), str(count)])
    return [(EXPLAIN, ["tool", "load", "says, %", "kernel, %", "off by, %", "aim", "intervals"], rows)], notes
