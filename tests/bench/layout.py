"""Reads a vault's indexes as docs/format.md describes them, without hubvault: where a file's bytes lie, and its chunks.

For looking at, not for trust: nothing is verified, and rows of indexes that no longer count are read too.
"""

import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

SECTIONS = {"packs": "<16sQQII", "chunks": "<32sQQI3sB", "lookup": ">QI", "files": "<32sQII", "extents": "<16sQQ", "objects": "<20sBBH32s"}


class Chunk(NamedTuple):
    """`start` counts in the decoded bytes of the pack."""

    hash: bytes
    start: int
    length: int
    codec: int


class Extent(NamedTuple):
    """Bytes of a file: `length` decoded bytes of a pack from `start`."""

    pack: bytes
    start: int
    length: int


class Index:
    """One index file. A pack that is named by zeros is the index's own data."""

    def __init__(self, path):
        data = path.read_bytes()
        *places, _, version = struct.unpack("<14QII", data[-128:-8])
        if data[-8:] != b"HVINDEX\n" or version != 1:
            raise ValueError(f"{path} is no index of version 1")
        tables = {}
        for number, (name, row) in enumerate(SECTIONS.items()):
            offset, length = places[2 * number : 2 * number + 2]
            tables[name] = list(struct.iter_unpack(row, data[offset : offset + length]))
        self.files = {row[0]: row for row in tables["files"]}
        self.extents = [Extent(*row) for row in tables["extents"]]
        self.packs = {row[0]: row for row in tables["packs"]}
        self.chunks = [Chunk(row[0], row[1], row[3], row[5]) for row in tables["chunks"]]


def indexes(vault):
    """Newest first."""
    found = sorted(Path(vault, "packs").glob("*.idx"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [Index(path) for path in found]


def extents(vault, digest):
    """The extents of the file with this SHA-256, in order."""
    for index in indexes(vault):
        if row := index.files.get(digest):
            return index.extents[row[2] : row[2] + row[3]]
    raise KeyError(digest.hex())


def chunks(vault, digest):
    """The chunks of a file that was new to the vault, in order: all that its extents reach into."""
    every = indexes(vault)
    for index in every:
        if row := index.files.get(digest):
            found = []
            for extent in index.extents[row[2] : row[2] + row[3]]:
                holder = index if not any(extent.pack) else next(i for i in every if extent.pack in i.packs)
                _, _, _, first, count = holder.packs[extent.pack]
                inside = lambda c, e=extent: c.start < e.start + e.length and e.start < c.start + c.length  # noqa: E731
                found += [c for c in holder.chunks[first : first + count] if inside(c)]
            return found
    raise KeyError(digest.hex())


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
