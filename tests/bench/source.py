"""A folder of large random files that take no disk: their bytes are made when they are read (FUSE, by mfusepy).

    source.py MOUNTPOINT SIZE

`plain.bin` is SIZE bytes that nothing compresses; `edited.bin` the same with one megabyte changed in the middle. Runs
until the folder is unmounted.
"""

import errno
import functools
import os
import random
import stat
import sys

import mfusepy

BLOCK = 1 << 20


@functools.lru_cache(16)
def block(number, seed):
    return random.Random(number ^ seed << 40).randbytes(BLOCK)


class Files(mfusepy.Operations):
    use_ns = True

    def __init__(self, size):
        self.size, self.names = size, ("plain.bin", "edited.bin")

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o555, "st_nlink": 2}
        if path[1:] not in self.names:
            raise mfusepy.FuseOSError(errno.ENOENT)
        mine = {"st_uid": os.getuid(), "st_gid": os.getgid(), "st_mtime": 10**18, "st_ctime": 10**18}
        return {"st_mode": stat.S_IFREG | 0o444, "st_nlink": 1, "st_size": self.size, "st_ino": 2 + self.names.index(path[1:]), **mine}

    def readdir(self, path, fh):
        return [".", "..", *self.names]

    def read(self, path, size, offset, fh):
        end, parts = min(offset + size, self.size), []
        while offset < end:
            number, within = divmod(offset, BLOCK)
            changed = path == "/edited.bin" and number == self.size // BLOCK // 2
            parts.append(block(number, 2 if changed else 1)[within : within + end - offset])
            offset += len(parts[-1])
        return b"".join(parts)


if __name__ == "__main__":
    mfusepy.FUSE(Files(int(sys.argv[2])), sys.argv[1], foreground=True, nothreads=True, ro=True, fsname="source")
