# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trees that are measured: made once in the working directory and kept for the next run."""

import json
import os
import random
import shutil
import subprocess

FILE_MAX = 16 << 20  # bytes; larger files of /usr are left out, there is a big one besides
SMALL_FILE = 64 << 10
SAMPLE = 2000
SOURCES = ("/usr/share", "/usr/include", "/usr/lib/python3", "/usr/lib/gcc", "/usr/lib/go",
           "/usr/lib/node_modules", "/usr/lib", "/usr/local")


class Corpus:
    """A tree of files, and what is known of it.  Counting a million files again takes long."""

    def __init__(self, name, path, counted):
        self.name, self.path = name, path
        self.n_files, self.n_entries = counted["files"], counted["entries"]
        self.n_bytes = counted["bytes"]
        self.small = counted["small"]  # some relative paths of files under 64 KiB, the same always
        self.dirs = counted["dirs"]    # ten of directories

    def describe(self):
        return f"{self.n_files:,} files, {self.n_entries:,} entries, {self.n_bytes / 1e6:,.0f} MB"


def _count(path):
    files = entries = size = 0
    small, dirs = [], []
    for directory, subdirs, names in os.walk(path):
        below = os.path.relpath(directory, path)
        entries += len(subdirs) + len(names)
        dirs += [os.path.join(below, d) for d in subdirs
                 if not os.path.islink(os.path.join(directory, d))]
        for name in names:
            st = os.lstat(os.path.join(directory, name))
            if os.path.islink(os.path.join(directory, name)):
                continue
            files += 1
            size += st.st_size
            if st.st_size < SMALL_FILE and "\n" not in name:
                small.append(os.path.join(below, name))
    rng = random.Random(1)
    return {"files": files, "entries": entries, "bytes": size,
            "small": rng.sample(sorted(small), min(SAMPLE, len(small))),
            "dirs": rng.sample(sorted(dirs), min(10, len(dirs)))}


def _kept(name, path, make):
    """Made under another name first, so that one that was interrupted is not taken for done."""
    if not os.path.exists(path):
        part = path + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        make(part)
        os.rename(part, path)
    known = path + ".json"
    if not os.path.exists(known):
        with open(known + ".part", "w", encoding="utf-8", errors="surrogateescape") as f:
            json.dump(_count(path), f)
        os.rename(known + ".part", known)
    with open(known, encoding="utf-8", errors="surrogateescape") as f:
        return Corpus(name, path, json.load(f))


def _copy_usr(files_wanted, bytes_wanted):
    """Files of /usr until there are as many, and as much, as wanted; large ones make up for bytes
    that are lacking, small ones for files."""
    def wanted(size, files, total):
        if files >= files_wanted:
            return size > SMALL_FILE
        return size <= (FILE_MAX if total < bytes_wanted else SMALL_FILE)

    def make(to):
        files = total = 0
        for source in SOURCES:
            for directory, dirs, names in os.walk(source):
                dirs.sort()
                target = to + directory
                for name in sorted(names):
                    if files >= files_wanted and total >= bytes_wanted:
                        return
                    full, copy = os.path.join(directory, name), os.path.join(target, name)
                    st = os.lstat(full)
                    if os.path.lexists(copy):
                        continue
                    os.makedirs(target, exist_ok=True)
                    if os.path.islink(full):
                        os.symlink(os.readlink(full), copy)
                    elif os.path.isfile(full) and wanted(st.st_size, files, total):
                        shutil.copy2(full, copy)
                        files += 1
                        total += st.st_size
    return make


def _generate(n_files, per_dir, size_max):
    def make(to):
        rng = random.Random(2)
        for i in range(n_files):
            directory = os.path.join(to, f"d{i // per_dir:05}")
            if i % per_dir == 0:
                os.mkdir(directory)
            with open(os.path.join(directory, f"file{i:07}"), "wb") as f:
                f.write(rng.randbytes(rng.randrange(size_max)) if size_max else b"")
    return make


def _big_file(size):
    def make(to):
        with open(os.path.join(to, "big.bin"), "wb") as f:
            for _ in range(size >> 20):
                f.write(os.urandom(1 << 20))
    return make


def usr(work, quick):
    files, size = (10_000, 150 << 20) if quick else (70_000, 1100 << 20)
    return _kept("usr", os.path.join(work, f"usr-{files}"), _copy_usr(files, size))


def ten_thousand(work):
    """What is copied into a writer; the same in a quick run."""
    return _kept("cp", os.path.join(work, "usr-10000"), _copy_usr(10_000, 150 << 20))


def small(work):
    return _kept("small", os.path.join(work, "small"), _generate(200_000, 100, 4096))


def million(work):
    """Empty files: it is the number that is measured."""
    return _kept("million", os.path.join(work, "million"), _generate(1_000_000, 1000, 0))


def big(work, quick):
    size = 256 << 20 if quick else 1 << 30
    return _kept("big", os.path.join(work, f"big-{size >> 20}"), _big_file(size))


def make_all(work, quick):
    made = [usr(work, quick), big(work, quick), ten_thousand(work)]
    return {c.name: c for c in made if quick} or {
        c.name: c for c in made + [small(work), million(work)]}


def warm(tree):
    """Bring all of a tree into the caches.  Into /dev/null alone, tar would read nothing."""
    subprocess.run("tar cf - . | cat", shell=True, cwd=tree.path, check=True,
                   stdout=subprocess.DEVNULL)


def drop_caches():
    """Start cold; false where that is not allowed."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
    except OSError:
        return False
    return True
