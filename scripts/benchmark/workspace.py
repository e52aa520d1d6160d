# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a run has its images and mounts, and how nothing of them is left, whatever ends it."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = "cimfs-bench."


class Workspace:
    """A directory of one run's own below the one that keeps the trees.  The latter is locked, so
    that what an earlier run was killed in the middle of can be told from one that is running."""

    def __init__(self, work, build, sources):
        os.makedirs(work, exist_ok=True)
        self.work = os.path.realpath(work)
        self.lock = os.open(self.work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"bench: another run is busy in {work}") from None
        for name in os.listdir(self.work):
            if name.startswith(PREFIX):
                clear(os.path.join(self.work, name))
        self.cimfs = os.path.join(build, "cimfs")
        self.cimfsd = os.path.join(build, "cimfsd")
        for program in (self.cimfs, self.cimfsd):
            if not os.access(program, os.X_OK):
                raise SystemExit(f"bench: no {program}; scripts/build makes it, --build says where "
                                 "it is")
        self.tmp = tempfile.mkdtemp(prefix=PREFIX, dir=self.work)
        self.images, self.store, self.mounts, self.made = (
            os.path.join(self.tmp, d) for d in ("images", "store", "mounts", "made"))
        for d in (self.images, self.store, self.mounts, self.made):
            os.mkdir(d)
        self.probe = os.path.join(self.tmp, "probe")
        self.shim = os.path.join(self.tmp, "synctime.so")
        subprocess.run(["cc", "-O2", "-o", self.probe, os.path.join(sources, "probe.c")],
                       check=True)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", self.shim,
                        os.path.join(sources, "synctime.c"), "-ldl", "-pthread"], check=True)

    def set_aside(self, tree):
        """A tree that is not wanted any more, to be removed at the end: where the disk's ext4 has
        no journal it does not use an inode again for minutes, and looks for another for long."""
        os.rename(tree, tempfile.mkdtemp(prefix="old.", dir=self.tmp))

    def close(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        clear(self.tmp)


def mounts_below(path):
    """Innermost first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            where = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), line.split()[4])
            if where.startswith(path + "/"):
                found.append(where)
    return found[::-1]


def processes_of(path):
    """The processes whose command line names @path or something below it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if int(pid) != os.getpid() and any(
                w == os.fsencode(path) or w.startswith(os.fsencode(path) + b"/") for w in words):
            found.append(int(pid))
    return found


def clear(tmp):
    """Unmount, end the daemons, and remove what is left.  A loop device goes with its mount."""
    for where in mounts_below(tmp):
        if subprocess.run(["umount", where], check=False, stderr=subprocess.DEVNULL).returncode:
            subprocess.run(["umount", "-l", where], check=False)
    for sig in (None, signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + 5
        while (left := processes_of(tmp)) and time.monotonic() < end:
            for pid in left if sig else ():
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
    # What is still mounted must not be walked into.
    if left := mounts_below(tmp):
        print(f"bench: still mounted: {', '.join(left)}", flush=True)
        return
    shutil.rmtree(tmp, ignore_errors=True)
