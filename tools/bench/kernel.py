# SPDX-License-Identifier: Apache-2.0
"""What the bench asks the kernel: BPF statistics, the programs and maps of a process, memory, the machine.

Times are nanoseconds, sizes bytes.
"""
import contextlib
import ctypes
import json
import os
import platform
import resource
import shutil
import struct
import subprocess

CMD_PROG_LOAD = 5
CMD_RAW_TRACEPOINT_OPEN = 17
CMD_ENABLE_STATS = 32
PROG_TYPE_RAW_TRACEPOINT = 17
SYSCALL_BPF = {"x86_64": 321, "aarch64": 280}
BPFTOOL = shutil.which("bpftool") or "/usr/sbin/bpftool"
TRACEFS = "/sys/kernel/tracing"
ATTACHED = ("anon_inode:bpf_link", "anon_inode:bpf-link", "anon_inode:[perf_event]")


def bpf(command, attr):
    """The system call; attr is the packed union. Returns the descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attr, 128)
    fd = libc.syscall(SYSCALL_BPF[platform.machine()], command, buffer, len(buffer))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf({command}): {os.strerror(number)}")
    return fd


class Statistics:
    """While this is open the kernel keeps run time and count of BPF programs; also if we are killed."""

    def __enter__(self):
        self.fd = bpf(CMD_ENABLE_STATS, struct.pack("I", 0))

    def __exit__(self, *_):
        os.close(self.fd)


def statistics_left_on():
    with open("/proc/sys/kernel/bpf_stats_enabled") as file:
        return file.read().strip() != "0"


def attach_empty_program(tracepoint):
    """A program of two instructions: what any program there costs at least. It is detached when we end."""
    instructions = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = 0; exit
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_text = ctypes.create_string_buffer(b"GPL")
    program = bpf(CMD_PROG_LOAD, struct.pack(
        "IIQQIIQII16s", PROG_TYPE_RAW_TRACEPOINT, len(instructions) // 8, ctypes.addressof(code),
        ctypes.addressof(license_text), 0, 0, 0, 0, 0, b"on_switch"))
    name = ctypes.create_string_buffer(tracepoint.encode())
    return program, bpf(CMD_RAW_TRACEPOINT_OPEN, struct.pack("QI", ctypes.addressof(name), program))


def attached_count(pid):
    """Links and perf events that the process holds now."""
    count = 0
    directory = f"/proc/{pid}/fd"
    for fd in os.listdir(directory):
        try:
            count += os.readlink(f"{directory}/{fd}") in ATTACHED
        except FileNotFoundError:
            pass  # closed between listing and reading
    return count


def has_timers(pid):
    """sonde arms its timers last: then all of its programs are attached."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:[timerfd]":
                    return True
    return False


def ids_of(pid):
    """The ids of the programs and maps that a process holds, directly or through a link."""
    found = {"prog_id": set(), "map_id": set()}
    directory = f"/proc/{pid}/fdinfo"
    for fd in os.listdir(directory):
        try:
            with open(f"{directory}/{fd}") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            key, _, value = line.partition(":")
            if key in found:
                found[key].add(int(value))
    return found["prog_id"], found["map_id"]


def verified(pid):
    """Instructions that the verifier went through for the programs that the process holds."""
    found, directory = {}, f"/proc/{pid}/fdinfo"
    for fd in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError), open(f"{directory}/{fd}") as file:
            row = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
            if "verified_insns" in row:
                found[int(row["prog_id"])] = int(row["verified_insns"])
    return sum(found.values())


def bpftool(what):
    """All programs ("prog") or maps ("map") of the machine by id."""
    output = subprocess.run([BPFTOOL, "-j", what, "show"], check=True, stdout=subprocess.PIPE).stdout
    return {row["id"]: row for row in json.loads(output)}


def map_bytes(map_ids, program_ids):
    """Memory of the maps named and of those that the programs use."""
    programs = bpftool("prog")
    wanted = set(map_ids)
    for program in program_ids:
        wanted.update(programs.get(program, {}).get("map_ids", []))
    maps = bpftool("map")
    return sum(int(maps[each]["bytes_memlock"]) for each in wanted if each in maps)


def peak_bytes(pid):
    """VmHWM, or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def context_switches():
    with open("/proc/stat") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("ctxt "))


def others_cpu_s():
    """CPU time of all but this process and the children it has reaped; interrupts and steal are included."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return total - sum(usage.ru_utime + usage.ru_stime for usage in own)


def have_tracefs():
    return os.path.isdir(f"{TRACEFS}/events/sched")


def machine():
    """The machine in a few words."""
    model = "unknown CPU"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    try:
        with open("/sys/devices/system/clocksource/clocksource0/current_clocksource") as file:
            clock = file.read().strip()
    except FileNotFoundError:
        clock = "unknown"
    cpus = f"{os.cpu_count()} CPUs ({model})"
    return f"Linux {platform.release()} {platform.machine()}, {cpus}, clocksource {clock}"
