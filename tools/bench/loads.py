# SPDX-License-Identifier: Apache-2.0
"""Programs that run while profilers watch them. A load is a context: its processes end with it, however we end."""
import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

WARM_S = 1.0
SYSTEM_PYTHON = "/usr/bin/python3"
BULK = ("/usr/bin/node", "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1", "/usr/bin/gdb", "/usr/bin/perl")
PYTHON = """
import json
def tree(depth):
    return {"n": depth, "below": [tree(depth - 1) for _ in range(2)]} if depth else {"leaf": [1.5, "text"]}
def count(node):
    return 1 + sum(map(count, node.get("below", ())))
while True:
    count(json.loads(json.dumps(tree(6))))
    sorted(str(i * 7919 % 1009) for i in range(200))
"""
NODE = """
const numbers = n => Array.from({length: 300}, (_, i) => i * 7919 * n % 1009).sort((a, b) => a - b);
const inner = n => numbers(n).map(x => x.toString(16)).join('').replace(/[aeiou]+/g, m => m.toUpperCase());
const middle = n => JSON.parse(JSON.stringify({n, text: inner(n)})).text.length;
for (let n = 0; ; n++) middle(n);
"""
FILTERS = (
    ("cat",), ("sed", "-u", "s/a/b/g"), ("grep", "--line-buffered", "x"), ("mawk", "{ n += length($0) }"),
    ("perl", "-ne", "$n += tr/a/a/"), ("dash", "-c", "while read -r line; do :; done"),
    ("bash", "-c", "while read -r line; do :; done"),
    (SYSTEM_PYTHON, "-c", "import sys\nfor line in sys.stdin: line.split()"),
    ("node", "-e", "process.stdin.on('data', data => data.toString().split('x'))"), ("xz", "-c"), ("gzip", "-c"),
    ("bzip2", "-c"), ("zstd", "-c"), ("md5sum",), ("b2sum",), ("base64",), ("od", "-c"), ("wc",), ("tr", "a", "b"),
    ("cut", "-c", "1-20"), ("nl",), ("fold",), ("tclsh",), ("jq", "-R", "length"),
)


class LoadError(Exception):
    pass


def descendants(pid):
    """The process and all below it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def comm(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", errors="replace") as file:
        return file.read().strip()
    return ""


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise LoadError(f"{os.path.basename(program)} is not installed: tools/setup bench")


class Load:
    """Processes of which those with one of the names are watched."""

    def __init__(self, names):
        self.names, self.processes, self.directory = names, [], None

    def start(self, *argv, **more):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                   **{"stdin": subprocess.DEVNULL, **more})
        self.processes.append(process)
        return process

    def pids(self):
        found = [pid for process in self.processes for pid in descendants(process.pid) if comm(pid) in self.names]
        if not found:
            raise LoadError(f"{' '.join(self.names)} is not running")
        return sorted(set(found))

    def __enter__(self):
        try:
            self.directory = tempfile.mkdtemp(prefix="sonde-bench.")
            self.begin()
            time.sleep(WARM_S)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for process in reversed(self.processes):
            for pid in descendants(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Deep(Load):
    """Recursion, always as deep: what a frame costs is the difference between two depths."""

    def __init__(self, depth):
        super().__init__(("recurse",))
        self.depth = depth

    def begin(self):
        program = os.path.join(os.path.dirname(__file__), "../../build/workloads/unwind/recurse")
        if not os.path.exists(program):
            raise LoadError("build/workloads/unwind/recurse is not built")
        self.start(program, "--now", "3600000", str(self.depth))


class Xz(Load):
    def begin(self):
        need("xz")
        source = next(filter(os.path.exists, BULK))
        self.start("sh", "-c", f"while cat {source}; do :; done | xz -c -T1")


class Python(Load):
    def begin(self):
        need(SYSTEM_PYTHON)
        self.start(SYSTEM_PYTHON, "-c", PYTHON)


class Redis(Load):
    def begin(self):
        need("redis-server", "redis-benchmark")
        socket = f"{self.directory}/socket"
        self.start("redis-server", "--port", "0", "--unixsocket", socket, "--save", "")
        deadline = time.monotonic() + 10
        while not os.path.exists(socket):
            if time.monotonic() > deadline:
                raise LoadError("redis-server does not listen")
            time.sleep(0.05)
        self.start("redis-benchmark", "-s", socket, "-l", "-q", "-c", "8", "-t", "set,get,lpush,zadd")


class Pgbench(Load):
    def user(self):
        return {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": self.directory}

    def command(self, name, *arguments):
        return (f"{self.bin}/{name}", *arguments)

    def once(self, *argv):
        if subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.user()).returncode:
            raise LoadError(f"{os.path.basename(argv[0])} failed")

    def begin(self):
        places = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not places or not shutil.which("pgbench"):
            raise LoadError("postgresql is not installed: tools/setup bench")
        self.bin, data = places[-1], f"{self.directory}/data"
        os.chown(self.directory, pwd.getpwnam("postgres").pw_uid, -1)
        self.once(*self.command("initdb", "-D", data, "-A", "trust", "-N", "--no-instructions"))
        options = {"listen_addresses": "", "unix_socket_directories": self.directory, "fsync": "off",
                   "shared_buffers": "32MB"}
        self.start(*self.command("postgres", "-D", data, *(f"--{key}={value}" for key, value in options.items())),
                   **self.user())
        deadline = time.monotonic() + 20
        while subprocess.run(self.command("pg_isready", "-q", "-h", self.directory)).returncode:
            if time.monotonic() > deadline:
                raise LoadError("postgres does not answer")
            time.sleep(0.1)
        self.once(*self.command("pgbench", "-h", self.directory, "-i", "-q", "-s", "1", "postgres"))
        self.start(*self.command("pgbench", "-h", self.directory, "-n", "-S", "-c", "4", "-j", "2", "-T", "600",
                                 "postgres"), **self.user())


class Node(Load):
    """With the names of its code in /tmp/perf-PID.map."""

    def begin(self):
        need("node")
        self.start("node", "--perf-basic-prof", "-e", NODE, cwd=self.directory)

    def __exit__(self, *arguments):
        names = [f"/tmp/perf-{process.pid}.map" for process in self.processes]
        super().__exit__(*arguments)
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)


class Many(Load):
    """Filters that get a few KB five times a second."""

    def __init__(self, count):
        super().__init__(())
        self.count, self.text = count, b"a line of some words, xyz 0123456789\n" * 100

    def begin(self):
        there = [argv for argv in FILTERS if shutil.which(argv[0])]
        self.kinds = len(there)
        for number in range(self.count):
            process = self.start(*there[number % self.kinds], stdin=subprocess.PIPE, cwd=self.directory)
            os.set_blocking(process.stdin.fileno(), False)

    def pump(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for process in self.processes:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    os.write(process.stdin.fileno(), self.text)
            time.sleep(0.2)


SAMPLED = (("xz", lambda: Xz(("xz",))), ("python", lambda: Python(("python3",))),
           ("redis", lambda: Redis(("redis-server",))),
           ("pgbench", lambda: Pgbench(("pgbench", "postgres"))))
