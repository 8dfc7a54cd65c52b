"""Writes the table of a long round into docs/reliability.md, between its two marks.

Usage: reliability.py PAGE ROWS SIMULATION ROUNDS SEEDS SECONDS; rows are what tests/tests/chaos/report.rs writes."""
import datetime
import os
import re
import sys

page, rows, simulation, rounds, seeds, seconds = sys.argv[1:]
BEGIN, END = "<!-- table: make chaos writes it -->", "<!-- end of the table -->"


def memory_gb():
    for line in open("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return round(int(line.split()[1]) / 1024 / 1024)
    return 0


lines = [
    f"{datetime.date.today()}, {os.cpu_count()} cores, {memory_gb()} GB of memory, broker and server on the same machine; "
    f"factor {rounds}, {int(seconds) // 60} minutes.",
    "",
    "| test | faults planned | happened | wrong | records checked | repeated, where they may | seed | seconds | besides |",
    "|---|---|---|---|---|---|---|---|---|",
]
for row in open(rows):
    lines.append("| " + row.strip() + " |")
text = open(simulation).read()
if text:
    # What one server's seeds said, then several servers'.
    for part in re.split(r"(?=^\d+ seeds)", text, flags=re.M)[1:]:
        whose = "of several servers" if " of several servers" in part.splitlines()[0] else "of one server"
        failed = re.search(r"(\d+) of \d+ seeds(?: of several servers)?:\n", part)
        failing = ", ".join(re.findall(r"^seed (\d+) \(", part, re.M)[:20])
        happened = re.search(r"seeds[a-z ]*: (.*)", part)
        lines += [
            "",
            f"Simulation {whose}: {seeds} seeds, {failed.group(1) if failed else 0} wrong" + (f" ({failing})" if failing else "") + ".",
            *([f"What happened in it: `{happened.group(1).strip()}`."] if happened else []),
        ]
whole = open(page).read()
head, rest = whole.split(BEGIN)
_, tail = rest.split(END)
open(page, "w").write(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail)
