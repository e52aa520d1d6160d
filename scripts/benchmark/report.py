# SPDX-License-Identifier: LGPL-2.1-or-later
"""Figures: medians, minima and ratios, as text, CSV, JSON and an SVG plot."""

import csv
import json
import math
import statistics
from html import escape


class Table:
    """figure[row][system] is a list of numbers, one a round; a row is (workload, state, unit)."""

    def __init__(self, title, base):
        self.title, self.base = title, base
        self.rows, self.systems, self.figure = [], [], {}

    def add(self, row, system, value):
        if row not in self.figure:
            self.rows.append(row)
            self.figure[row] = {}
        if system not in self.systems:
            self.systems.append(system)
        self.figure[row].setdefault(system, []).append(value)

    def ratio(self, row, system):
        """Median over the rounds of the ratio in the same round: noise that comes to both cancels."""
        own, base = self.figure[row].get(system), self.figure[row].get(self.base)
        if not own or not base:
            return None
        ratios = [a / b for a, b in zip(own, base) if b]
        return statistics.median(ratios) if ratios else None

    def _cell(self, row, system):
        values = self.figure[row].get(system)
        if not values:
            return "-"
        ratio = self.ratio(row, system)
        return (f"{number(statistics.median(values))} [{number(min(values))}]"
                + (f" ({ratio:.2f})" if ratio is not None else ""))

    def text(self):
        lines = [["workload", "state", "unit"] + self.systems]
        lines += [list(row) + [self._cell(row, s) for s in self.systems] for row in self.rows]
        width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        out = ["", f"{self.title}: median [minimum] (median of the ratios to {self.base} in the "
               "same round)"]
        out += ["  ".join(c.ljust(w) for c, w in zip(line, width)).rstrip() for line in lines]
        return "\n".join(out) + "\n"


class Results:
    """The tables of a run, and the facts to know about it."""

    def __init__(self, facts):
        self.facts, self.tables = facts, []

    def table(self, title, base):
        self.tables.append(Table(title, base))
        return self.tables[-1]

    def text(self):
        return ("".join(f"{k}: {v}\n" for k, v in self.facts.items())
                + "".join(t.text() for t in self.tables if t.rows))

    def write_csv(self, path):
        with open(path, "w", newline="", encoding="utf-8") as f:
            out = csv.writer(f)
            out.writerow(["workload", "state", "unit", "system", "round", "value"])
            for table in self.tables:
                for row in table.rows:
                    for system, values in table.figure[row].items():
                        for i, value in enumerate(values):
                            out.writerow(list(row) + [system, i + 1, f"{value:.6g}"])

    def write_json(self, path):
        rows = [{"workload": r[0], "state": r[1], "unit": r[2], "values": t.figure[r]}
                for t in self.tables for r in t.rows]
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"facts": self.facts, "rows": rows}, f, indent=1)
            f.write("\n")

    def write_svg(self, path):
        """A plot of the first table."""
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(plot(self.tables[0])) + "\n")


def plot(table):
    """Bars of the ratio to the base, on a logarithmic scale, a group for each row."""
    rows = [r for r in table.rows if table.base in table.figure[r]]
    systems = [s for s in table.systems if s != table.base]
    bar, gap, left, wide = 11, 14, 150, 640
    top = 34 + 18 * len(systems)
    height = top + len(rows) * (bar * len(systems) + gap) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 60}" '
           f'height="{height}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="8" y="18" font-size="13">ratio to {escape(table.base)} '
           '(left of 1 is better; logarithmic)</text>']
    for i, system in enumerate(systems):
        y = 34 + 18 * i
        out.append(f'<rect x="8" y="{y}" width="12" height="10" fill="{COLOURS[i % 8]}"/>'
                   f'<text x="26" y="{y + 9}">{escape(system)}</text>')
    for tick in (0.1, 1, 10, 100):
        x = left + wide * _log(tick)
        out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{top}" y2="{height - 24}" '
                   f'stroke="#ccc"/><text x="{x - 6:.0f}" y="{height - 10}">{tick}</text>')
    y = top
    for row in rows:
        out.append(f'<text x="8" y="{y + 10}">{escape(row[0])} {escape(row[1])}</text>')
        for i, system in enumerate(systems):
            ratio = table.ratio(row, system)
            if ratio:
                a, b = sorted((_log(1), _log(1 / ratio if row[2] == "iops" else ratio)))
                out.append(f'<rect x="{left + wide * a:.1f}" y="{y + i * bar}" '
                           f'width="{max(wide * (b - a), 1):.1f}" height="{bar - 2}" '
                           f'fill="{COLOURS[i % 8]}"/>')
        y += bar * len(systems) + gap
    return out + ["</svg>"]


COLOURS = ("#7f7f7f", "#bcbd22", "#9467bd", "#8c564b", "#e377c2", "#1f77b4", "#d62728", "#2ca02c")


def _log(ratio):
    """0.03 to 300 on a line from 0 to 1."""
    return min(max((math.log10(ratio) + 1.5) / 4, 0), 1)


def number(value):
    if value >= 100_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def compare(old_path, new_path):
    """Two runs of JSON beside each other: the medians, and new/old."""
    with open(old_path, encoding="utf-8") as f:
        old = json.load(f)
    with open(new_path, encoding="utf-8") as f:
        new = json.load(f)
    before = {(r["workload"], r["state"]): r for r in old["rows"]}
    lines = []
    for row in new["rows"]:
        was = before.get((row["workload"], row["state"]))
        for system, values in row["values"].items():
            if was and system in was["values"]:
                a = statistics.median(was["values"][system])
                b = statistics.median(values)
                lines.append(f"{row['workload']:<14} {row['state']:<5} {system:<14} "
                             f"{number(a):>8} {number(b):>8}  {b / a if a else 0:.2f}")
    return "\n".join([f"{'workload':<14} state {'system':<14} {'old':>8} {'new':>8}  new/old"]
                     + lines) + "\n"
