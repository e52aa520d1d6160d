# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cimfs means to reach, and whether a run shows it."""

import statistics

from .report import number, ratios

FUSE_PEERS = ("squashfuse_ll", "erofsfuse", "wimmount")
READS = ("find", "walk", "tar", "grep", "open", "dd", "rand-1", "rand-4")
SMALL = ("find", "walk", "tar", "grep", "open")
HEAD = ("target", "measured", "system", "figure", "peer", "its figure", "ratio", "at most", "met")


def compute(results):
    """A dictionary for each line of the table, its keys those of HEAD."""
    lines = []
    for part in (_directory_mount, _image_mount, _first_ls, _import, _copy, _fork, _memory):
        lines += part(results)
    return lines


def table(lines):
    return [list(HEAD)] + [[line[key] for key in HEAD] for line in lines]


def summary(lines):
    n = {}
    for line in lines:
        n[line["met"]] = n.get(line["met"], 0) + 1
    return ", ".join(f"{k}: {v}" for k, v in n.items())


def _line(target, measured, system, limit):
    line = dict.fromkeys(HEAD, "-")
    line.update({"target": target, "measured": measured, "system": system, "at most": limit,
                 "met": "not run"})
    return line


def _judged(line, values, limit):
    """Met where the median is; a median beyond it that some rounds are not is told apart."""
    if statistics.median(values) <= limit:
        line["met"] = "yes"
    else:
        line["met"] = "no, but within noise" if min(values) <= limit else "no"
    return line


def _with_unit(value, unit):
    return f"{number(value)} {unit}"


def _beside(results, target, row, system, peer, limit):
    """A figure of ours at most @limit times that of a peer."""
    workload, state = row
    line = _line(target, f"{workload} {state}", system, f"{limit:g} x {peer or 'FUSE peer'}")
    own, unit = results.values(workload, state, system), results.unit(workload)
    base = results.values(workload, state, peer)
    if own:
        line["figure"] = _with_unit(statistics.median(own), unit)
    if base:
        line["peer"] = peer
        line["its figure"] = _with_unit(statistics.median(base), unit)
    if not own:
        return _unless_quick(results, line)
    if not base:
        line["met"] = "no peer"
        return line
    rates = ratios(base, own) if unit == "iops" else ratios(own, base)
    line["ratio"] = f"{statistics.median(rates):.2f}"
    return _judged(line, rates, limit)


def _absolute(results, target, row, system, limit, unit):
    workload, state = row
    line = _line(target, f"{workload} {state}", system, f"{limit:g} {unit}")
    own = results.values(workload, state, system)
    if not own:
        return _unless_quick(results, line)
    line["figure"] = _with_unit(statistics.median(own), unit)
    return _judged(line, own, limit)


def _unless_quick(results, line):
    if "million" in line["measured"] and results.facts.get("mode") == "quick":
        line["met"] = "not in a quick run"
    return line


def _best_peer(results, workload, state):
    unit = results.unit(workload)
    best = [(statistics.median(v) * (-1 if unit == "iops" else 1), peer) for peer in FUSE_PEERS
            if (v := results.values(workload, state, peer))]
    return min(best)[1] if best else None


def _directory_mount(results):
    lines = [_beside(results, "directory mount: not slower than the best FUSE peer",
                     (work, state), "cimfs-dir", _best_peer(results, work, state), 1)
             for state in ("warm", "cold") for work in READS]
    return lines + [_beside(results, "directory mount: five times as fast as squashfuse_ll",
                            (work, state), "cimfs-dir", "squashfuse_ll", 0.2)
                    for state in ("warm", "cold") for work in ("find", "walk")]


def _image_mount(results):
    lines = [_beside(results, "image mount: near kernel EROFS", (work, "warm"), "cimfs-image",
                     "erofs", 1.15) for work in SMALL]
    lines.append(_beside(results, "image mount: near kernel EROFS", ("dd", "warm"), "cimfs-image",
                         "erofs", 1.5))
    for peer, limit in (("squashfuse_ll", 0.5), ("erofs", 3)):
        lines += [_beside(results, "image mount: cold", (work, "cold"), "cimfs-image", peer, limit)
                  for work in ("tar", "grep", "open")]
    return lines + [_beside(results, "dd, cold", ("dd", "cold"), system, "squashfs", 1.2)
                    for system in ("cimfs-image", "cimfs-dir")]


def _first_ls(results):
    lines = []
    for system in ("cimfs-image", "cimfs-dir"):
        target = "mount to first ls, whatever the size"
        lines.append(_absolute(results, target, ("mount-million", "warm"), system, 10, "ms"))
        lines.append(_million_beside_usr(results, target, "mount", system))
    return lines


def _million_beside_usr(results, target, workload, system):
    """Two corpora have no rounds in common: this is the ratio of the medians."""
    line = _line(target, f"{workload}-million warm", system, f"1.5 x {workload}-usr")
    big = results.values(f"{workload}-million", "warm", system)
    small = results.values(f"{workload}-usr", "warm", system)
    unit = results.unit(f"{workload}-usr")
    if small:
        line["peer"], line["its figure"] = "the same", _with_unit(statistics.median(small), unit)
    if not big or not small:
        return _unless_quick(results, line)
    line["figure"] = _with_unit(statistics.median(big), unit)
    ratio = statistics.median(big) / statistics.median(small)
    line["ratio"] = f"{ratio:.2f}"
    return _judged(line, [ratio], 1.5)


def _import(results):
    target = "import, source cached, fsync apart"
    return [_beside(results, target, ("create-beside-fsync-usr", "warm"), "cimfs import",
                    "mksquashfs", 1),
            _absolute(results, target, ("create-memory-usr", "warm"), "cimfs import", 75, "MiB")]


def _copy(results):
    return [_beside(results, "cp -a of 10,000 files into writer/", ("cp", "warm"), "writer/",
                    "disk", 3)]


def _fork(results):
    lines = []
    target = "fork, ten files, commit"
    for system in ("import", "writer/"):
        for tree, kib in (("usr", 1024), ("million", 2048)):
            lines += [_absolute(results, target, (f"fork-beside-fsync-{tree}", "warm"), system, 10,
                                "ms"),
                      _absolute(results, target, (f"fork-bytes-{tree}", "warm"), system, kib,
                                "KiB")]
        lines.append(_million_beside_usr(results, target, "fork-beside-fsync", system))
    return lines


def _memory(results):
    return [_absolute(results, "private memory of the daemon after a walk",
                      (f"memory-{tree}", "warm"), system, 64, "MiB")
            for tree in ("usr", "million") for system in ("cimfs-dir", "cimfs-image")]
