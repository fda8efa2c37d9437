# SPDX-License-Identifier: Apache-2.0
"""What the program costs that counts a function's calls by stack, for each call: without the trap that leads to it."""
import os
import statistics
import time

import kernel
import loads
import tools

COUNT = "1000000000"  # never reached
SETTLE_S = 1.5  # tables are asked for by the first calls
EXPLAIN = ("The BPF program at a uprobe, run time for each call: stacks of 6 frames in three threads and of 18 in one. The trap before it costs "
           "every tool the same. Median over the rounds.")
HEAD = ["tool", "stacks", "us per call", "calls/s"]


class Calls(loads.Load):
    def begin(self):
        self.program = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../build/workloads/unwind/calls"))
        if not os.path.exists(self.program):
            raise loads.LoadError("build/workloads/unwind/calls is not built")
        self.start(self.program, "--now", COUNT, "0")


def commands(program, pid):
    sonde = ("{sonde}", "profile", "-q", "-f", "json", "-e", f"uprobe:{program}:called", "-p", str(pid))
    return (("sonde profile -e", "whole", sonde),
            ("sonde profile -e --unwind fp", "frame pointers", (*sonde, "--unwind", "fp")),
            ("bpftrace, @[ustack]", "frame pointers", ("bpftrace", "-e", f"uprobe:{program}:called {{ @[ustack] = count(); }}")))


def ran(process):
    """(ns, runs) of all programs that the tool holds."""
    held, _ = kernel.ids_of(process.popen.pid)
    rows = [row for number, row in kernel.bpftool("prog").items() if number in held]
    return sum(row.get("run_time_ns", 0) for row in rows), max(row.get("run_cnt", 0) for row in rows)


def measure(places, command, seconds):
    process = tools.Process(command, places)
    try:
        deadline = time.monotonic() + tools.ATTACH_LIMIT_S
        while not process.attached() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(SETTLE_S)
        with kernel.Statistics():
            before = ran(process)
            time.sleep(seconds)
            after = ran(process)
        process.end()
    finally:
        process.kill()
    runs = after[1] - before[1]
    if runs < 1000:
        raise tools.ToolError(f"only {runs} calls")
    return (after[0] - before[0]) / runs / 1000, runs / seconds


def section(options, places):
    table, notes = [], []
    seconds = 1 if options.quick else 3
    with Calls(("calls",)) as load:
        for name, stacks, command in commands(load.program, load.pids()[0]):
            options.progress(f"calls: {name}")
            try:
                found = [measure(places, command, seconds) for _ in range(1 if options.quick else min(3, options.rounds))]
            except (FileNotFoundError, tools.ToolError) as error:
                notes.append(f"{name}: {error}")
                continue
            us, per_s = (statistics.median(values) for values in zip(*found))
            table.append([name, stacks, f"{us:.2f}", f"{per_s:,.0f}"])
    return [(EXPLAIN, HEAD, table)], notes
