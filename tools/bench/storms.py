# SPDX-License-Identifier: Apache-2.0
"""Loads of a known number of operations, for the probes on the kernel's paths: each does nothing but what its probe watches."""
import collections
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

import loads

STORM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/workloads/storm")
IMAGE_BYTES = 256 << 20
LIMIT_S = 60

# operations, seconds that they took, CPU seconds of its processes
Run = collections.namedtuple("Run", "count wall_s cpu_s")


class Storm:
    """build/workloads/storm KIND COUNT"""

    def __init__(self, kind, unit, count):
        self.name, self.unit, self.count = kind, unit, count

    def missing(self):
        return None if os.path.exists(STORM) else "build/workloads/storm is not built"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, share):
        count = max(1, int(self.count * share))
        output, cpu_s = finish([STORM, "--now", self.name, str(count)])
        found = dict(line.split() for line in output.splitlines() if not line.startswith("ready"))
        return Run(count, int(found["ns"]) / 1e9, cpu_s)


class Fio:
    """Random reads of 4 KiB on a loop device over a file in memory, one behind the other. null_blk where there is one."""
    name, unit = "requests", "request"

    def __init__(self, count):
        self.count, self.device, self.image = count, None, None

    def missing(self):
        for program in ("fio", "losetup"):
            if not shutil.which(program):
                return f"{program} is not installed: tools/setup bench"
        return None

    def __enter__(self):
        if os.path.exists("/dev/nullb0"):
            self.device = "/dev/nullb0"
            return self
        handle, self.image = tempfile.mkstemp(prefix="sonde-bench.", dir="/dev/shm")
        os.ftruncate(handle, IMAGE_BYTES)
        os.close(handle)
        done = subprocess.run(["losetup", "--show", "-f", self.image], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            os.unlink(self.image)
            raise loads.LoadError(f"losetup: {done.stderr.strip()}")
        self.device = done.stdout.strip()
        return self

    def __exit__(self, *_):
        if self.image:
            subprocess.run(["losetup", "-d", self.device], check=False)
            os.unlink(self.image)

    def run(self, share):
        count = max(1, int(self.count * share))
        output, cpu_s = finish(["fio", "--name=bench", f"--filename={self.device}", "--rw=randread", "--bs=4k", "--direct=1", "--ioengine=psync",
                                "--norandommap", "--thread", f"--number_ios={count}", "--output-format=json"])
        job = json.loads(output[output.index("{"):])["jobs"][0]
        return Run(job["read"]["total_ios"], job["read"]["total_ios"] / job["read"]["iops"], cpu_s)


class Iperf:
    """Bytes through one connection of loopback."""
    name, unit = "bytes", "GB"

    def __init__(self, gigabytes):
        self.count = gigabytes

    def missing(self):
        return None if shutil.which("iperf3") else "iperf3 is not installed: tools/setup bench"

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.server = subprocess.Popen(["iperf3", "-s", "-B", "127.0.0.1", "-p", self.port], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(self.port))):
                break
            if time.monotonic() > deadline:
                self.__exit__()
                raise loads.LoadError("iperf3 does not listen")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()

    def run(self, share):
        size = max(1, int(1000 * self.count * share))
        output, cpu_s = finish(["iperf3", "-c", "127.0.0.1", "-p", self.port, "-n", f"{size}M", "--json"])
        sent = json.loads(output)["end"]["sum_sent"]
        return Run(sent["bytes"] / 1e9, sent["seconds"], cpu_s)


def finish(argv):
    """(What it printed, CPU seconds of it and of the children that it has waited for)"""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        process.stdout.close()
    if process.returncode:
        raise loads.LoadError(f"{os.path.basename(argv[0])} ended with {process.returncode}")
    return output, usage.ru_utime + usage.ru_stime


def every():
    return (Storm("calls", "call", 4000000), Storm("connections", "connection", 15000), Iperf(3), Fio(50000), Storm("faults", "fault", 300000),
            Storm("processes", "process", 500), Storm("waits", "wait", 4000))
