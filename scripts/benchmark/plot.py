# SPDX-License-Identifier: LGPL-2.1-or-later
"""A table as an SVG plot."""

import math
from html import escape

COLOURS = ("#7f7f7f", "#bcbd22", "#9467bd", "#8c564b", "#e377c2", "#1f77b4", "#d62728", "#2ca02c")


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


def _log(ratio):
    """0.03 to 300 on a line from 0 to 1."""
    return min(max((math.log10(ratio) + 1.5) / 4, 0), 1)
