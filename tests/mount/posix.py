#!/usr/bin/env python3
"""A read-only POSIX suite: whatever a program may do to read, done to a plain folder and to a mount of the same files,
with the same answers; whatever would change something, refused.

    posix.py PLAIN MOUNT     closing line: N checks; a difference is a message and exit code 1
"""

import ctypes
import errno
import mmap
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading

PLAIN, MOUNT = (os.path.abspath(p) for p in sys.argv[1:3])
checks = 0


def same(what, plain, mount):
    global checks
    checks += 1
    if plain != mount:
        show = lambda v: repr(v) if len(repr(v)) < 300 else repr(v)[:300] + "…"
        sys.exit(f"{what}: on the plain folder {show(plain)}, on the mount {show(mount)}")


def outcome(call, *args):
    """What a call answers, or its error number: both are to be the same."""
    try:
        return call(*args)
    except OSError as error:
        return errno.errorcode.get(error.errno, error.errno)


def both(what, call):
    same(what, outcome(call, PLAIN), outcome(call, MOUNT))


def tree(top):
    """Every path below `top`, relative, in order; folders end in a slash."""
    found = []
    for where, folders, files in os.walk(top):
        here = os.path.relpath(where, top)
        found += [os.path.normpath(os.path.join(here, f)) for f in files]
        found += [os.path.normpath(os.path.join(here, f)) + "/" for f in folders]
    return sorted(found)


def files(top=PLAIN):
    return [p for p in tree(top) if os.path.isfile(os.path.join(top, p)) and not os.path.islink(os.path.join(top, p))]


def opened(top, path, flags=os.O_RDONLY):
    return os.open(os.path.join(top, path), flags | os.O_CLOEXEC)


def closing(fd, call):
    try:
        return call(fd)
    finally:
        os.close(fd)


# ------------------------------------------------------------------------------------------------ names and numbers


