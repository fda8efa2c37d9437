# SPDX-License-Identifier: Apache-2.0
"""What a sample costs, by unwind tables and by the kernel's walk along frame pointers.

A program's run time is that of all its runs; most of those are of other threads than the target's and end early.
What such a run costs is measured with a target that never runs, and subtracted.
"""
import collections
import json
import statistics
import subprocess
import tempfile
import time

import kernel
import loads
import report
import tools

HOT_HZ, COLD_HZ = 997, 99
SETTLE_S = 1.5  # tables are asked for by the first samples
TABLES, FRAME_POINTERS, KERNEL_ONLY = (), ("--unwind", "fp"), ("--kernel-stacks-only",)
# us per sample: half of what the fastest other profiler takes, as measured on 6.18
COLD_AIMS = {"xz": 11.1, "python": 17.3, "redis": 17.7, "pgbench": 19.7}
HOT_AIMS = {"pgbench": 5.0}
FRAME_AIM_NS = 40

Sample = collections.namedtuple("Sample", "ns frames complete")  # frames: of the user part


def rows_of(output):
    output.seek(0)
    return [json.loads(line) for line in output.read().splitlines()]


def account(rows):
    """{reason: count} of the CPU samples."""
    found = collections.Counter()
    for row in rows:
        if row["type"] == "loss":
            found.update({each["reason"]: each["count"] for each in row["rows"] if each["part"] == "cpu"})
    return found


def user_frames(rows):
    """(Mean user frames of those samples that have any, share of complete ones)"""
    frames = samples = whole = 0
    for row in rows:
        if row["type"] != "stack":
            continue
        depth = sum(frame["kind"] != "kernel" for frame in row["frames"])
        if depth:
            frames += depth * row["value"]
            samples += row["value"]
            whole += 0 if "incomplete" in row else row["value"]
    return (frames / samples, whole / samples) if samples else (0, 0)


def run(places, hertz, how, pids, seconds):
    """(ns and runs of the program while it was watched, what it printed)"""
    with tempfile.TemporaryFile() as output:
        command = ("{sonde}", "profile", "-q", "-f", "json", "-F", str(hertz), *how,
                   "-p", ",".join(map(str, pids)))
        process = tools.Process(command, places, stdout=output)
        try:
            deadline = time.monotonic() + tools.ATTACH_LIMIT_S
            while not process.attached() and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(SETTLE_S)
            programs, _ = kernel.ids_of(process.popen.pid)
            with kernel.Statistics():
                before = ticks(programs)
                time.sleep(seconds)
                after = ticks(programs)
            process.end()
        finally:
            process.kill()
        return after[0] - before[0], after[1] - before[1], rows_of(output)


def ticks(programs):
    found = [row for number, row in kernel.bpftool("prog").items() if number in programs and row["name"] == "on_tick"]
    if not found:
        raise tools.ToolError("its program is gone")
    return found[0].get("run_time_ns", 0), found[0].get("run_cnt", 0)


def measure(places, hertz, how, pids, seconds, filtered_ns):
    ns, runs, rows = run(places, hertz, how, pids, seconds)
    counts = account(rows)
    kept = counts["aggregated"] / counts["hits"] if counts["hits"] else 0
    if runs * kept < 20:
        raise tools.ToolError(f"only {runs * kept:.0f} samples")
    frames, complete = user_frames(rows)
    return Sample((ns - runs * (1 - kept) * filtered_ns) / (runs * kept), frames, complete)


def of_load(places, pids, seconds):
    """{(Hz, how): Sample}"""
    idle = subprocess.Popen(["sleep", "1000"])
    found = {}
    try:
        for hertz in (HOT_HZ, COLD_HZ):
            long_s = seconds if hertz == HOT_HZ else 2 * seconds
            ns, runs, _ = run(places, hertz, TABLES, [idle.pid], seconds / 2)
            filtered_ns = ns / runs if runs else 0
            for how in (TABLES, FRAME_POINTERS, KERNEL_ONLY) if hertz == HOT_HZ else (TABLES, FRAME_POINTERS):
                found[hertz, how] = measure(places, hertz, how, pids, long_s, filtered_ns)
    finally:
        idle.kill()
        idle.wait()
    return found


SHALLOW, DEEP = 20, 420


def frame_ns(places, seconds, rounds):
    """ns per frame: what a sample of a deeper stack of the same functions costs more, over as many frames. The rounds."""
    with loads.Deep(SHALLOW) as shallow, loads.Deep(DEEP) as deep:
        for _ in range(rounds):
            near, far = (measure(places, HOT_HZ, TABLES, load.pids(), seconds, 0) for load in (shallow, deep))
            yield (far.ns - near.ns) / (far.frames - near.frames)


def frame_section(options, places, seconds, rounds):
    options.progress("samples: a frame")
    found = statistics.median(frame_ns(places, seconds, rounds))
    return (f"A frame, hot: a sample {DEEP} frames deep against one {SHALLOW} deep, over the difference.",
            ["walk", "ns per frame", "aim"], [["tables", f"{found:.1f}", report.limit(found, FRAME_AIM_NS)]])


def middle(rounds, key):
    found = [each[key] for each in rounds]
    return Sample(*(statistics.median(values) for values in zip(*found)))


def rows(name, rounds):
    for how, words in ((TABLES, "tables"), (FRAME_POINTERS, "frame pointers")):
        hot, cold = middle(rounds, (HOT_HZ, how)), middle(rounds, (COLD_HZ, how))
        without_us, hot_us, cold_us = middle(rounds, (HOT_HZ, KERNEL_ONLY)).ns / 1000, hot.ns / 1000, cold.ns / 1000
        aims = ["-"] * 2
        if how is TABLES:
            aims = [report.limit(hot_us, HOT_AIMS.get(name)), report.limit(cold_us, COLD_AIMS.get(name))]
        yield [name, words, f"{hot.frames:.1f}", f"{100 * hot.complete:.1f}", f"{without_us:.2f}",
               f"{hot_us:.2f}", aims[0], f"{cold_us:.2f}", aims[1]]


HEAD = ["program", "walk", "user frames", "complete %", "without, us", "hot, us per sample", "aim", "cold, us per sample",
        "aim"]
EXPLAIN = (f"A sample of sonde profile: the BPF program's run time for those of the target, hot ({HOT_HZ} Hz) and cold "
           f"({COLD_HZ} Hz); without: hot, without user stack (-K). "
           "Frame pointers: --unwind fp, the kernel's walk, which ends early. Median over the rounds.")


def section(options, places):
    table, notes = [], []
    seconds = 2 if options.quick else 4
    for name, load in loads.SAMPLED:
        rounds = []
        try:
            with load() as running:
                for _ in range(1 if options.quick else min(3, options.rounds)):
                    options.progress(f"samples: {name}")
                    rounds.append(of_load(places, running.pids(), seconds))
        except (loads.LoadError, tools.ToolError) as error:
            notes.append(f"{name}: {error}")
        if rounds:
            table += rows(name, rounds)
    try:
        deep = [frame_section(options, places, seconds, 1 if options.quick else min(3, options.rounds))]
    except (loads.LoadError, tools.ToolError) as error:
        deep = []
        notes.append(f"a frame: {error}")
    return [(EXPLAIN, HEAD, table), *deep], notes
