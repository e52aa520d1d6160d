# SPDX-License-Identifier: LGPL-2.1-or-later
"""Making images of a tree, and making a slightly different one of each: time, CPU, memory, bytes."""

import os
import shutil
import subprocess
import time

from .systems import run, wait_for

CHANGED = 10  # files that a fork adds


class Cost:
    """What one command took; memory is that of its largest process."""

    def __init__(self, bench, argv, cwd=None, after=None):
        figures = os.path.join(bench.tmp, "cost")
        start = time.monotonic()
        run(bench.probe, "cost", figures, *argv, cwd=cwd, stderr=subprocess.DEVNULL)
        if after:
            after()
        self.seconds = time.monotonic() - start
        with open(figures, encoding="ascii") as f:
            _, self.cpu, self.mib = map(float, f.read().split())


def allocated(path):
    """Bytes that a file or tree takes on the disk."""
    total, seen = 0, set()
    for directory, _, files in os.walk(path) if os.path.isdir(path) else [("", [], [path])]:
        for f in files:
            st = os.lstat(os.path.join(directory, f))
            if (st.st_dev, st.st_ino) not in seen:
                seen.add((st.st_dev, st.st_ino))
                total += st.st_blocks * 512
    return total


class Maker:
    """A way to store a tree, and to store a changed one beside it."""

    name, tools = "", ()
    slow = False  # left out of a quick run

    def __init__(self, bench):
        self.bench = bench
        self.out = os.path.join(bench.work, "made", self.name)

    def missing(self):
        return [t for t in self.tools if not shutil.which(t)]

    def fresh(self):
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)

    def path(self, name):
        return os.path.join(self.out, name)

    def make(self, tree):
        raise NotImplementedError

    def fork(self, tree, extra):
        """Add the files of @extra; None where the system has no such thing."""
        return None


class Cp(Maker):
    name, tools = "cp -a", ("cp",)

    def make(self, tree):
        return Cost(self.bench, ["cp", "-a", tree, self.path("tree")])


class Mksquashfs(Maker):
    name, tools = "mksquashfs", ("mksquashfs",)
    options = ["-noI", "-noId", "-noD", "-noF", "-noX", "-no-progress", "-quiet"]

    def make(self, tree):
        return Cost(self.bench, ["mksquashfs", tree, self.path("i.sqfs")] + self.options)

    def fork(self, tree, extra):
        return Cost(self.bench, ["mksquashfs", extra, self.path("i.sqfs")] + self.options)


class MkfsErofs(Maker):
    name, tools = "mkfs.erofs", ("mkfs.erofs",)

    def make(self, tree):
        return Cost(self.bench, ["mkfs.erofs", "--quiet", self.path("i.erofs"), tree])


class Wim(Maker):
    name, tools = "wimlib", ("wimcapture", "wimupdate")

    def make(self, tree):
        return Cost(self.bench, ["wimcapture", tree, self.path("i.wim"), "--compress=none", "--unix-data",
                     "--no-acls"])

    def fork(self, tree, extra):
        return Cost(self.bench, ["wimupdate", self.path("i.wim"), "1", f"--command=add {extra} /extra",
                     "--unix-data"])


class Ostree(Maker):
    name, tools, slow = "ostree", ("ostree",), True

    def make(self, tree):
        repo = self.path("repo")
        run("ostree", "init", "--mode=bare-user", f"--repo={repo}")
        return Cost(self.bench, ["ostree", "commit", f"--repo={repo}", "-b", "a", f"--tree=dir={tree}"])

    def fork(self, tree, extra):
        return Cost(self.bench, ["ostree", "commit", f"--repo={self.path('repo')}", "-b", "b",
                     "--tree=ref=a", f"--tree=dir={extra}"])


class Reflink(Maker):
    """A copy that shares its data, where the file system can."""
    name, tools = "cp --reflink", ("cp",)

    def make(self, tree):
        return Cost(self.bench, ["cp", "-a", "--reflink=always", tree, self.path("tree")])

    def fork(self, tree, extra):
        return Cost(self.bench, ["cp", "-a", "--reflink=always", self.path("tree"), self.path("fork")])


class Overlayfs(Maker):
    """Nothing is made: the tree is the lower directory, a fork a new upper one."""
    name, tools = "overlayfs", ("mount",)

    def make(self, tree):
        return None

    def fork(self, tree, extra):
        for d in ("upper", "work", "merged"):
            os.makedirs(self.path(d))
        script = (f"mount -t overlay overlay -o lowerdir={tree},upperdir=upper,workdir=work "
                  f"merged && cp -a {extra}/. merged && umount merged")
        return Cost(self.bench, ["sh", "-c", script], cwd=self.out)


class CimfsImport(Maker):
    name = "cimfs import"

    def make(self, tree):
        return Cost(self.bench, [self.bench.cimfs, "import", "--quiet", self.out, "a.cim", tree])

    def fork(self, tree, extra):
        return Cost(self.bench, [self.bench.cimfs, "import", "--quiet", "--from=a.cim", self.out, "b.cim",
                     extra])


class CimfsWriter(Maker):
    """Through the mount, as people do it; the commit is part of it."""
    name, tools = "cimfs cp -a", ("cp",)

    def make(self, tree):
        daemon = subprocess.Popen([self.bench.cimfsd, "-f", self.out])
        try:
            wait_for(self.out)
            self._request("create new=a.cim")
            cost = Cost(self.bench, ["cp", "-a", f"{tree}/.", self.path("writer/")],
                        after=lambda: self._request("commit"))
            with open(f"/proc/{daemon.pid}/status", encoding="ascii") as f:
                peak = next(line for line in f if line.startswith("VmHWM:"))
            cost.mib = int(peak.split()[1]) / 1024
        finally:
            run("umount", self.out)
            daemon.wait()
        return cost

    def _request(self, line):
        with open(self.path("control"), "w", encoding="utf-8") as f:
            f.write(line + "\n")


ALL = (Cp, Reflink, Mksquashfs, MkfsErofs, Wim, Ostree, Overlayfs, CimfsImport, CimfsWriter)


def extra_files(work):
    """The ten files that a fork adds, 275 KB in all."""
    path = os.path.join(work, "extra")
    if not os.path.exists(path):
        os.makedirs(path)
        for i in range(CHANGED):
            with open(os.path.join(path, f"new{i}"), "wb") as f:
                f.write(os.urandom(27_500))
    return path
