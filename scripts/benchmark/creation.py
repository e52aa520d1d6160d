# SPDX-License-Identifier: LGPL-2.1-or-later
"""Making images of a tree, and a slightly different one of each: time, CPU, memory, bytes."""

import os
import shutil
import struct
import subprocess
import time

from .systems import run, unmount

CHANGED = 10          # files that a fork adds
CHANGED_SIZE = 27_500  # bytes of each


class SyncClock:
    """How long the programs that are started with @env wait for the disk; see synctime.c."""

    def __init__(self, bench, name="sync"):
        self.path = os.path.join(bench.tmp, name)
        with open(self.path, "wb") as f:
            f.write(bytes(16))
        self.env = {**os.environ, "LD_PRELOAD": bench.shim, "CIMFS_BENCH_SYNC": self.path}

    def seconds(self):
        with open(self.path, "rb") as f:
            return struct.unpack("=QQ", f.read(16))[0] / 1e9


class Cost:
    """What one command took; memory is that of its largest process."""

    def __init__(self, bench, argv, cwd=None):
        figures = os.path.join(bench.tmp, "cost")
        clock = SyncClock(bench)
        run(bench.probe, "cost", figures, *argv, cwd=cwd, env=clock.env, stderr=subprocess.DEVNULL)
        with open(figures, encoding="ascii") as f:
            self.seconds, self.cpu, self.mib = map(float, f.read().split())
        self.sync = clock.seconds()

    @property
    def beside(self):
        """Seconds in which it did not wait for the disk to have its data."""
        return self.seconds - self.sync


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
    slow = False        # left out of a quick run
    at_most = None      # rounds in which it takes part
    many_files = False  # what it makes

    def __init__(self, bench):
        self.bench = bench
        self.out = os.path.join(bench.made, self.name.replace(" ", "-"))

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
    name, tools, many_files = "cp -a", ("cp",), True

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
        return Cost(self.bench, ["wimcapture", tree, self.path("i.wim"), "--compress=none",
                                 "--unix-data", "--no-acls"])

    def fork(self, tree, extra):
        return Cost(self.bench, ["wimupdate", self.path("i.wim"), "1",
                                 f"--command=add {extra} /extra", "--unix-data"])


class Ostree(Maker):
    name, tools, many_files = "ostree", ("ostree",), True
    slow, at_most = True, 1

    def make(self, tree):
        repo = self.path("repo")
        run("ostree", "init", "--mode=bare-user", f"--repo={repo}")
        return Cost(self.bench, ["ostree", "commit", f"--repo={repo}", "-b", "a",
                                 f"--tree=dir={tree}"])

    def fork(self, tree, extra):
        return Cost(self.bench, ["ostree", "commit", f"--repo={self.path('repo')}", "-b", "b",
                     "--tree=ref=a", f"--tree=dir={extra}"])


class Reflink(Maker):
    """A copy that shares its data, where the file system can."""
    name, tools, many_files = "cp --reflink", ("cp",), True

    def make(self, tree):
        return Cost(self.bench, ["cp", "-a", "--reflink=always", tree, self.path("tree")])

    def fork(self, tree, extra):
        return Cost(self.bench, ["cp", "-a", "--reflink=always", self.path("tree"),
                                 self.path("fork")])


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
        return Cost(self.bench, [self.bench.cimfs, "import", "--quiet", "--from=a.cim", self.out,
                                 "b.cim", extra])


class Daemon:
    """cimfsd on an image directory, and its control file.  Use it with "with"."""

    def __init__(self, bench, source, where=None, clock=None):
        self.where = where or source
        os.makedirs(self.where, exist_ok=True)
        self.log = os.path.join(bench.tmp, "cimfsd.log")
        # Not in this program's session: Ctrl-C at the terminal is for this program to act upon.
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [bench.cimfsd, "-f", source, self.where], stderr=log,
                env=clock.env if clock else None, start_new_session=True)

    def __enter__(self):
        while not os.path.ismount(self.where):
            if self.process.poll() is not None:
                with open(self.log, encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"cimfsd does not mount {self.where}: {log.read()}")
            time.sleep(0.001)
        return self

    def request(self, line):
        with open(os.path.join(self.where, "control"), "w", encoding="utf-8") as f:
            f.write(line + "\n")

    def path(self, name):
        return os.path.join(self.where, name)

    def figures(self):
        """Its seconds of CPU so far, and its peak of memory in MiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            peak = next(line for line in f if line.startswith("VmHWM:"))
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            ticks = f.read().rsplit(")", 1)[1].split()[11:13]
        return (sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1024)

    def __exit__(self, *_):
        unmount("umount", self.where)
        self.process.wait()


class CimfsWriter(Maker):
    """Through the mount, as people do it; the commit is part of it, and the daemon's CPU."""
    name, tools, at_most = "cimfs cp -a", ("cp",), 2

    def make(self, tree):
        clock = SyncClock(self.bench, "daemon-sync")
        with Daemon(self.bench, self.out, clock=clock) as daemon:
            daemon.request("create new=a.cim")
            cost = Cost(self.bench, ["cp", "-a", f"{tree}/.", daemon.path("writer/")])
            start = time.monotonic()
            daemon.request("commit")
            cost.seconds += time.monotonic() - start
            cost.sync += clock.seconds()
            cpu, cost.mib = daemon.figures()
            cost.cpu += cpu
        return cost


ALL = (Cp, Reflink, Mksquashfs, MkfsErofs, Wim, Ostree, Overlayfs, CimfsImport, CimfsWriter)


def extra_files(bench, tree):
    """A tree of the ten files that a fork adds, in ten directories that @tree has: 275 KB in all,
    other ones each time."""
    top = os.path.join(bench.tmp, f"extra-{tree.name}")
    for i in range(CHANGED):
        directory = os.path.join(top, tree.dirs[i % len(tree.dirs)])
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, f"cimfs-bench-new{i}"), "wb") as f:
            f.write(os.urandom(CHANGED_SIZE))
    return top
