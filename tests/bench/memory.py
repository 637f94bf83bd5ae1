"""Peak memory of every command that touches a large file. What is measured is the command's own process, started from
a small one: what a large parent holds when it forks counts as the child's."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import content
from measure import Cost, Failed, once

HERE = Path(__file__).resolve().parent
LIMIT = 256 << 20
SPARE = 8 << 30  # bytes of the disk that are left alone
LAUNCH = """
import json, os, sys
child = os.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024], open(sys.argv[1], "w"))
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Memory:
    def __init__(self, bench, size):
        self.bench, self.size = bench, size
        self.vault, self.out, self.point = bench.place("large", bench.disk), bench.disk / "out", bench.disk / "point"
        self.report = bench.disk / "usage.json"
        self.plain = self.edited = None

    def launch(self, *args):
        return [sys.executable, "-I", "-S", "-c", LAUNCH, self.report, self.bench.hv.program, *args]

    def row(self, name, wall, limit=LIMIT, what=None):
        cpu, rss = json.loads(self.report.read_text())
        cost = Cost()
        cost.add(wall, cpu, rss)
        print(f"  {name:<34} {rss / 2**20:7.1f} MiB {wall:8.2f} s wall {cpu:8.2f} s CPU", flush=True)
        self.bench.table.rows.append({"workload": f"{name}, {what or f'{self.size / 1e9:.1f} GB'}", "costs": {"hv": cost}, "ratios": {}})
        if rss > limit:
            self.bench.table.failures.append(f"{name} used {rss >> 20} MiB")

    def step(self, name, *args, room=0.0, ok=(0,)):
        """One command; `room` is the disk it takes, as a part of the file's size."""
        if shutil.disk_usage(self.bench.disk).free < room * self.size + SPARE:
            print(f"  {name:<34} left out: no room on the disk", flush=True)
            return False
        wall, *_ = once(self.launch("-C", self.vault, *args), env=self.bench.env, ok=ok)
        self.row(name, wall)
        return True

    def alone(self, name, vault, source, *options, limit, what):
        """One commit, into a vault of its own if it is the first there."""
        if not vault.exists():
            self.bench.hv("init", vault)
        wall, *_ = once(self.launch("-C", vault, "commit", "-m", name, *options, "--add", f"m={source}"), env=self.bench.env)
        self.row(name, wall, limit, what)

    def sparse(self, size=64 << 30):
        """A file of which every chunk is another and that takes a sixteenth of its size: where the file system shares
        blocks, so does its commit."""
        small, file = self.bench.disk / "shared", self.bench.disk / "sparse.bin"
        small.write_bytes(b"blocks" * 1000)
        if subprocess.run(["cp", "--reflink=always", small, f"{small}2"], stderr=subprocess.DEVNULL, check=False).returncode:
            print("  commit of a sparse file of 64 GiB: left out, this file system does not share blocks (see --disk)", flush=True)
            return
        with open(file, "wb", buffering=0) as out:
            out.truncate(size)
            for at in range(0, size, 64 << 10):
                os.pwrite(out.fileno(), b"%016d" % at, at + 100)
        self.alone("commit of a sparse file", self.bench.place("sparse", self.bench.disk), file, "--compression", "none", limit=128 << 20, what="64 GiB")
        file.unlink()

    def many(self, files=1_000_000):
        """Small files in one commit: each is some rows, a path, and what it is recognised by; then the same again."""
        source = self.bench.place("many", self.bench.disk)
        script = f"import sys; from pathlib import Path; sys.path[:0] = [{str(HERE)!r}]; import content; content.write_files(Path({str(source)!r}), {files}, 1000)"
        subprocess.run([sys.executable, "-c", script], check=True)
        vault, what = self.bench.place("many.vault", self.bench.disk), f"{files:,} files"
        self.alone("commit of small files", vault, source, limit=128 << 20, what=what)
        self.alone("commit of them unchanged", vault, source, "--allow-empty", limit=128 << 20, what=what)
        next(path for path in source.rglob("*") if path.is_file()).write_text("changed\n")
        self.alone("commit of one of them changed", vault, source, limit=128 << 20, what=what)
        shutil.rmtree(source)

    def mounted(self, name, *options):
        """Reads the file through a mount; the memory is that of the process that serves it."""
        if not os.path.exists("/dev/fuse"):
            return
        self.point.mkdir(exist_ok=True)
        start, env = time.perf_counter(), self.bench.env
        serving = subprocess.Popen([os.fspath(a) for a in self.launch("mount", "-f", *options, self.vault, f"{self.point}@main")], env=env, stdout=subprocess.DEVNULL)
        try:
            while not os.path.ismount(self.point):
                if serving.poll() is not None or time.perf_counter() - start > 60:
                    raise Failed("the mount does not come up")
                time.sleep(0.01)
            with open(self.point / "m/large.bin", "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
        finally:
            subprocess.run([self.bench.hv.program, "umount", self.point], env=env, stdout=subprocess.DEVNULL, check=False)
            serving.wait()
        self.row(name, time.perf_counter() - start)

    @contextlib.contextmanager
    def source(self):
        """A file to commit, and a function that answers the same with a megabyte changed; with `--full` neither takes
        any disk."""
        if self.bench.options.full:
            folder = self.bench.disk / "source"
            folder.mkdir()
            serving = subprocess.Popen([self.bench.python_with(["mfusepy"], "venv-source"), HERE / "source.py", folder, str(self.size)])
            while not os.path.ismount(folder):
                if serving.poll() is not None:
                    raise Failed("the source of random files does not come up")
                time.sleep(0.05)
            try:
                yield folder / "plain.bin", lambda: folder / "edited.bin"
            finally:
                subprocess.run(["fusermount3", "-u", folder], check=False)
                serving.wait()
        else:
            file = self.bench.disk / "large.bin"
            # In a process of its own: ours stays small.
            script = f"import sys; sys.path[:0] = [{str(HERE)!r}]; import content; content.write_random({str(file)!r}, {self.size})"
            subprocess.run([sys.executable, "-c", script], check=True)
            yield file, lambda: content.edit(file, self.size // 2)
            file.unlink()

    def all(self):
        print(f"\npeak memory with a file of {self.size / 1e9:.1f} GB that nothing compresses", flush=True)
        self.bench.hv("init", self.vault)
        with self.source() as (plain, edited):
            if not self.step("commit", "commit", "-m", "large", "--add", f"m/large.bin={plain}", room=1):
                raise Failed(f"{self.bench.disk} has no room for this")
            self.reading()
            if self.step("commit unchanged", "commit", "-m", "same", "--add", f"m/large.bin={plain}", room=0.1, ok=(0, 1)):
                self.versions(edited)
        self.keeping()
        shutil.rmtree(self.vault, ignore_errors=True)

    def reading(self):
        self.step("ls-tree -r -l", "ls-tree", "-r", "-l", "main")
        self.step("ls", "ls", "main:m")
        self.step("du", "du")
        self.step("show", "show", "main")
        self.step("cat", "cat", "main:m/large.bin")
        self.step("verify", "verify")
        self.step("verify --full", "verify", "--full")
        self.mounted("reading a mount")
        self.mounted("reading a mount, streamed", "--no-passthrough")
        self.copies()

    def copies(self):
        for name, *args in (("download", "download", "m/large.bin"), ("snapshot", "snapshot")):
            self.step(f"{name} --local-dir", *args, "--local-dir", self.out, room=1)
            shutil.rmtree(self.out, ignore_errors=True)
        if self.step("download into the cache", "download", "m/large.bin", room=1):
            self.step("download, there already", "download", "m/large.bin")

    def versions(self, edited):
        """A second version, a branch beside it, and what compares and joins them."""
        if not self.step("upload a megabyte changed", "upload", edited(), "m/large.bin", room=0.1):
            return
        self.step("diff", "diff", "main~1", "main")
        self.step("show, changed", "show", "main")
        self.step("log --stat", "log", "--stat")
        small = self.bench.disk / "small"
        small.write_text("small\n")
        self.bench.hv("branch", "side", "main~1", vault=self.vault)
        self.step("commit beside it", "commit", "-r", "side", "-m", "side", "--add", f"small={small}")
        self.step("merge", "merge", "side", "--target", "main")
        self.step("cat, of two versions", "cat", "main:m/large.bin")

    def keeping(self):
        self.step("squash", "squash", "main")
        self.step("gc --prune now", "gc", "--prune", "now", room=0.1)
        self.step("verify --full, after", "verify", "--full")


def memory(bench):
    workload = Memory(bench, bench.options.large)
    workload.all()
    if bench.options.full:
        workload.sparse()
        workload.many()
