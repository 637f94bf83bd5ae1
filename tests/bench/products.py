"""The products of the writing table, each behind the same few verbs, on a folder that is committed as a whole.

A product answers with costs (wall, CPU, peak memory). Whoever leaves its data in the page cache is charged for what
makes it durable (`sync -f` of that file system; of one copied file: that file). Knows nothing of rows and targets.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import common
from measure import once

HERE = Path(__file__).resolve().parent


def added(*costs):
    """Costs of steps, one after the other."""
    return sum(c[0] for c in costs), sum(c[1] for c in costs), max(c[2] for c in costs)


def sync(folder):
    """Makes all of the file system durable that `folder` is on; the other disks are left alone."""
    return once(["sync", "-f", folder])


class Product:
    """A store in the folder `at`; `current` is the folder whose content is committed."""

    name, suffix = "", "store"

    def __init__(self, bench):
        self.bench, self.at = bench, None

    def new(self, at):
        """An empty store; not measured."""
        self.at = at
        shutil.rmtree(at, ignore_errors=True)
        self.create()
        sync(at.parent)
        return self

    def create(self):
        raise NotImplementedError

    def commit(self, current, message="version"):
        raise NotImplementedError

    def again(self, current):
        """The same content once more, where that is another command."""
        return self.commit(current, "unchanged")

    def stored(self):
        """Bytes of the files of the store."""
        return common.disk_usage(self.at)

    def remove(self):
        shutil.rmtree(self.at, ignore_errors=True)


class Hubvault(Product):
    name = "hv"

    def __init__(self, bench, *options):
        super().__init__(bench)
        self.options = options

    def create(self):
        self.bench.hv("init", self.at)

    def commit(self, current, message="version"):
        # `upload` takes what has gone out of the revision, which a plain `commit` does not.
        return self.bench.ours(self.at, "upload", "--delete", "*", "-m", message, *self.options, current)

    def again(self, current):
        return self.bench.ours(self.at, "commit", "-m", "unchanged", "--add", f".={current}", ok=(0, 1))

    def clone(self, at):
        """A copy that shares the files that never change; not measured."""
        other = Hubvault(self.bench, *self.options)
        other.at = at
        shutil.rmtree(at, ignore_errors=True)
        # Packs, indexes and records are never written again. Locks must not be shared, and what is remembered is made anew.
        shutil.copytree(self.at, at, copy_function=os.link, ignore=shutil.ignore_patterns("locks", "cache", "tmp", "leases"))
        sync(at.parent)
        return other

    def download(self, current, out):
        return self.bench.ours(self.at, "snapshot", "--local-dir", out)

    def verify(self):
        return self.bench.ours(self.at, "verify", "--full")


class Copy(Product):
    """`cp -r` and the sync that makes it last: no history, no checks."""

    name = "cp + sync"

    def create(self):
        self.at.mkdir()
        self.copies = 0

    def commit(self, current, message="version"):
        target = self.at / f"copy{self.copies}"
        self.copies += 1
        copied = once(["cp", "-r", current, target])
        files = list(target.iterdir())
        # One file: it and its folder. A tree: 20,000 single syncs would do cp an injustice.
        return added(copied, once(["sync", *files, target]) if len(files) == 1 and files[0].is_file() else sync(target))

    def download(self, current, out):
        return once(["cp", "-r", current, out])


class Lfs(Product):
    """git with git-lfs; whole files, named by SHA-256, beside the working tree."""

    name = "git-lfs"
    patterns = ["*"]

    def create(self):
        once(["git", "init", "-q", "-b", "main", self.at], env=self.bench.env)
        self.bench.git(self.at, "lfs", "install", "--local")
        (self.at / ".gitattributes").write_text("".join(f"{p} filter=lfs diff=lfs merge=lfs -text\n" for p in self.patterns) + ".git* -filter -diff -merge\n")
        self.bench.git(self.at, "add", ".gitattributes")
        self.bench.git(self.at, "commit", "-q", "-m", "rules")

    def commit(self, current, message="version"):
        # The user's files lie in the working tree: moving them there is not counted.
        for path in self.at.iterdir():
            if path.name not in (".git", ".gitattributes"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in current.iterdir():
            if path.name == ".gitattributes":
                continue  # ours says what goes to LFS
            target = self.at / path.name
            if path.is_dir():
                shutil.copytree(path, target, copy_function=_link, symlinks=True)
            else:
                _link(path, target)
        sync(self.at)
        return self.again(current, message)

    def again(self, current, message="unchanged"):
        add = self.bench.git(self.at, "add", "-A")
        return added(add, self.bench.git(self.at, "commit", "-q", "--allow-empty", "-m", message), sync(self.at))

    def stored(self):
        return common.disk_usage(self.at / ".git")

    def download(self, current, out):
        """What a checkout writes: out of .git/lfs into an empty working tree."""
        out.mkdir()
        return once(["git", f"--git-dir={self.at / '.git'}", f"--work-tree={out}", "checkout", "-q", "-f", "HEAD", "--", "."], env=self.bench.env)

    def verify(self):
        return self.bench.git(self.at, "lfs", "fsck")


class Restic(Product):
    name = "restic"

    def __init__(self, bench):
        super().__init__(bench)
        self.env = {**bench.env, "RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": str(bench.disk / "restic-cache")}

    def restic(self, *args):
        return once(["restic", "-q", "-r", self.at, *args], env=self.env)

    def create(self):
        self.restic("init")

    def commit(self, current, message="version"):
        return added(self.restic("backup", "--host", "bench", current), sync(self.at))

    def download(self, current, out):
        return self.restic("restore", "latest", "--target", out)

    def verify(self):
        return self.restic("check", "--read-data")


class Seed(Product):
    """hubvault 0.0.2 in Python: its own calls, without the time to start Python and import it."""

    name = "seed"

    def create(self):
        self.bench.seed(self.at, "create")

    def commit(self, current, message="version"):
        return added(self.bench.seed(self.at, "upload", current, message), sync(self.at))

    def download(self, current, out):
        return self.bench.seed(self.at, "snapshot", out)

    def verify(self):
        return self.bench.seed(self.at, "verify")


def _link(source, target):
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def peers(bench):
    """Every peer that is here; what is not is said. None in a quick run: they take longer than we."""
    if bench.options.quick:
        return []
    found = [Lfs(bench)] if shutil.which("git-lfs") else []
    found += [Restic(bench)] if shutil.which("restic") else []
    found += [Seed(bench)] if bench.python else []
    lacking = {"git-lfs", "restic", "seed"} - {p.name for p in found}
    if lacking:
        print(f"not measured, for lack of the program: {', '.join(sorted(lacking))}")
    return found


def generated(bench, *words):
    """Runs content.py's command in a process of its own, so that ours stays small; `weights` needs numpy."""
    python = bench.python_with(common.LIGHT_LOADERS, "venv") if words[0] == "weights" else sys.executable
    subprocess.run([os.fspath(python), os.fspath(HERE / "content.py"), *map(str, words)], check=True)