def names():
    both("the tree", tree)
    for path in ["", *(p.rstrip("/") for p in tree(PLAIN))]:

        def stat(top, follow):
            s = os.stat(os.path.join(top, path), follow_symlinks=follow)
            kind, program = s.st_mode & 0o170000, s.st_mode & 0o100 != 0
            is_file = kind == 0o100000
            size = s.st_size if kind != 0o040000 else None
            return kind, program or not is_file, size, s.st_uid, s.st_nlink if is_file else None

        for follow in (True, False):
            both(f"stat {path!r}", lambda top: stat(top, follow))
        both(f"readlink {path!r}", lambda top: os.readlink(os.path.join(top, path)))
        both(f"listdir {path!r}", lambda top: sorted(os.listdir(os.path.join(top, path))))
        both(f"access {path!r}", lambda top: [os.access(os.path.join(top, path), m) for m in (os.F_OK, os.R_OK)])
    for path in ("absent", "absent/below", files()[0] + "/below", "x" * 255, "x" * 256, "x/" * 2100):
        both(f"stat {path[:20]!r}", lambda top: os.stat(os.path.join(top, path)) and None)
    numbers = [os.lstat(os.path.join(MOUNT, p)).st_ino for p in tree(MOUNT)]
    same("inodes are unique", len(numbers), len(set(numbers)))
    listed = {e.name: e.inode() for e in os.scandir(MOUNT)}
    same("listed inodes", {n: os.lstat(os.path.join(MOUNT, n)).st_ino for n in listed}, listed)
    for path in files(MOUNT):
        s = os.stat(os.path.join(MOUNT, path))
        same(f"blocks of {path}", (s.st_size + 511) // 512, s.st_blocks)
        same(f"times of {path}", (s.st_mtime_ns, s.st_mtime_ns), (s.st_atime_ns, s.st_ctime_ns))
        same(f"an attribute of {path}", "ENODATA", outcome(os.getxattr, os.path.join(MOUNT, path), "user.absent"))
    flags = os.statvfs(MOUNT).f_flag
    same("mount flags", os.ST_RDONLY | os.ST_NOSUID, flags & (os.ST_RDONLY | os.ST_NOSUID))


# ------------------------------------------------------------------------------------------------ bytes


def read_all(fd):
    parts = []
    while part := os.read(fd, 1 << 17):
        parts.append(part)
    return b"".join(parts)


def whole():
    for path in files():
        both(f"read {path}", lambda top: closing(opened(top, path), read_all))
    both("open a folder to read", lambda top: closing(os.open(top, os.O_RDONLY), lambda fd: os.read(fd, 1)))
    both("open with O_DIRECTORY", lambda top: os.open(os.path.join(top, files()[0]), os.O_DIRECTORY) and None)
    both("open a link with O_NOFOLLOW", lambda top: os.open(os.path.join(top, "link"), os.O_NOFOLLOW) and None)


def at_random(seed, rounds=120):
    dice = random.Random(seed)
    for path in dice.sample(files(), min(4, len(files()))):
        size = os.path.getsize(os.path.join(PLAIN, path))
        fds = opened(PLAIN, path), opened(MOUNT, path)
        for _ in range(rounds):
            offset = dice.choice([0, size, size + 1, max(0, size - 1), dice.randrange(size + 4096)])
            length = dice.choice([0, 1, 2, 4095, 4096, 4097, 65536, 131073, 300_000])
            plain, mount = (os.pread(fd, length, offset) for fd in fds)
            same(f"pread {length} at {offset} of {path}", plain, mount)
        for fd in fds:
            os.close(fd)


def seeks():
    for path in files():

        def walk(top):
            fd = opened(top, path)
            size = os.fstat(fd).st_size
            steps = [(0, os.SEEK_SET), (7, os.SEEK_CUR), (-3, os.SEEK_END), (0, os.SEEK_END), (1 << 40, os.SEEK_SET)]
            answers = [outcome(os.lseek, fd, o, w) for o, w in steps] + [outcome(os.lseek, fd, -1, os.SEEK_SET)]
            # The plain file is written without holes; where its data ends is where the file ends.
            holes = [outcome(os.lseek, fd, o, w) for o in (0, max(0, size - 1), size) for w in (os.SEEK_DATA, os.SEEK_HOLE)]
            os.close(fd)
            return answers, holes

        both(f"seeks in {path}", walk)


def vectors():
    for path in files():

        def scatter(top):
            parts = [bytearray(n) for n in (1, 4096, 33, 100_000)]
            fd = opened(top, path)
            n = os.preadv(fd, parts, 5)
            os.close(fd)
            return n, parts

        both(f"preadv {path}", scatter)


def mappings():
    for path in files():
        if not os.path.getsize(os.path.join(PLAIN, path)):
            continue

        def shared(top):
            fd = opened(top, path)
            with mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ) as view:
                os.close(fd)  # a mapping outlives its descriptor
                middle = len(view) // 2
                return view[-1], view[middle : middle + 5000], view[:]

        def private(top):
            fd = opened(top, path)
            with mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
                view[0] = (view[0] + 1) % 256
                changed = view[0]
                on_disk = os.pread(fd, 1, 0)  # the file itself is not changed by that
                os.close(fd)
                return changed, on_disk, view[:]

        both(f"shared mapping of {path}", shared)
        both(f"private mapping of {path}", private)
    refused = outcome(lambda: mmap.mmap(opened(MOUNT, files()[0]), 0, mmap.MAP_SHARED, mmap.PROT_WRITE))
    same("a shared writable mapping", "EACCES", refused)


def direct():
    for path in files():
        size = os.path.getsize(os.path.join(PLAIN, path))

        def unbuffered(top):
            fd = opened(top, path, os.O_DIRECT)
            page = mmap.mmap(-1, 1 << 20)  # aligned memory
            n = os.preadv(fd, [page], 0)
            os.close(fd)
            return n, page[:n]

        mount = outcome(unbuffered, MOUNT)
        if mount != "EINVAL":  # a file system below may know no O_DIRECT; then passthrough has none either
            plain = closing(opened(PLAIN, path), lambda fd: os.pread(fd, 1 << 20, 0))
            same(f"O_DIRECT {path} of {size}", (len(plain), plain), mount)


