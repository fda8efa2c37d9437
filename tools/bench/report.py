# SPDX-License-Identifier: Apache-2.0
"""Tables of the results, as plain text or Markdown. A cell is text; numbers stand right."""
import statistics
import textwrap

from workloads import WORKLOADS

WORDS = {"tool", "question", "program", "walk", "file", "record", "ring", "load", "unit"}  # columns that stand left


def text_table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row):
        cells = zip(head, row, widths)
        return "  ".join(cell.ljust(width) if name in WORDS else cell.rjust(width) for name, cell, width in cells)

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def markdown_table(head, rows):
    rule = ["---" if name in WORDS else "---:" for name in head]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def median(values, scale=1, digits=0):
    return f"{statistics.median(values) / scale:.{digits}f}" if values else "-"


def median_best(values, scale=1, digits=0):
    """Median, and the best in brackets: what the machine's other work adds is the difference."""
    return f"{median(values, scale, digits)} ({min(values) / scale:.{digits}f})" if values else "-"


def aim(tool, workload, values):
    if workload.name not in tool.aims:
        return "-"
    limit = tool.aims[workload.name]
    over = values and statistics.median(values) > limit
    return f"{limit / 1000:.2f}" + (" over" if over else "")


def limit(value, most, form="{:g}", scale=1):
    """An aim, and whether the value is over it."""
    return "-" if most is None else form.format(most / scale) + (" over" if value > most else "")


def slower(pairs):
    """Median of (with / bare - 1) over the rounds, in percent."""
    if not pairs:
        return "-"
    return f"{100 * (statistics.median(with_s / bare_s for bare_s, with_s in pairs) - 1):+.0f}"


def cost_table(results):
    head = ["tool", "question"]
    for workload in WORKLOADS:
        head += [f"{workload.name}: us per switch", "aim"]
    rows = []
    for tool, result in results:
        row = [tool.name, tool.question]
        for workload in WORKLOADS:
            values = result.per_switch_ns[workload.name]
            row += [median_best(values, 1000, 3), aim(tool, workload, values)]
        rows.append(row)
    return head, rows


def slowdown_table(results):
    head = ["tool"]
    for workload in WORKLOADS:
        head += [f"{workload.name}: time %", "CPU time %"]
    rows = []
    for tool, result in results:
        row = [tool.name]
        for workload in WORKLOADS:
            row += [slower(result.wall_pairs[workload.name]), slower(result.cpu_pairs[workload.name])]
        rows.append(row)
    return head, rows


def start_table(results):
    head = ["tool", "attached, ms", "first data, ms", "peak memory, MB", "maps, MB", "links"]
    rows = []
    for tool, result in results:
        if tool.question == "floor":
            continue
        rows.append([tool.name, median_best(result.attached_ns, 1e6), median_best(result.first_data_ns, 1e6),
                     median(result.peak_bytes, 1e6, 1), median(result.map_bytes, 1e6, 1),
                     str(result.links)])
    return head, rows


def program_table(results):
    head = ["tool", "program"]
    for workload in WORKLOADS:
        head += [f"{workload.name}: runs per switch", "ns per run"]
    rows = []
    for tool, result in results:
        for name in sorted({name for name, _ in result.programs}):
            row = [tool.name, name]
            for workload in WORKLOADS:
                found = result.programs.get((name, workload.name), [])
                row += [median([share for share, _ in found], 1, 3), median_best([ns for _, ns in found])]
            rows.append(row)
    return head, rows


EXPLAIN_COST = ("Run time of all programs of a tool / runs of its program on sched_switch, in microseconds; "
                "median over the rounds (best round).")
EXPLAIN_SLOWER = ("The workload with the tool against the bare one just before it, BPF statistics off; "
                  "median over the rounds. CPU time is what remains meaningful when the machine has other work.")
EXPLAIN_START = ("From exec until all links are there; until the first output of a run of one second, "
                 "without that second; median (best). Peak memory is VmHWM under both workloads. "
                 "Aims: attached within 50 ms, memory 15 MB.")
EXPLAIN_PROGRAMS = ("Each program: its runs for each run of the one on sched_switch, and nanoseconds a run; "
                    "median (best).")


def words(text):
    return textwrap.fill(text, 110)


def blocks(tables, notes, options):
    """Tables of a section, each with its explanation, and what is to be said about it."""
    table = markdown_table if options.markdown else text_table
    parts = [part for explain, head, rows in tables for part in (words(explain), table(head, rows))]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def write(results, options):
    """The whole report as text."""
    table = markdown_table if options.markdown else text_table
    parts = [words(EXPLAIN_COST), table(*cost_table(results))]
    if not options.programs:
        parts += [words(EXPLAIN_SLOWER), table(*slowdown_table(results))]
        parts += [words(EXPLAIN_START), table(*start_table(results))]
    else:
        parts += [words(EXPLAIN_PROGRAMS), table(*program_table(results))]
    return "\n\n".join(parts)
