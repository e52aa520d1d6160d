# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of a page in Markdown.  Its text is people's; what stands between two marks is not.

	<!-- bench: targets -->
	…
	<!-- bench: end -->

The marks are "facts", "targets" and the titles of tables.
"""

import re

from . import targets
from .report import marked_down

MARKED = re.compile(r"(<!-- bench: (.+?) -->\n).*?(<!-- bench: end -->)", re.S)


def _part(results, name):
    if name == "facts":
        return marked_down([["", ""]] + [[k, v] for k, v in results.facts.items()])
    if name == "targets":
        return marked_down(targets.table(targets.compute(results)))
    for table in results.tables:
        if table.title == name and table.rows:
            head = table.heading()
            return f"{head[0].upper()}{head[1:]}.\n\n{marked_down(table.lines())}"
    return None


def write(results, path):
    """Fill in all marked parts of the page, but those that the run has no figures for."""
    def replace(match):
        part = _part(results, match.group(2))
        return match.group(0) if part is None else f"{match.group(1)}\n{part}\n{match.group(3)}"

    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(MARKED.sub(replace, text))
