# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trees that are measured: made once in the working directory and kept for the next run."""

import os
import random
import shutil
import subprocess

FILE_MAX = 16 << 20  # bytes; larger files of /usr are left out, there is a big one besides
SOURCES = ("/usr/share", "/usr/include", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/gcc",
           "/usr/lib/x86_64-linux-gnu", "/usr/lib/go", "/usr/lib/node_modules")


class Corpus:
    """A tree of files, and what is known of it."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.n_files = self.n_entries = self.n_bytes = 0
        self.small = []  # relative paths of files under 64 KiB
        for directory, dirs, files in os.walk(path):
            self.n_entries += len(dirs) + len(files)
            for f in files:
                full = os.path.join(directory, f)
                if os.path.islink(full):
                    continue
                size = os.lstat(full).st_size
                self.n_files += 1
                self.n_bytes += size
                if size < 65536:
                    self.small.append(os.path.relpath(full, path))

    def sample(self, n):
        """The same random small files each time, with no newline in their names."""
        usable = sorted(p for p in self.small if "\n" not in p)
        return random.Random(1).sample(usable, min(n, len(usable)))

    def describe(self):
        return (f"{self.name}: {self.n_files:,} files, {self.n_entries:,} entries, "
                f"{self.n_bytes / 1e6:,.0f} MB")


def _once(path, make):
    """Make a tree under another name first, so that one that was interrupted is not taken for done."""
    if not os.path.exists(path):
        part = path + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        make(part)
        os.rename(part, path)
    return path


def _copy_usr(files_max, bytes_max):
    def make(to):
        files = size = 0
        for source in SOURCES:
            for directory, dirs, names in os.walk(source):
                dirs.sort()
                target = to + directory
                os.makedirs(target, exist_ok=True)
                for name in sorted(names):
                    full = os.path.join(directory, name)
                    st = os.lstat(full)
                    if os.path.islink(full):
                        os.symlink(os.readlink(full), os.path.join(target, name))
                    elif os.path.isfile(full) and st.st_size <= FILE_MAX:
                        shutil.copy2(full, os.path.join(target, name))
                        files += 1
                        size += st.st_size
                    if files >= files_max or size >= bytes_max:
                        return
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
    kind = "usr-quick" if quick else "usr"
    make = _copy_usr(12_000, 400 << 20) if quick else _copy_usr(75_000, 1300 << 20)
    return Corpus("usr", _once(os.path.join(work, kind), make))


def small(work):
    return Corpus("small", _once(os.path.join(work, "small"), _generate(200_000, 100, 4096)))


def million(work):
    return Corpus("million", _once(os.path.join(work, "million"), _generate(1_000_000, 1000, 0)))


def big(work, quick):
    size = 256 << 20 if quick else 1 << 30
    return Corpus("big", _once(os.path.join(work, f"big-{size >> 20}"), _big_file(size)))


def drop_caches():
    """Start cold; false where that is not allowed."""
    subprocess.run(["sync"], check=True)
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
    except OSError:
        return False
    return True
