# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done with a mounted tree.  Each workload gives one figure or several, in its unit."""

import json
import os
import shutil
import subprocess
import tempfile
import time

FIO_SECONDS = 1
OPENS = 2000


def seconds(cmd, cwd=None):
    start = time.monotonic()
    subprocess.run(cmd, shell=True, cwd=cwd, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return time.monotonic() - start


class Workload:
    """What is done with a mounted corpus; it gives one figure or several."""

    def __init__(self, name, figures, corpus, measure, warm_up=None, tools=()):
        self.name, self.corpus, self.measure = name, corpus, measure
        self.figures = figures  # (name, unit) of each number that measure returns
        self.warm_up = warm_up  # what brings all into the caches, where doing it once does not
        self.missing = [t for t in tools if not shutil.which(t)]


def _shell(command):
    return lambda bench, corpus, where: [seconds(command, where)]


def _walk(bench, corpus, where):
    out = subprocess.run([bench.probe, "walk", where], check=True, capture_output=True, text=True)
    took, n = out.stdout.split()
    if int(n) != corpus.n_entries:
        raise RuntimeError(f"{where} has {n} entries, and the corpus {corpus.n_entries}")
    return [float(took)]


def _opens(bench, corpus, where):
    with tempfile.NamedTemporaryFile("w", suffix=".list") as f:
        f.writelines(os.path.join(where, p) + "\n" for p in corpus.sample(OPENS))
        f.flush()
        out = subprocess.run([bench.probe, "open", f.name], check=True, capture_output=True,
                             text=True)
    return [float(n) for n in out.stdout.split()]


def _fio(jobs):
    def measure(bench, corpus, where):
        out = subprocess.run(
            ["fio", "--name=r", f"--filename={where}/big.bin", "--rw=randread", "--bs=4k",
             "--ioengine=psync", "--readonly", "--invalidate=0", f"--numjobs={jobs}",
             "--time_based", f"--runtime={FIO_SECONDS}", "--group_reporting",
             "--output-format=json"], check=True, capture_output=True, text=True)
        return [json.loads(out.stdout)["jobs"][0]["read"]["iops"]]
    return measure


READ = (
    Workload("find", [("find", "s")], "usr", _shell("find . -ls")),
    Workload("walk", [("walk", "s")], "usr", _walk),
    Workload("tar", [("tar", "s")], "usr", _shell("tar cf - . | cat")),
    # No match anywhere: grep reads all, and xargs' status is not the file system's.
    Workload("grep", [("grep", "s")], "usr",
             _shell("find . -type f -print0 | xargs -0 -P2 -n 500 grep -F 'no such words here' "
                    "|| [ $? -eq 123 ]")),
    Workload("open", [("open", "us"), ("open-p99", "us")], "usr", _opens),
    Workload("dd", [("dd", "s")], "big", _shell("dd if=big.bin of=/dev/null bs=1M")),
    Workload("rand", [("rand-1", "iops")], "big", _fio(1), _shell("cat big.bin"), ("fio",)),
    Workload("rand4", [("rand-4", "iops")], "big", _fio(4), _shell("cat big.bin"), ("fio",)),
)


def mount_to_ls(bench, system, corpus):
    """Seconds from the mount command to the end of the first ls."""
    system.image(corpus)
    start = time.monotonic()
    where = system.mount(corpus)
    subprocess.run(["ls", where], check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - start
    system.unmount(where)
    return took
