# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two runs beside each other, and what got slower by more than the noise."""

import statistics

from .report import aligned, number

NOISE = 1.1  # less than a tenth is not told from noise, however steady the rounds are


def _worse(unit, was, now):
    """How many times as bad, and whether all rounds say so."""
    if unit == "iops":
        was, now = [1 / v for v in was if v], [1 / v for v in now if v]
    before = statistics.median(was) if was else 0
    times = statistics.median(now) / before if before and now else 1
    return times, bool(was and now) and (min(now) > max(was) or max(now) < min(was))


def _verdict(old, table, row, system):
    """A word where a figure changed by more than the noise, both by itself and beside the base of
    the same run: a machine that was busy in one of the runs was so for the base as well."""
    unit = row[2]
    was, now = old.values(*row[:2], system), table.figure[row][system]
    times, apart = _worse(unit, was, now)
    if not apart or 1 / NOISE <= times <= NOISE:
        return times, ""
    base_was, base_now = old.values(*row[:2], table.base), table.figure[row].get(table.base)
    if system != table.base and base_was and base_now:
        beside = times / _worse(unit, base_was, base_now)[0]
        if (beside - 1) * (times - 1) <= 0 or 1 / NOISE <= beside <= NOISE:
            return times, ""
    return times, "SLOWER" if times > 1 else "faster"


def compare(old, new):
    """The medians of two Results, new/old, and a verdict on those of cimfs."""
    for fact in ("mode", "corpus usr"):
        if old.facts.get(fact) != new.facts.get(fact):
            return (f"not to be compared: {fact} is \"{old.facts.get(fact)}\" in one, "
                    f"\"{new.facts.get(fact)}\" in the other\n")
    lines, slower, faster = [], [], []
    for table, row in new.rows():
        for system, values in table.figure[row].items():
            was = old.values(*row[:2], system)
            if not was:
                continue
            times, word = _verdict(old, table, row, system)
            lines.append([*row, system, number(statistics.median(was)),
                          number(statistics.median(values)),
                          f"{1 / times if row[2] == 'iops' and times else times:.2f}", word])
            if word and _is_ours(system):
                (slower if times > 1 else faster).append(f"{row[0]} {row[1]} {system} "
                                                         f"({times:.2f} times)")
    head = ["workload", "state", "unit", "system", "old", "new", "new/old", ""]
    out = aligned([head] + lines) if lines else "nothing in common\n"
    out += "\nfaster by more than the noise: " + (", ".join(faster) or "nothing") + "\n"
    return out + "slower by more than the noise: " + (", ".join(slower) or "nothing") + "\n"


def _is_ours(system):
    return system.startswith("cimfs") or system in ("import", "writer/", "chain", "single")
