# SPDX-License-Identifier: Apache-2.0
"""The workloads: perf bench with a fixed number of loops.

The two ends of the pipe are held on one CPU. Left alone they are now on one, now on two, which is ten times slower
where waking an idle CPU is expensive, and half of the switches are then to or from idle: no two runs would compare.
"""
import collections
import os
import signal
import subprocess
import threading

LIMIT_S = 120  # a run that takes longer than this is not measured but ended

# name, arguments of perf bench, whether it is held on one CPU, loops of a full and of a quick run
Workload = collections.namedtuple("Workload", "name arguments one_cpu loops quick_loops")
WORKLOADS = (
    Workload("pipe", ("sched", "pipe"), True, 100000, 25000),
    Workload("messaging", ("sched", "messaging"), False, 100, 25),
)
# seconds by perf's own clock, and CPU seconds of all its processes
Run = collections.namedtuple("Run", "wall_s cpu_s")


class WorkloadError(Exception):
    pass


def end_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stay_on_one_cpu():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def run(workload, quick):
    loops = workload.quick_loops if quick else workload.loops
    process = subprocess.Popen(["perf", "bench", "-f", "simple", *workload.arguments, "-l", str(loops)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
                               preexec_fn=stay_on_one_cpu if workload.one_cpu else None)
    timer = threading.Timer(LIMIT_S, end_group, [process.pid])
    timer.start()
    try:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        timer.cancel()
        if process.returncode is None:
            end_group(process.pid)
            process.wait()
        process.stdout.close()
    if process.returncode != 0:
        raise WorkloadError(f"perf bench {' '.join(workload.arguments)} ended with {process.returncode}")
    return Run(float(output.split()[-1]), usage.ru_utime + usage.ru_stime)
