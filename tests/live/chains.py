#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares stacks with the truth of the programs in tests/workloads/unwind: chains.py TRUTH FILE [OPTION...]

TRUTH is the program's name, FILE what `sonde profile` or `sonde offcpu` wrote as JSON. Each stack is
  exact    if it reaches the start of its thread, and is what the head comment of the program says, from there on; or the beginning of it,
           since a sample may hit any function on the way
  cut      if it says that it is truncated, and what it shows lies in the truth without a gap; or if it names none of the program's functions
  wrong    in all other cases
A stack weighs as much as its samples (or waits). Exit status 1, with the worst stacks, unless the options hold.
"""
import argparse
import collections
import json
import re
import sys

A12 = ["main"] + [f"a{i}" for i in range(1, 13)] + ["leaf"]
# As far as the program's entry; or as far as libc's call of main, where libc says no more (musl's), or another walk stops
CALL_MAIN = "(?:;__libc_start_call_main|;libc_start_main_stage2)"
START = f"(?:;(?:_start|_start_c)(?:;~)*{CALL_MAIN}?|{CALL_MAIN})"
THREAD = r"(?:;~)+"
ANY = r"(?:;~)*"


def chains(*rows):
    """Rows of (start, functions one below the other, what may lie below them all: prefixes of it included)."""
    return list(rows)


def acts():
    tails = {
        "qsort": ANY + "(?:;qsort_compare)?",
        "variadic": "(?:;variadic_sum)?" + ANY,
        "align": "(?:;align_inner)?" + ANY,
        "sized": "(?:;sized_inner)?" + ANY,
        "longjmp": "(?:(?:;longjmp_down){1,3}|(?:;longjmp_down){3};longjmp_deep)?" + ANY,
        "pointer": "(?:;pointer_callee)?" + ANY,
        "small": "(?:;small_callee)?" + ANY,
    }
    names = "compute qsort memcpy snprintf malloc syscall vdso plt variadic align sized longjmp pointer small lazy".split()
    return [(START, A12 + ["do_" + name], tails.get(name, ANY)) for name in names]


def depths():
    rows = []
    for n in (10, 100, 300, 480, 1000):
        below = f"(?:(?:;recurse){{1,{n}}}|(?:;recurse){{{n}}};recurse_burn{ANY})?"
        rows.append((START, ["main", f"depth_{n}"], below))
    return rows


SIGNALS = (ANY + "(?:;small_callee)?" + ANY + "(?:;on_signal(?:;signal_inner)?" + ANY + ")?(?:;on_alternate(?:;alternate_inner)?)?" + ANY)


def plugs(letter):
    return (START, ["main", "reload_turn", "plug_entry"] + [f"plug_{letter}_{i}" for i in (1, 2, 3)] + ["reload_burn"], ANY)


def brief(letter):
    return (START, ["main"] + [f"brief_{letter}_{i}" for i in (1, 2, 3)] + [f"brief_{letter}_burn"], ANY)


# Before main and behind it (the dynamic linker, exit) a stack is what libc makes of it.
LIBC = ("(?:;~|;_start)" + ANY + CALL_MAIN + "?" + ANY, [], "")
# What main itself calls, to wait for the word to go, to look at the clock, and to say what it has measured.
OF_MAIN = {"fgets", "_IO_fgets", "printf", "_IO_printf", "puts", "_IO_puts", "clock_gettime", "__clock_gettime", "sigaltstack", "exit",
           "_dl_runtime_resolve_xsavec", "_dl_runtime_resolve_xsave", "_dl_runtime_resolve_fxsave"}
# The options: their inner functions have other names in each libc.
OF_OPTIONS = re.compile("_*(?:GI_+)?(?:strtol|strcmp)(?:_\\w+)?")
TRUTHS = {
    "chain": acts(),
    "recurse": depths(),
    "signals": [(START, A12 + ["victim"], SIGNALS)],
    "throw": [(START, A12 + ["do_throw"], "(?:;throw_down){0,3}(?:;after_catch)?" + ANY)],
    "reload": [plugs("a"), plugs("b"), (START, ["main", "reload_turn"], ANY)],
    "jit": [(START, ["main", "jit_caller"], "(?:(?:;~){1,3}|(?:;~){3};jit_burn)?" + ANY)],
    "starts": [(THREAD, ["thread_main", "b1", "b2", "thread_burn"], ANY), (THREAD, ["clone_main", "c1", "clone_burn"], ANY),
               (START, A12 + ["do_vfork"], "(?:;vfork_burn)?" + ANY), (START, A12 + ["do_fork"], "(?:;fork_burn)?" + ANY),
               (START, A12, ANY), (THREAD, [], "")],
    "calls": [(START, A12 + ["called"], ""), (THREAD, ["thread_main", "b1", "b2", "called"], ""), (THREAD, [], ""), (START, ["main"], ANY), LIBC],
    "blocked": [(START, A12 + ["do_" + way], ANY) for way in ("sleep", "semaphore", "pipe", "poll", "condition")]
               + [(THREAD, ["feed_main"], "(?:;feed_1)?" + ANY), (START, ["main"], ANY), LIBC],
    "brief": [brief("a"), brief("b"), LIBC],
    "brief-a": [brief("a"), LIBC],
    "brief-b": [brief("b"), LIBC],
}


def nested(names, below):
    """A regular expression for all beginnings of the chain."""
    text = f"(?:{below})"
    for name in reversed(names):
        text = f"(?:;{re.escape(name)}{text})?"
    return text


PLT_END = 0x1100  # the linker puts it first


class Truth:
    def __init__(self, rows):
        self.is_chain = rows is TRUTHS["chain"]  # the static ones have it elsewhere
        self.own = {name for _, names, below in rows for name in names + re.findall(r";([a-z]\w+)", below)}
        self.known = self.own | {"_start", "_start_c", "__libc_start_call_main", "libc_start_main_stage2"}
        self.whole = [re.compile(start + nested(names, below)) for start, names, below in rows]
        # with the outer end missing: any of the chain may be the first
        self.parts = [re.compile(nested(names[i:], below).removesuffix("?") if names[i:] else f"(?:{below})")
                      for _, names, below in rows for i in range(len(names) + 1)]
        self.parts += [re.compile("(?:;~)+" + nested(names, below)) for _, names, below in rows]
        # of what lies below the chain, any names
        for _, _, below in rows:
            names = "|".join(["~"] + re.findall(r";([a-z]\w+)", below))
            self.parts.append(re.compile(f"(?:;(?:{names}))*"))

    def token(self, frame, leafmost, objects):
        name = frame["name"].removesuffix(".cold")
        if name in self.known:
            return name
        # entries of the PLT have no name of their own; no other code of the program is without one
        at = re.search(r"\+0x([0-9a-f]+)$", name) if frame["object"] in objects else None
        return "!" + name if at and not (leafmost and (self.is_chain or int(at[1], 16) < PLT_END)) else "~"

    def text(self, stack):
        frames = [f for f in stack["frames"] if f["kind"] not in ("kernel", "mark", "inlined")]
        objects = {f["object"] for f in frames if f["name"] in self.own}
        return "".join(";" + self.token(f, i == 0, objects) for i, f in reversed(list(enumerate(frames)))), frames

    def judge(self, stack):
        text, frames = self.text(stack)
        if not frames:  # in the kernel, before there is a program
            return "exact" if not stack.get("incomplete") else "cut"
        below = [after["name"] for after, frame in zip(frames, frames[1:]) if frame["name"] == "main"]
        # the dynamic linker of arm64 is stripped
        of_main = below and (below[-1] in OF_MAIN or OF_OPTIONS.fullmatch(below[-1]) or below[-1].startswith("ld-linux-")) and re.fullmatch(f"(?:{START})?;main" + ANY, text)
        if stack.get("incomplete"):
            return "cut" if of_main or any(e.fullmatch(text) for e in self.parts + self.whole) else "wrong"
        if of_main or any(e.fullmatch(text) for e in self.whole):
            return "exact"
        if re.fullmatch(START + ANY, text):  # libc before main, and behind it
            return "exact"
        # the file was gone before its names were read: nothing is claimed
        return "wrong" if any(f["name"] in self.own for f in frames) else "cut"


def stacks_of(path, pids, comm):
    with open(path, encoding="utf-8") as file:
        for line in file:
            point = json.loads(line)
            if point["type"] != "stack" or (pids and point["who"].get("tgid") not in pids):
                continue
            if comm and not re.fullmatch(comm, point["who"].get("comm", "")):
                continue
            weight = point["occurrences"] + point["open"] if point["unit"] == "ns" else point["value"]
            if weight:
                yield point, weight


def show(stack):
    text = " < ".join(f["name"] for f in stack["frames"] if f["kind"] != "kernel")
    if len(text) > 600:
        text = text[:300] + " ... " + text[-300:]
    return text


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("truth", choices=TRUTHS)
    parser.add_argument("file")
    parser.add_argument("--pid", type=int, action="append", default=[], help="only stacks of these processes")
    parser.add_argument("--comm", help="only stacks of processes with this name")
    parser.add_argument("--within", help="only stacks in which one of these functions is: a regular expression")
    parser.add_argument("--min", type=int, default=100, help="as many stacks must there be")
    parser.add_argument("--each", type=int, default=0, help="so many for each function of --of")
    parser.add_argument("--of", default="", help="functions, by commas")
    parser.add_argument("--exact", type=float, default=99.9, help="per cent at least: of less than 1,000 stacks 99.9 are all of them")
    parser.add_argument("--wrong", type=float, default=0.1, help="per cent at most")
    parser.add_argument("--depth-limit", type=int, default=0, help="stacks cut by the depth limit are exact if they are that deep")
    parser.add_argument("--late-tables", action="store_true", help="stacks that are cut for want of a table do not count: everything is slow")
    parser.add_argument("--up-to", help="a stack that is cut is exact if it has this function")
    parser.add_argument("--count", help="print only how many stacks are exact and have this function")
    return parser.parse_args()


def is_at_limit(stack, limit):
    return (limit and "depth limit" in stack.get("incomplete", "")
            and sum(f["kind"] not in ("kernel", "mark") for f in stack["frames"]) >= limit)


def is_jumping(stack):
    """The last instructions of longjmp, which has the caller in registers that nobody keeps: docs/unwinding.md, Limits."""
    innermost = next((f["name"] for f in stack["frames"] if f["kind"] != "kernel"), "")
    return stack.get("incomplete") == "unwind rule not supported" and innermost.strip("_").endswith("longjmp")


def main():
    options = arguments()
    truth = Truth(TRUTHS[options.truth])
    verdicts, having, worst, reasons = collections.Counter(), collections.Counter(), collections.Counter(), collections.Counter()
    counted = jumping = 0
    for stack, weight in stacks_of(options.file, options.pid, options.comm):
        names = {f["name"] for f in stack["frames"]}
        if options.within and not any(re.fullmatch(options.within, name) for name in names):
            continue
        verdict = truth.judge(stack)
        if verdict == "cut" and (options.up_to in names or is_at_limit(stack, options.depth_limit)):
            verdict = "exact"
        if is_jumping(stack):
            jumping += weight
            continue
        if options.late_tables and verdict == "cut" and stack["incomplete"] == "no unwind table":
            continue
        verdicts[verdict] += weight
        if verdict == "exact":
            having.update({name: weight for name in names})
            counted += weight if options.count in names else 0
        else:
            worst[f"{verdict}: {show(stack)}"] += weight
            reasons[stack.get("incomplete", "(complete)")] += weight
    if options.count:
        print(counted)
        return 0
    total = sum(verdicts.values())
    share = 100 * verdicts["exact"] / total if total else 0
    summary = f"{options.truth}: {total} stacks, exact {share:.2f} %, cut {verdicts['cut']}, wrong {verdicts['wrong']}, in longjmp {jumping}"
    missing = [f"{name} {having[name]}" for name in options.of.split(",") if name and having[name] < options.each]
    print(summary + (f"; too few of: {', '.join(missing)}" if missing else ""))
    bad = total - verdicts["exact"]
    if (total >= options.min and not missing and 100 * bad <= round(total * (100 - options.exact), 6)
            and 100 * verdicts["wrong"] <= total * options.wrong and 100 * jumping <= total):
        return 0
    print("reasons:", ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common(6)))
    for text, count in worst.most_common(6):
        print(f"{count} x {text}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
