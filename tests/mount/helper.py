#!/usr/bin/env python3
"""What the passthrough helper refuses, asked by a caller who wants more than his share.

    helper.py PROGRAM     as an ordinary user, in a folder he may write; the program has its capability
"""

import array
import errno
import os
import socket
import struct
import subprocess
import sys

PROGRAM = sys.argv[1]
CONNECTION, REGISTER, GIVE_BACK, DONE, REFUSED = 1, 2, 3, 4, 5


def start(kind=socket.SOCK_SEQPACKET):
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    child = subprocess.Popen([PROGRAM, "any", "argument"], stdin=theirs, env={"LD_PRELOAD": "/nowhere.so"})
    theirs.close()
    return ours, child


def ask(ours, what, number=0, fd=None, raw=None):
    """The error number of the answer, 0 for yes, None when the helper has gone."""
    control = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    try:
        ours.sendmsg([raw or struct.pack("<II", what, number)], control)
        answer = ours.recv(64)
    except (BrokenPipeError, ConnectionResetError):
        return None
    if not answer:
        return None
    what, number = struct.unpack("<II", answer)
    return 0 if what == DONE else number


def expect(what, found, *wanted):
    if found not in wanted:
        sys.exit(f"{what}: answered {found}, expected one of {wanted}")


def opened(path, flags=os.O_RDONLY):
    return os.open(path, flags)


with open("mine", "w") as mine:
    mine.write("content")

ours, child = start()
expect("a file before a connection", ask(ours, REGISTER, fd=opened("mine")), errno.EINVAL)
expect("a file as connection", ask(ours, CONNECTION, fd=opened("mine")), errno.EINVAL)
expect("another device as connection", ask(ours, CONNECTION, fd=opened("/dev/null")), errno.EINVAL)
expect("no connection at all", ask(ours, CONNECTION), errno.EINVAL)
expect("a connection that is not mounted", ask(ours, CONNECTION, fd=opened("/dev/fuse", os.O_RDWR)), 0)
expect("a second connection", ask(ours, CONNECTION, fd=opened("/dev/fuse", os.O_RDWR)), errno.EINVAL)
expect("a folder", ask(ours, REGISTER, fd=opened(".")), errno.EACCES)
expect("a device", ask(ours, REGISTER, fd=opened("/dev/null")), errno.EACCES)
expect("a pipe", ask(ours, REGISTER, fd=os.pipe()[0]), errno.EACCES)
expect("a file of the kernel", ask(ours, REGISTER, fd=opened("/proc/self/status")), errno.EACCES)
expect("a file of the kernel", ask(ours, REGISTER, fd=opened("/sys/kernel/mm/transparent_hugepage/enabled")), errno.EACCES)
expect("a file open to write", ask(ours, REGISTER, fd=opened("mine", os.O_RDWR)), errno.EACCES)
expect("a file open to append", ask(ours, REGISTER, fd=opened("mine", os.O_WRONLY | os.O_APPEND)), errno.EACCES)
expect("a file that is only named", ask(ours, REGISTER, fd=opened("/etc/shadow", os.O_PATH)), errno.EACCES, errno.EBADF)
held = opened("mine")
os.chmod("mine", 0)
expect("a file that may be read no longer", ask(ours, REGISTER, fd=held), errno.EACCES)
os.chmod("mine", 0o600)
# It passes every check; the connection is not mounted, and the kernel says so.
expect("a good file on a dead connection", ask(ours, REGISTER, fd=held), errno.EPERM, errno.ENOTCONN, errno.EINVAL, errno.EOPNOTSUPP)
for number in (0, 1, 7, 2**32 - 1):
    expect(f"number {number}, not lent", ask(ours, GIVE_BACK, number), errno.EINVAL)
expect("a word without meaning", ask(ours, 99), errno.EINVAL)
ours.close()
expect("the end of its caller", child.wait(10), 0)

for raw in (b"", b"short", b"x" * 9, b"x" * 100_000):
    ours, child = start()
    if raw:
        expect(f"a message of {len(raw)} bytes", ask(ours, 0, raw=raw), None)
    ours.close()
    expect(f"the end after a message of {len(raw)} bytes", child.wait(10), 0, 1)

ours, child = start(socket.SOCK_STREAM)
expect("another kind of socket", child.wait(10), 1)
for stdin in (subprocess.DEVNULL, opened("mine")):
    expect("no socket", subprocess.run([PROGRAM], stdin=stdin, timeout=10).returncode, 1)

# Not started by whoever made the socket: a grandchild.
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
shell = ["sh", "-c", '"$1"; exit $?', "sh", PROGRAM]
expect("somebody else's child", subprocess.run(shell, stdin=theirs, timeout=10).returncode, 1)
print("all refused")
