# SPDX-License-Identifier: LGPL-2.1-or-later
"""The last of many forks beside an image that was made at once and has the same in it."""

import os
import shutil
import subprocess
import time

from . import corpus as corpora
from . import workloads
from .systems import CimfsImage, run

CHANGED = 3  # files that each fork has other data for


class _Image(CimfsImage):
    """An image that is there already."""

    def __init__(self, bench, name, path):
        super().__init__(bench)
        self.name, self.path = name, path

    def mount(self, corpus):
        where = os.path.join(self.bench.mounts, self.name)
        os.makedirs(where, exist_ok=True)
        run(self.bench.cimfsd, self.path, where)
        return where


def _change(tree, number, to):
    """Other data, as much as there was, for a few of the files."""
    for k in range(CHANGED):
        path = tree.small[(number * CHANGED + k) % len(tree.small)]
        size = os.lstat(os.path.join(tree.path, path)).st_size
        os.makedirs(os.path.dirname(os.path.join(to, path)), exist_ok=True)
        with open(os.path.join(to, path), "wb") as f:
            f.write(os.urandom(size))


def _make(bench, tree, length, store):
    """Image 0, and a fork of each.  Returns seconds for each fork, the disk not waited for."""
    env = {**os.environ, "LD_PRELOAD": bench.shim, "CIMFS_BENCH_NOSYNC": "1"}
    changes = os.path.join(bench.tmp, "changes")
    took = []
    run(bench.cimfs, "import", "--quiet", store, "0.cim", tree.path, env=env)
    for i in range(1, length + 1):
        _change(tree, i, changes)
        start = time.monotonic()
        run(bench.cimfs, "import", "--quiet", f"--from={i - 1}.cim", store, f"{i}.cim", changes,
            env=env)
        took.append(time.monotonic() - start)
        shutil.rmtree(changes)
    return took


def _digest(bench, image):
    out = subprocess.run([bench.cimfs, "hash", "-q", image], check=True, capture_output=True)
    return out.stdout.split()[0]


def chaining(bench, results):
    """Opening, listing and reading both."""
    if not bench.wanted("chain"):
        return
    table = results.table(f"the last of {bench.chain:,} forks", "single")
    tree = bench.trees["cp"]
    store, apart = os.path.join(bench.tmp, "chain"), os.path.join(bench.tmp, "single")
    os.mkdir(store)
    os.mkdir(apart)
    with bench.timed("chain"):
        took = _make(bench, tree, bench.chain, store)
        tenth = max(len(took) // 10, 1)
        for row, some in (("fork-first-tenth", took[:tenth]), ("fork-last-tenth", took[-tenth:])):
            for value in some:
                table.add((row, "warm", "ms"), "chain", value * 1e3)

        last = _Image(bench, "chain", os.path.join(store, f"{bench.chain}.cim"))
        where = last.mount(tree)
        try:
            run(bench.cimfs, "import", "--quiet", apart, "single.cim", where)
        finally:
            last.unmount(where)
        single = _Image(bench, "single", os.path.join(apart, "single.cim"))
        if _digest(bench, last.path) != _digest(bench, single.path):
            raise RuntimeError("the last fork and its copy differ")
        for system, _ in bench.turns([single, last]):
            _measure(bench, table, tree, system)
    shutil.rmtree(store)
    shutil.rmtree(apart)


def _measure(bench, table, tree, system):
    for state in ("cold", "warm"):
        if state == "cold" and not corpora.drop_caches():
            continue
        table.add(("chain-mount", state, "ms"), system.name,
                  workloads.mount_to_ls(system, tree) * 1e3)
    for name, unit, work in (("chain-find", "s", workloads.find),
                             ("chain-tar", "s", workloads.tar),
                             ("chain-open", "us", workloads.opens)):
        where = system.mount(tree)
        try:
            for state in ("cold", "warm"):
                cold = state == "warm" or corpora.drop_caches()
                value = work(bench, tree, where)[0]
                if cold:
                    table.add((name, state, unit), system.name, value)
        finally:
            system.unmount(where)
