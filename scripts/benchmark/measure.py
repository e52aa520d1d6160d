# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured: in each section every system takes its turn in each round, into one table."""

import contextlib
import os
import shutil
import subprocess
import time

from . import corpus as corpora
from . import creation, workloads
from .creation import Daemon, SyncClock
from .systems import run

PAIR = ("import", "writer/")  # the two ways to make a fork


@contextlib.contextmanager
def _mounted(bench, what, system, tree):
    """Where a tree is mounted.  What takes too long there ends, and is said to."""
    where = system.mount(tree)
    try:
        yield where
    except subprocess.TimeoutExpired:
        bench.say(f"{what}: {system.name} took too long, and is left out")
    finally:
        system.unmount(where)


def reading(bench, results):
    """Each workload, cold and then at once warm, on a mount that is new in each round."""
    table = results.table("reading", "disk")

    def take(work, system, tree, where, state):
        for (name, unit), value in zip(work.figures, work.measure(bench, tree, where)):
            if state:
                table.add((name, state, unit), system.name, value)

    for work in workloads.READ:
        if not bench.wanted(work.name) or work.missing or not bench.systems:
            continue
        tree = bench.trees[work.corpus]
        with bench.timed(work.name):
            for system, k in bench.turns(bench.systems):
                with _mounted(bench, work.name, system, tree) as where:
                    cold = k < bench.cold and corpora.drop_caches()
                    take(work, system, tree, where, "cold" if cold else None)
                    if work.warm_up:
                        work.warm_up(bench, tree, where)
                    take(work, system, tree, where, "warm")


def mounting(bench, results):
    """The mount command and the first ls, of a small image and of a large one."""
    if not bench.wanted("mount"):
        return
    table = results.table("mounting", "erofs")
    for tree in bench.trees_of("usr", "million"):
        with bench.timed(f"mount-{tree.name}"):
            mounted = [s for s in bench.systems if not s.base]
            for system in mounted:
                system.image(tree)
            for system, k in bench.turns(mounted):
                if k < bench.cold and corpora.drop_caches():
                    table.add((f"mount-{tree.name}", "cold", "ms"), system.name,
                              workloads.mount_to_ls(system, tree) * 1e3)
                workloads.mount_to_ls(system, tree)
                table.add((f"mount-{tree.name}", "warm", "ms"), system.name,
                          workloads.mount_to_ls(system, tree) * 1e3)


def memory(bench, results):
    """What a daemon has of its own when all names of an image were listed once."""
    if not bench.wanted("memory"):
        return
    table = results.table("memory of the daemon", None)
    for tree in bench.trees_of("usr", "million"):
        with bench.timed(f"memory-{tree.name}"):
            for system, _ in bench.turns([s for s in bench.systems if s.fuse and not s.slow], 1):
                with _mounted(bench, "memory", system, tree) as where:
                    took = workloads.walk(bench, tree, where)[0]
                    own, mapped = workloads.private_memory(system.daemon(), bench.tmp)
                    table.add((f"first-walk-{tree.name}", "warm", "s"), system.name, took)
                    table.add((f"memory-{tree.name}", "warm", "MiB"), system.name, own)
                    table.add((f"memory-mapped-{tree.name}", "warm", "MiB"), system.name, mapped)


def making(bench, results):
    """An image of a tree, and one that has ten files more."""
    if not bench.wanted("create"):
        return
    table = results.table("making", "mksquashfs")
    for tree in bench.trees_of("usr", "small"):
        with bench.timed(f"create-{tree.name}"):
            corpora.warm(tree)
            # The second tree is for the difference that many small files make, no target.
            for maker, _ in bench.turns(bench.makers, None if tree.name == "usr" else 1):
                if maker in bench.makers:
                    _make_once(bench, table, maker, tree)


def _make_once(bench, table, maker, tree):
    maker.fresh()
    extra = creation.extra_files(bench, tree)
    os.sync()
    try:
        cost = maker.make(tree.path)
        before = creation.allocated(maker.out)
        if cost:
            for figure, unit, value in (
                    ("create", "s", cost.seconds), ("create-beside-fsync", "s", cost.beside),
                    ("create-cpu", "s", cost.cpu), ("create-memory", "MiB", cost.mib),
                    ("create-size", "MB", before / 1e6),
                    ("create-share", "%", before * 100 / tree.n_bytes)):
                table.add((f"{figure}-{tree.name}", "warm", unit), maker.name, value)
            os.sync()
        cost = maker.fork(tree.path, extra)
        if cost:
            grown = creation.allocated(maker.out) - before
            table.add((f"add-ten-{tree.name}", "warm", "ms"), maker.name, cost.seconds * 1e3)
            table.add((f"add-ten-bytes-{tree.name}", "warm", "KB"), maker.name, grown / 1e3)
    except subprocess.CalledProcessError:
        bench.say(f"{maker.name}: not possible here")
        bench.makers = [m for m in bench.makers if m is not maker]
    finally:
        if maker.many_files:
            bench.set_aside(maker.out)
        else:
            shutil.rmtree(maker.out, ignore_errors=True)