def kernel_copies():
    for path in files():
        size = os.path.getsize(os.path.join(PLAIN, path))

        def into_file(copy):
            def run(top):
                source = opened(top, path)
                with tempfile.TemporaryFile() as target:
                    done = 0
                    while done < size:
                        n = copy(target.fileno(), source, done, size - done)
                        if not n:
                            break
                        done += n
                    target.seek(0)
                    os.close(source)
                    return target.read()

            return run

        both(f"sendfile {path}", into_file(lambda out, fd, at, n: os.sendfile(out, fd, at, n)))
        if hasattr(os, "copy_file_range"):
            same(
                f"copy_file_range {path}",
                into_file(lambda out, fd, at, n: os.pwrite(out, os.pread(fd, n, at), at))(PLAIN),
                into_file(lambda out, fd, at, n: copy_range(fd, out, n, at))(MOUNT),
            )
        if hasattr(os, "splice"):

            def piped(top):
                fd, (reader, writer), parts = opened(top, path), os.pipe(), []
                at = 0
                while n := os.splice(fd, writer, 1 << 16, offset_src=at):
                    parts.append(os.read(reader, n))
                    at += n
                for each in (fd, reader, writer):
                    os.close(each)
                return b"".join(parts)

            both(f"splice {path}", piped)


def copy_range(source, target, length, at):
    """As `cp` does it: the call across file systems may be refused, and then bytes are copied."""
    try:
        return os.copy_file_range(source, target, length, at, at)
    except OSError as error:
        same("why copy_file_range is refused", True, error.errno in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP))
        return os.pwrite(target, os.pread(source, length, at), at)


def many_open():
    path = files()[0]
    fds = [opened(MOUNT, path) for _ in range(800)]
    plain = closing(opened(PLAIN, path), lambda fd: os.pread(fd, 100, 0))
    same("800 open files", {plain}, {os.pread(fd, 100, 0) for fd in fds})
    for fd in fds:
        os.close(fd)


def in_parallel():
    failures = []

    def one(seed):
        try:
            at_random(seed, 60)
        except SystemExit as failure:
            failures.append(str(failure))

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    if failures:
        sys.exit(f"16 threads: {failures[0]}")
    children = []
    for seed in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                at_random(100 + seed, 60)
                os._exit(0)
            except BaseException as failure:
                print(failure, file=sys.stderr)
                os._exit(1)
        children.append(pid)
    same("8 processes", [0] * 8, [os.waitpid(pid, 0)[1] for pid in children])


# ------------------------------------------------------------------------------------------------ changes


def refusals():
    file, folder, new = os.path.join(MOUNT, files()[0]), next(p for p in tree(MOUNT) if p.endswith("/")), os.path.join(MOUNT, "new")
    folder = os.path.join(MOUNT, folder)
    with open(file, "rb") as before:
        content = before.read()
    libc = ctypes.CDLL(None, use_errno=True)

    def c(name, *args):
        if getattr(libc, name)(*args) < 0:
            raise OSError(ctypes.get_errno(), name)

    changes = {
        "open to write": lambda: os.open(file, os.O_WRONLY),
        "open to read and write": lambda: os.open(file, os.O_RDWR),
        "open to append": lambda: os.open(file, os.O_WRONLY | os.O_APPEND),
        "open to truncate": lambda: os.open(file, os.O_WRONLY | os.O_TRUNC),
        "open to truncate, reading": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
        "create": lambda: os.open(new, os.O_CREAT | os.O_WRONLY),
        "create exclusively": lambda: os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY),
        "a file without a name": lambda: os.open(MOUNT, os.O_TMPFILE | os.O_RDWR),
        "truncate": lambda: os.truncate(file, 0),
        "mkdir": lambda: os.mkdir(new),
        "mkfifo": lambda: os.mkfifo(new),
        "rmdir": lambda: os.rmdir(folder),
        "unlink": lambda: os.unlink(file),
        "rename": lambda: os.rename(file, new),
        "link": lambda: os.link(file, new),
        "symlink": lambda: os.symlink("x", new),
        "chmod": lambda: os.chmod(file, 0o777),
        "chown": lambda: os.chown(file, os.getuid(), os.getgid()),
        "utime": lambda: os.utime(file, (0, 0)),
        "setxattr": lambda: os.setxattr(file, "user.x", b"1"),
        "removexattr": lambda: os.removexattr(file, "user.hubvault.oid"),
    }
    for what, change in changes.items():
        same(what, "EROFS", outcome(change))
    fd = opened(MOUNT, files()[0])
    same("fallocate", "EBADF", outcome(lambda: c("fallocate", fd, 0, ctypes.c_long(0), ctypes.c_long(10))))
    same("ftruncate", "EINVAL", outcome(os.ftruncate, fd, 0))
    same("write", "EBADF", outcome(os.write, fd, b"x"))
    os.close(fd)
    with open(file, "rb") as after:
        same("nothing has changed", content, after.read())


