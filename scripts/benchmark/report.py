# SPDX-License-Identifier: LGPL-2.1-or-later
"""Figures: medians, minima and ratios, as text, Markdown, CSV and JSON."""

import csv
import json
import statistics


def number(value):
    if value >= 100_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


class Table:
    """figure[row][system] is a list of numbers, one a round; a row is (workload, state, unit)."""

    def __init__(self, title, base):
        self.title, self.base = title, base  # base: the system that ratios are to, or None
        self.rows, self.systems, self.figure = [], [], {}

    def add(self, row, system, value):
        if row not in self.figure:
            self.rows.append(row)
            self.figure[row] = {}
        if system not in self.systems:
            self.systems.append(system)
        self.figure[row].setdefault(system, []).append(value)

    def ratio(self, row, system):
        """Median over the rounds of the ratio in the same round: what comes to both cancels."""
        all_rounds = ratios(self.figure[row].get(system), self.figure[row].get(self.base))
        return statistics.median(all_rounds) if all_rounds else None

    def _cell(self, row, system):
        values = self.figure[row].get(system)
        if not values:
            return "-"
        ratio = self.ratio(row, system)
        return (f"{number(statistics.median(values))} [{number(min(values))}]"
                + (f" ({ratio:.2f})" if ratio is not None else ""))

    def heading(self):
        return (f"{self.title}: median [minimum]"
                + (f" (median of the ratios to {self.base} in the same round)"
                   if self.base else ""))

    def lines(self):
        """The cells of each line, the heads first."""
        return ([["workload", "state", "unit"] + self.systems]
                + [list(row) + [self._cell(row, s) for s in self.systems] for row in self.rows])


def ratios(own, base):
    """Of each round."""
    return [a / b for a, b in zip(own or (), base or ()) if b]


def aligned(lines):
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, width)).rstrip()
                     for line in lines) + "\n"


def marked_down(lines):
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(rows[:1] + ["|" + "---|" * len(lines[0])] + rows[1:]) + "\n"


class Results:
    """The tables of a run, and the facts to know about it."""

    def __init__(self, facts):
        self.facts, self.tables = facts, []
        self.failed = []  # sections that ended early

    def table(self, title, base):
        self.tables.append(Table(title, base))
        return self.tables[-1]

    def rows(self):
        return [(t, r) for t in self.tables for r in t.rows]

    def values(self, workload, state, system):
        """The figures of a system, one a round, or None."""
        for table, row in self.rows():
            if row[:2] == (workload, state):
                return table.figure[row].get(system)
        return None

    def unit(self, workload):
        return next((row[2] for _, row in self.rows() if row[0] == workload), "")

    def text(self):
        return ("".join(f"{k}: {v}\n" for k, v in self.facts.items())
                + "".join(f"\n{t.heading()}\n{aligned(t.lines())}" for t in self.tables if t.rows))

    def write_csv(self, path):
        with open(path, "w", newline="", encoding="utf-8") as f:
            out = csv.writer(f)
            out.writerow(["workload", "state", "unit", "system", "round", "value"])
            for table, row in self.rows():
                for system, values in table.figure[row].items():
                    for i, value in enumerate(values):
                        out.writerow(list(row) + [system, i + 1, f"{value:.6g}"])

    def write_json(self, path, targets):
        """Small enough to be kept, and a line a row, so that a change of it can be read."""
        def lines(things):
            return ",\n".join("  " + json.dumps(t, ensure_ascii=False) for t in things)

        tables = ({"title": t.title, "base": t.base} for t in self.tables if t.rows)
        rows = ({"table": t.title, "workload": r[0], "state": r[1], "unit": r[2],
                 "values": {s: [float(f"{v:.5g}") for v in vs] for s, vs in t.figure[r].items()}}
                for t, r in self.rows())
        with open(path, "w", encoding="utf-8") as f:
            f.write('{\n "facts": ' + json.dumps(self.facts, ensure_ascii=False, indent=2)
                    + f',\n "tables": [\n{lines(tables)}\n ],\n "rows": [\n{lines(rows)}\n ],\n'
                    f' "targets": [\n{lines(targets)}\n ]\n}}\n')


def load(path):
    """What write_json() wrote; targets are computed anew."""
    with open(path, encoding="utf-8") as f:
        kept = json.load(f)
    results = Results(kept["facts"])
    tables = {t["title"]: results.table(t["title"], t["base"]) for t in kept["tables"]}
    for row in kept["rows"]:
        key = (row["workload"], row["state"], row["unit"])
        for system, values in row["values"].items():
            for value in values:
                tables[row["table"]].add(key, system, value)
    return results