def copying(bench, results):
    """cp -a of 10,000 files, to the disk and into a writer."""
    if not bench.wanted("cp"):
        return
    table = results.table("copying 10,000 files", "disk")
    tree = bench.trees["cp"]
    corpora.warm(tree)

    def to_disk(out):
        start = time.monotonic()
        run("cp", "-a", f"{tree.path}/.", out)
        table.add(("cp", "warm", "s"), "disk", time.monotonic() - start)

    def to_writer(out):
        clock = SyncClock(bench, "daemon-sync")
        with Daemon(bench, out, clock=clock) as daemon:
            daemon.request("create new=a.cim")
            start = time.monotonic()
            run("cp", "-a", f"{tree.path}/.", daemon.path("writer/"))
            copied = time.monotonic()
            daemon.request("commit")
            table.add(("cp", "warm", "s"), "writer/", copied - start)
            table.add(("commit", "warm", "s"), "writer/", time.monotonic() - copied)
            table.add(("commit-fsync", "warm", "s"), "writer/", clock.seconds())

    out = os.path.join(bench.made, "cp")
    with bench.timed("cp"):
        for way, _ in bench.turns([to_disk, to_writer]):
            os.mkdir(out)
            os.sync()
            way(out)
            bench.set_aside(out)


class _Forks:
    """Forks of an image in the store that add ten files, made in two ways."""

    def __init__(self, bench, table, tree, daemon, clock):
        self.bench, self.table, self.tree = bench, table, tree
        self.daemon, self.clock = daemon, clock
        self.base = f"{tree.name}.cim"

    def with_import(self, extra):
        cost = creation.Cost(self.bench, [self.bench.cimfs, "import", "--quiet",
                                          f"--from={self.base}", self.bench.store, "fork.cim",
                                          extra])
        return cost.seconds, cost.sync

    def with_writer(self, extra):
        """The ten files are written by this program: it is the daemon that is measured."""
        files = []
        for directory, _, names in os.walk(extra):
            for name in names:
                full = os.path.join(directory, name)
                with open(full, "rb") as f:
                    files.append((self.daemon.path("writer/" + os.path.relpath(full, extra)),
                                  f.read()))
        before = self.clock.seconds()
        start = time.monotonic()
        self.daemon.request(f"create existing={self.base} new=fork.cim")
        for path, data in files:
            with open(path, "wb", buffering=0) as f:
                f.write(data)
        self.daemon.request("commit")
        return time.monotonic() - start, self.clock.seconds() - before

    def once(self, way, name):
        extra = creation.extra_files(self.bench, self.tree)
        old = set(os.listdir(self.bench.store))
        os.sync()
        total, sync = way(self, extra)
        new = set(os.listdir(self.bench.store)) - old
        size = sum(os.lstat(os.path.join(self.bench.store, n)).st_size for n in new)
        for figure, unit, value in (("fork", "ms", total * 1e3), ("fork-fsync", "ms", sync * 1e3),
                                    ("fork-beside-fsync", "ms", (total - sync) * 1e3),
                                    ("fork-bytes", "KiB", size / 1024)):
            self.table.add((f"{figure}-{self.tree.name}", "warm", unit), name, value)
        run(self.bench.cimfs, "delete", os.path.join(self.bench.store, "fork.cim"))


def forking(bench, results):
    """A fork, ten files in ten directories, and a commit."""
    if not bench.wanted("fork"):
        return
    table = results.table("forking", None)
    clock = SyncClock(bench, "daemon-sync")
    ways = list(zip((_Forks.with_import, _Forks.with_writer), PAIR))
    cimfs = bench.cimfs_system()
    for tree in bench.trees_of("usr", "million"):
        with bench.timed(f"fork-{tree.name}"):
            cimfs.image(tree)
            with Daemon(bench, bench.store, os.path.join(bench.mounts, "forks"), clock) as daemon:
                forks = _Forks(bench, table, tree, daemon, clock)
                for (way, name), _ in bench.turns(ways, 2 * bench.rounds):
                    forks.once(way, name)