# ------------------------------------------------------------------------------------------------ programs


def tools():
    def run(*words, ok=(0,), cwd=None):
        done = subprocess.run(words, cwd=cwd, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        if done.returncode not in ok:
            sys.exit(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def sorted_lines(text):
        return sorted(text.splitlines())

    with tempfile.TemporaryDirectory() as scratch:
        copy, synced, packed = (os.path.join(scratch, n) for n in ("copy", "synced", "packed"))
        run("cp", "-a", MOUNT, copy)
        same("cp -a", b"", run("diff", "-r", "--no-dereference", PLAIN, copy))
        same("cp -a keeps times", os.stat(MOUNT).st_mtime, os.stat(os.path.join(copy, files()[0])).st_mtime)
        run("rsync", "-a", MOUNT + "/", synced)
        same("rsync -a again", b"", run("rsync", "-ai", MOUNT + "/", synced))
        same("rsync -a", b"", run("diff", "-r", "--no-dereference", PLAIN, synced))
        os.mkdir(packed)
        run("sh", "-ec", 'tar -C "$1" -cf - . | tar -C "$2" -xf -', "sh", MOUNT, packed)
        same("tar", b"", run("diff", "-r", "--no-dereference", PLAIN, packed))
        for top in (copy, synced, packed):
            run("chmod", "-R", "u+w", top)
    for words in (
        ["find", ".", "-printf", r"%p %y %l\n"],
        ["find", ".", "-type", "f", "-size", "+100k"],
        ["find", ".", "-type", "f", "-printf", r"%s %p\n"],
        ["grep", "-rl", "same", "."],
        ["sh", "-c", "find . -type f -print0 | xargs -0 sha256sum"],
    ):
        answers = [sorted_lines(run(*words, cwd=top, ok=(0, 1))) for top in (PLAIN, MOUNT)]
        same(" ".join(words), *answers)
    same("du", sum((os.path.getsize(os.path.join(PLAIN, f)) + 1023) // 1024 for f in files()) // 64,
         sum(int(line.split()[0]) for line in run("du", "-a", "--apparent-size", MOUNT).splitlines()
             if os.path.isfile(line.split(b"\t", 1)[1]) and not os.path.islink(line.split(b"\t", 1)[1])) // 64)
    same("git diff --no-index", b"", run("git", "diff", "--no-index", "--stat", PLAIN, MOUNT, ok=(0, 1)) if same_modes() else b"")


def desktop():
    """What a file manager asks: names, sizes, kinds and icons of a folder, and of one file; and no bytes beyond those that
    tell a file's kind."""
    if not shutil.which("gio"):
        return
    attributes = "standard::name,standard::type,standard::size,standard::content-type,standard::icon,standard::is-symlink"

    def gio(top, *words):
        done = subprocess.run(["gio", *words], cwd=top, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        # Where it is, what its file system is called, and how large folders are, differ.
        own = (b"uri:", b"local path:", b"unix mount:", b"file://")
        lines = [line for line in done.stdout.splitlines() if not line.startswith(own)]
        return done.returncode, sorted(line.split(b"\t")[0] if b"(directory)" in line else line for line in lines)

    listed = attributes.replace("standard::icon,", "")  # an address there
    both("gio list", lambda top: gio(top, "list", "-h", "-n", "-a", listed))
    for path in files():
        both(f"gio info {path}", lambda top: gio(top, "info", "-a", attributes, path))
    both("gio info of nothing", lambda top: gio(top, "info", "absent")[0])
    both("gio cat", lambda top: gio(top, "cat", files()[0]))
    both("gio tree", lambda top: gio(top, "tree"))


def same_modes():
    return all((os.stat(os.path.join(PLAIN, f)).st_mode ^ os.stat(os.path.join(MOUNT, f)).st_mode) & 0o111 == 0 for f in files())


for part in (names, whole, lambda: at_random(1), seeks, vectors, mappings, direct, kernel_copies, many_open, in_parallel, refusals, tools, desktop):
    part()
print(f"{checks} checks")
