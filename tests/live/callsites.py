#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether neighbours in stacks are callers and called: callsites.py FILE PID... [--valid PERCENT] [--complete PERCENT] [--min N]

FILE is JSON of sonde; the processes must still live, since their memory says what their code is. Of each pair of neighbouring user frames,
weighed by samples:
  valid    the bytes before the caller's address are a call
  edges    of the direct calls (and those through the PLT) among them: the called function is the one above, or one that it jumps to
Left out: who was interrupted by a signal has called nobody, and nobody has called the code that ends a handler;
a goroutine's first function returns to where nobody called from.
x86-64 only.
"""
import argparse
import bisect
import collections
import json
import struct
import sys

SIGRETURN = b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"
PT_LOAD, PT_GNU_EH_FRAME = 1, 0x6474E550
UNCALLED = ("runtime.goexit", "runtime.goexit.abi0")
USER_KINDS = ("user", "library", "jit")


def call_lengths(code):
    """Whether the bytes end with a call: E8 rel32, or FF /2 with any addressing, with prefixes."""
    if code[-5] == 0xE8:
        return True
    for length in range(2, 9):
        part = code[-length:]
        i = 0
        while i < len(part) - 2 and (part[i] in (0x3E, 0x66, 0x67) or 0x40 <= part[i] <= 0x4F):
            i += 1
        if part[i] == 0xFF and part[i + 1] >> 3 & 7 == 2 and i + 1 + operand_bytes(part[i + 1:]) == length:
            return True
    return False


def operand_bytes(operand):
    """ModRM, SIB and displacement."""
    mode, base = operand[0] >> 6, operand[0] & 7
    if mode == 3:
        return 1
    size = 1
    if base == 4:
        if len(operand) < 2:
            return 99
        size, base = 2, operand[1] & 7
    if mode == 0:
        return size + (4 if base == 5 else 0)
    return size + (1 if mode == 1 else 4)


class Module:
    """A file as it lies in memory: its functions, by the search table of .eh_frame_hdr."""

    def __init__(self, process, base):
        self.process, self.starts, self.ends = process, [], {}
        head = process.read(base, 64)
        if head[:4] != b"\x7fELF":
            return
        offset, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        rows = [struct.unpack("<IIQQQQQQ", process.read(base + offset + i * size, 56)) for i in range(count)]
        first = min((row[3] & ~4095 for row in rows if row[0] == PT_LOAD), default=0)
        for row in rows:
            if row[0] == PT_GNU_EH_FRAME:
                self.add_functions(base - first + row[3], row[6])

    def add_functions(self, at, size):
        table = self.process.read(at, size)
        if table[:4] != b"\x01\x1b\x03\x3b":
            return
        for i in range(struct.unpack_from("<I", table, 8)[0]):
            start, entry = struct.unpack_from("<ii", table, 12 + 8 * i)
            self.starts.append(at + start)
            self.ends[at + start] = at + entry

    def function(self, address):
        """(start, end) of the function that the address lies in, or None."""
        i = bisect.bisect_right(self.starts, address) - 1
        if i < 0:
            return None
        start = self.starts[i]
        length = struct.unpack("<I", self.process.read(self.ends[start] + 12, 4))[0]
        return (start, start + length) if address < start + length else None


class Process:
    def __init__(self, pid):
        self.memory = open(f"/proc/{pid}/mem", "rb", buffering=0)
        self.maps, self.modules = [], {}
        bases = {}
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            for line in file:
                row = line.split(maxsplit=5)
                start, end = (int(part, 16) for part in row[0].split("-"))
                path = row[5].strip() if len(row) > 5 else ""
                if not path.startswith("/") and path != "[vdso]":
                    continue
                if int(row[2], 16) == 0:
                    bases[path] = start
                self.maps.append((start, end, bases.get(path)))

    def read(self, address, size):
        try:
            self.memory.seek(address)
            return self.memory.read(size)
        except (OSError, ValueError, OverflowError):
            return b""

    def returns_from_signal(self, address):
        return self.read(address, len(SIGRETURN)) == SIGRETURN

    def function(self, address):
        for start, end, base in self.maps:
            if start <= address < end and base is not None:
                if base not in self.modules:
                    self.modules[base] = Module(self, base)
                return self.modules[base].function(address)
        return None

    def behind_plt(self, target):
        """Where an entry of the PLT leads, for anything else the target itself; None: nobody knows yet."""
        code = self.read(target, 16)
        at = 4 if code[:4] == b"\xf3\x0f\x1e\xfa" else 0
        at += code[at:at + 1] == b"\xf2"
        if code[at:at + 2] != b"\xff\x25":
            return target
        slot = target + at + 6 + struct.unpack_from("<i", code, at + 2)[0]
        value = self.read(slot, 8)
        return struct.unpack("<Q", value)[0] if len(value) == 8 else None

    def jumps(self, function):
        """Where a function jumps to, as far as bytes tell (some are no jumps); None among them: to a computed address."""
        start, end = function
        code = self.read(start, end - start)
        for i in range(len(code) - 1):
            if code[i] == 0xE9 and i + 5 <= len(code):
                yield start + i + 5 + struct.unpack_from("<i", code, i + 1)[0]
            elif code[i] == 0x0F and code[i + 1] >> 4 == 8 and i + 6 <= len(code):
                yield start + i + 6 + struct.unpack_from("<i", code, i + 2)[0]
            elif code[i] == 0xEB or code[i] >> 4 == 7:
                yield start + i + 2 + struct.unpack_from("<b", code, i + 1)[0]
            elif code[i] == 0xFF and code[i + 1] >> 3 & 7 == 4:
                yield None

    def leads_to(self, target, called):
        """Whether a call of the target may end up in the function `called`: by itself, or by jumps. None: cannot be told."""
        seen, wave = set(), [target]
        for _ in range(4):
            following = []
            for address in wave:
                if called[0] <= address < called[1]:
                    return True
                address = self.behind_plt(address)
                function = address is not None and self.function(address)
                if not function:
                    return None
                if function == called:
                    return True
                if function in seen:
                    continue
                seen.add(function)
                for jump in self.jumps(function):
                    if jump is None:
                        return None
                    if not function[0] <= jump < function[1] and self.function(jump):
                        following.append(jump)
            wave = following[:200]
        return False


def judge(process, above, exact, caller):
    """valid, and whether the edge is right: True, False, None (not a direct call, or nobody can tell)."""
    code = process.read(caller - 16, 16)
    if len(code) < 16 or not call_lengths(code):
        return False, None
    if code[-5] != 0xE8:
        return True, None
    called = process.function(above if exact else above - 1)
    if not called:
        return True, None
    return True, process.leads_to(caller + struct.unpack("<i", code[-4:])[0], called)


class Tally:
    def __init__(self, pids):
        self.processes = {pid: Process(pid) for pid in pids}
        self.cache, self.count, self.worst = {}, collections.Counter(), collections.Counter()
        self.reasons = collections.Counter()

    def pair(self, pid, above, exact, caller, weight, names):
        key = (pid, above, exact, caller)
        if key not in self.cache:
            self.cache[key] = judge(self.processes[pid], *key[1:])
        valid, edge = self.cache[key]
        self.count["valid" if valid else "invalid"] += weight
        if edge is not None:
            self.count["right" if edge else "wrong"] += weight
        if not valid or edge is False:
            self.worst[f"{'not a call' if not valid else 'calls another'}: {names} (0x{above:x} < 0x{caller:x})"] += weight

    def stack(self, point, weight):
        pid = point["who"]["tgid"]
        process = self.processes[pid]
        frames = [f for f in point["frames"] if f["kind"] in USER_KINDS]
        self.count["stacks"] += weight
        self.count["complete"] += 0 if point.get("incomplete") else weight
        if point.get("incomplete"):
            where = frames[-1]["object"] if frames else ""
            self.reasons[f"{point['incomplete']} in {where}"] += weight
        exact = True
        for above, caller in zip(frames, frames[1:]):
            address, back = int(above["address"], 16), int(caller["address"], 16)
            interrupted = process.returns_from_signal(address)
            if not interrupted and not process.returns_from_signal(back) and caller["name"] not in UNCALLED:
                self.pair(pid, address, exact, back, weight, f"{above['name']} < {caller['name']}")
            exact = interrupted

    def share(self, what, other):
        total = self.count[what] + self.count[other]
        return 100 * self.count[what] / total if total else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("pid", type=int, nargs="+")
    parser.add_argument("--valid", type=float, default=99.9)
    parser.add_argument("--edges", type=float, default=99.9)
    parser.add_argument("--complete", type=float, default=99.9)
    parser.add_argument("--min", type=int, default=100, help="as many stacks must there be")
    options = parser.parse_args()
    tally = Tally(options.pid)
    with open(options.file, encoding="utf-8") as file:
        for line in file:
            point = json.loads(line)
            if point["type"] == "stack" and point["who"].get("tgid") in tally.processes:
                weight = point["occurrences"] + point["open"] if point["unit"] == "ns" else point["value"]
                if weight:
                    tally.stack(point, weight)
    count = tally.count
    incomplete = count["stacks"] - count["complete"]
    print(f"{count['stacks']} stacks, complete {100 - 100 * incomplete / max(count['stacks'], 1):.2f} %; "
          f"{count['valid'] + count['invalid']} pairs, valid {tally.share('valid', 'invalid'):.3f} %, "
          f"{count['right'] + count['wrong']} direct, right {tally.share('right', 'wrong'):.3f} %")
    for text, times in tally.reasons.most_common(5) + tally.worst.most_common(8):
        print(f"{times} x {text}")
    holds = (count["stacks"] >= options.min and 100 * incomplete <= round(count["stacks"] * (100 - options.complete), 6)
             and count["valid"] > count["stacks"]
             and 100 * count["invalid"] <= round((count["valid"] + count["invalid"]) * (100 - options.valid), 6)
             and 100 * count["wrong"] <= round((count["right"] + count["wrong"]) * (100 - options.edges), 6))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
