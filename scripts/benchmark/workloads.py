# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done with a mounted tree.  Each workload gives one figure or several, in its unit."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time


def seconds(command, cwd=None, limit=None):
    """What a line of shell takes.  All of its processes end with it, also where it is stopped."""
    start = time.monotonic()
    shell = subprocess.Popen(command, shell=True, cwd=cwd, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
    # Not wait(limit): it looks every 50 ms, and so much would be added to what is measured.
    alarm = threading.Timer(limit or threading.TIMEOUT_MAX, os.killpg, (shell.pid, signal.SIGKILL))
    alarm.start()
    try:
        status = shell.wait()
    except BaseException:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        raise
    finally:
        took = time.monotonic() - start
        alarm.cancel()
    if limit and took >= limit:
        raise subprocess.TimeoutExpired(command, limit)
    if status:
        raise subprocess.CalledProcessError(status, command)
    return took


class Workload:
    """What is done with a mounted corpus; it gives one figure or several."""

    def __init__(self, name, figures, corpus, measure, warm_up=None, tools=()):
        self.name, self.corpus, self.measure = name, corpus, measure
        self.figures = figures  # (name, unit) of each number that measure returns
        self.warm_up = warm_up  # what brings all into the caches, where doing it once does not
        self.missing = [t for t in tools if not shutil.which(t)]


def _shell(command):
    return lambda bench, corpus, where: [seconds(command, where, bench.limit)]


def walk(bench, corpus, where):
    out = subprocess.run([bench.probe, "walk", where], check=True, capture_output=True, text=True,
                         timeout=bench.limit)
    took, n = out.stdout.split()
    if int(n) != corpus.n_entries:
        raise RuntimeError(f"{where} has {n} entries, and the corpus {corpus.n_entries}")
    return [float(took)]


def opens(bench, corpus, where):
    with tempfile.NamedTemporaryFile("w", suffix=".list", encoding="utf-8",
                                     errors="surrogateescape") as f:
        f.writelines(p + "\n" for p in corpus.small)
        f.flush()
        out = subprocess.run([bench.probe, "open", f.name], check=True, capture_output=True,
                             text=True, timeout=bench.limit, cwd=where)
    return [float(n) for n in out.stdout.split()]


def _fio(jobs):
    def measure(bench, corpus, where):
        out = subprocess.run(
            ["fio", "--name=r", f"--filename={where}/big.bin", "--rw=randread", "--bs=4k",
             "--ioengine=psync", "--readonly", "--invalidate=0", f"--numjobs={jobs}",
             "--time_based", f"--runtime={bench.fio_ms}ms", "--group_reporting",
             "--output-format=json"], check=True, capture_output=True, text=True)
        return [json.loads(out.stdout)["jobs"][0]["read"]["iops"]]
    return measure


find = _shell("find . -ls")
tar = _shell("tar cf - . | cat")
# No match anywhere: grep reads all, and xargs' status is not the file system's.
_grep = _shell("find . -type f -print0 | xargs -0 -P2 -n 500 grep -F 'no such words here' "
               "|| [ $? -eq 123 ]")

# Reading changes a time of access, as the kernel thinks of a mount that can be written to: it asks
# for the attributes once more on the next visit, which is why once does not make these warm.
READ = (
    Workload("find", [("find", "s")], "usr", find, find),
    Workload("walk", [("walk", "s")], "usr", walk, walk),
    Workload("tar", [("tar", "s")], "usr", tar, find),
    Workload("grep", [("grep", "s")], "usr", _grep, find),
    Workload("open", [("open", "us"), ("open-p99", "us")], "usr", opens),
    Workload("dd", [("dd", "s")], "big", _shell("dd if=big.bin of=/dev/null bs=1M")),
    Workload("rand", [("rand-1", "iops")], "big", _fio(1), _shell("cat big.bin"), ("fio",)),
    Workload("rand4", [("rand-4", "iops")], "big", _fio(4), _shell("cat big.bin"), ("fio",)),
)


def mount_to_ls(system, tree):
    """Seconds from the mount command to the end of the first ls."""
    start = time.monotonic()
    where = system.mount(tree)
    try:
        subprocess.run(["ls", where], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - start
    finally:
        system.unmount(where)


def private_memory(pid, store):
    """MiB that belong to a process alone, and of these MiB that are pages of files below @store.

    Private_Clean and Private_Dirty of /proc/PID/smaps.  Pages of a mapped image file are in the
    page cache whoever reads them, and count as private where only one process has them mapped; so
    they are told apart."""
    own = mapped = 0
    path = ""
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            words = line.split()
            if not words[0].endswith(":"):
                path = line.split(maxsplit=5)[5].strip() if len(words) > 5 else ""
            elif words[0] in ("Private_Clean:", "Private_Dirty:"):
                if path.startswith(store + "/"):
                    mapped += int(words[1])
                else:
                    own += int(words[1])
    return own / 1024, mapped / 1024
