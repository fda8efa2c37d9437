# SPDX-License-Identifier: Apache-2.0
"""The ring buffer by itself: a sonde whose only probe sends a record for each call, or each so-manieth, of a getppid storm on one CPU. Its
loop and its drain are sonde's own."""
import json
import os
import subprocess

import report
import tools

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "../../build")
LIMIT_S = 60
RATE_AIM, CPU_AIM = 3e6, 2.0
LARGE = 8 << 20
# words, what the program does, mask of calls that send nothing, bytes of the ring (0: as sonde makes it here), aims
ROWS = (
    ("48 bytes, counted", "small", 1, LARGE, True),
    ("48 bytes, counted", "small", 0, LARGE, False),
    ("48 bytes, counted", "small", 1, 0, False),
    ("event_record, counted", "event", 3, LARGE, False),
    ("event_record, by the tracer and the JSON sink", "shown", 63, 0, False),
)
EXPLAIN = ("A storm of getppid() on one CPU sends records, without wake-ups; the reader is the loop of sonde's session with its own timer. Ring: 8 MB "
           "is what sonde takes with 32 CPUs, `own` what it takes on this machine. Lost: the storm is there when the run begins, the reader's timer "
           "then has its longest period. Reader: CPU time of the process. In real runs a token bucket lets 100 events a second and CPU cross.")
HEAD = ["record", "ring", "records/s", "aim", "lost %", "reader CPU %", "aim", "ns per record"]


def measure(mode, mask, size, seconds):
    storm = ("taskset", "-c", str(max(os.sched_getaffinity(0))), f"{BUILD}/workloads/getppid", "--now", str(seconds))
    command = (f"{BUILD}/bench/ring", mode, str(mask), str(size), *storm)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S)
    if done.returncode:
        raise tools.ToolError(f"ring ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return json.loads(done.stderr.splitlines()[-1])


def best(mode, mask, size, options):
    """The run in which the reader took least: what the machine's other work adds is the difference."""
    found = [measure(mode, mask, size, 1 if options.quick else 3) for _ in range(1 if options.quick else 3)]
    return min(found, key=lambda each: each["cpu_seconds"] / max(1, each["came"]))


def section(options, places):
    if not os.access(f"{BUILD}/bench/ring", os.X_OK):
        return [], ["build/bench/ring is not built: run make bench"]
    rows = []
    for words, mode, mask, size, aims in ROWS:
        options.progress(f"ring: {words}")
        found = best(mode, mask, size, options)
        read, rate = found["came"] - found["lost"], found["came"] / found["seconds"]
        cpu = 100 * found["cpu_seconds"] / found["seconds"]
        under = " under" if rate < RATE_AIM else ""
        rows.append([words, "8 MB" if size else "own", f"{rate:,.0f}", f"{RATE_AIM:,.0f}{under}" if aims else "-",
                     f"{100 * found['lost'] / found['came']:.2f}", f"{cpu:.1f}", report.limit(cpu, CPU_AIM if aims else None),
                     f"{1e9 * found['cpu_seconds'] / read:.1f}"])
    return [(EXPLAIN, HEAD, rows)], []
