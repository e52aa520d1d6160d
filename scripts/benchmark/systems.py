# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is compared: how each system makes an image of a corpus, and mounts it."""

import os
import shutil
import subprocess
import time

from . import workspace


def run(*cmd, **kw):
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, **kw)


def unmount(*cmd):
    """What has just been read may be busy for a moment."""
    for _ in range(50):
        if subprocess.run(cmd, check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    run(*cmd)


class System:
    """One way to read a corpus.  Images are made once a corpus and kept while the run lasts."""

    name = ""
    tools = ()       # programs it needs
    slow = False     # left out of a quick run
    at_most = None   # rounds in which it takes part
    base = False     # what ratios refer to
    fuse = False     # served by a daemon

    def __init__(self, bench):
        self.bench = bench

    def missing(self):
        return [t for t in self.tools if not shutil.which(t)]

    def image(self, corpus):
        """The image of a corpus, made if it is not there."""
        path = os.path.join(self.bench.images, f"{corpus.name}.{self.image_kind}")
        if not os.path.exists(path):
            self.make(corpus, path)
        return path

    def mount(self, corpus):
        """Mount; returns where the tree is."""
        where = os.path.join(self.bench.mounts, self.name)
        os.makedirs(where, exist_ok=True)
        self.attach(self.image(corpus), where)
        return where

    def unmount(self, where):
        unmount("umount", where)

    def daemon(self):
        """The process that serves it; None where there is none."""
        found = workspace.processes_of(os.path.join(self.bench.mounts, self.name))
        return found[0] if self.fuse and found else None


class Disk(System):
    """The corpus itself, on the disk's file system."""
    name, base = "disk", True

    def mount(self, corpus):
        return corpus.path

    def unmount(self, where):
        pass


class Squashfs(System):
    name, tools, image_kind = "squashfs", ("mksquashfs",), "sqfs"

    def make(self, corpus, path):
        run("mksquashfs", corpus.path, path, "-noI", "-noId", "-noD", "-noF", "-noX",
            "-no-progress", "-quiet")

    def attach(self, image, where):
        run("mount", "-t", "squashfs", "-o", "loop,ro", image, where)


class Erofs(System):
    """File-backed, without a loop device, where the kernel can; as fast as it gets."""
    name, tools, image_kind = "erofs", ("mkfs.erofs",), "erofs"

    def make(self, corpus, path):
        run("mkfs.erofs", "--quiet", path, corpus.path, stderr=subprocess.DEVNULL)

    def attach(self, image, where):
        try:
            run(self.bench.probe, "mount", "erofs", image, where, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            run("mount", "-t", "erofs", "-o", "loop,ro", image, where)


class SquashfuseLl(System):
    fuse = True
    name, tools, image_kind = "squashfuse_ll", ("squashfuse_ll", "mksquashfs"), "sqfs"
    make = Squashfs.make

    def attach(self, image, where):
        run("squashfuse_ll", image, where)


class Erofsfuse(System):
    fuse = True
    name, tools, image_kind = "erofsfuse", ("erofsfuse", "mkfs.erofs"), "erofs"
    make = Erofs.make

    def attach(self, image, where):
        run("erofsfuse", image, where, stderr=subprocess.DEVNULL)


class Wimmount(System):
    fuse = True
    name, tools, image_kind = "wimmount", ("wimmount", "wimcapture"), "wim"
    slow, at_most = True, 1

    def make(self, corpus, path):
        run("wimcapture", corpus.path, path, "--compress=none", "--unix-data", "--no-acls",
            stderr=subprocess.DEVNULL)

    def attach(self, image, where):
        run("wimmount", image, where, stderr=subprocess.DEVNULL)

    def unmount(self, where):
        unmount("wimunmount", where)


class Cimfs(System):
    fuse = True
    image_kind = "cim"

    def make(self, corpus, path):
        run(self.bench.cimfs, "import", "--quiet", self.bench.store, f"{corpus.name}.cim",
            corpus.path)
        with open(path, "w", encoding="ascii"):
            pass  # says that it is in the store


class CimfsDirectory(Cimfs):
    name = "cimfs-dir"

    def attach(self, image, where):
        run(self.bench.cimfsd, self.bench.store, where)

    def mount(self, corpus):
        return os.path.join(super().mount(corpus), f"{corpus.name}.cim")

    def unmount(self, where):
        super().unmount(os.path.dirname(where))


class CimfsImage(Cimfs):
    name = "cimfs-image"

    def attach(self, image, where):
        name = os.path.basename(image)
        run(self.bench.cimfsd, os.path.join(self.bench.store, name), where)


ALL = (Disk, Squashfs, Erofs, SquashfuseLl, Erofsfuse, Wimmount, CimfsDirectory, CimfsImage)
