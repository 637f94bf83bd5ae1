"""Makes xet_vectors.json: where the real hf-xet package cuts known inputs, and what it calls each chunk.

Run outside the repository, with any Python 3.9+:
    python3 -m venv venv && venv/bin/pip install hf-xet==1.8.0
    venv/bin/python xet_vectors.py > xet_vectors.json

Each input is stored into an empty `local://` folder. The shard left there lists the file as ranges of chunks
of xorbs, and each xorb as (hash, length) of its chunks; no chunk is decompressed or hashed here, so the file
holds only what hf-xet itself decided. Hashes are written here as plain bytes in hexadecimal; Xet itself prints a
hash as four numbers (each eight bytes, little-endian), so its own strings look different for the same hash.
"""
import json
import pathlib
import struct
import sys
import tempfile

import hf_xet

WORD = (1 << 64) - 1
RECORD = 48
END = b"\xff" * 32


def splitmix(length, seed):
    """SplitMix64, words little-endian: the same generator is in src/store/chunk.rs."""
    out, state = bytearray(), seed
    while len(out) < length:
        state = (state + 0x9E3779B97F4A7C15) & WORD
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & WORD
        out += (mixed ^ (mixed >> 31)).to_bytes(8, "little")
    return bytes(out[:length])


def beat(length, padding):
    """64 bytes that make the rolling hash match, then zeros, over and over: matches below the minimum size."""
    cut = 84493  # where hf-xet first cuts splitmix(.., 0)
    period = splitmix(cut, 0)[-64:] + bytes(padding)
    return (period * (length // len(period) + 1))[:length]


MAKERS = {
    "splitmix": splitmix,
    "quarter": lambda length, seed: bytes(byte & 3 for byte in splitmix(length, seed)),
    "constant": lambda length, seed: bytes([seed]) * length,
    "beat": beat,
}
CASES = (
    [("splitmix", 0, length) for length in (1, 8127, 8128, 8191, 8192, 8193, 131072, 1000000)]
    + [("splitmix", seed, 700001) for seed in (1, 2)]
    + [("quarter", 3, 500000), ("constant", 59, 1000000), ("constant", 0, 131073)]
    + [("beat", padding, 65536) for padding in (0, 1, 24, 37, 63, 64, 78, 100)]
)


def records(shard, position):
    """Groups of one section: a header record and the `count` at byte 36 of it; ends at the all-ones hash."""
    while shard[position:position + 32] != END:
        flags, count = struct.unpack_from("<II", shard, position + 32)
        yield position, flags, count
        position += RECORD * (1 + count)
        if flags & 0x80000000:
            position += RECORD * count
        if flags & 0x40000000:
            position += RECORD
    yield position, None, None


def read_shard(shard):
    """The one file's chunks, in order, as (length, hash)."""
    terms, xorbs, position = [], {}, RECORD
    for position, flags, count in records(shard, position):
        for index in range(count or 0):
            at = position + RECORD * (1 + index)
            _, size, start, end = struct.unpack_from("<IIII", shard, at + 32)
            terms.append((shard[at:at + 32], size, start, end))
    for at, _, count in records(shard, position + RECORD):
        chunks = []
        for index in range(count or 0):
            chunk = at + RECORD * (1 + index)
            chunks.append((struct.unpack_from("<I", shard, chunk + 36)[0], shard[chunk:chunk + 32].hex()))
        xorbs[shard[at:at + 32]] = chunks
    listed = []
    for xorb, size, start, end in terms:
        part = xorbs[xorb][start:end]
        assert sum(length for length, _ in part) == size
        listed += part
    return listed


def chunks_of(data):
    with tempfile.TemporaryDirectory() as folder:
        commit = hf_xet.XetSession().new_upload_commit(endpoint=f"local://{folder}")
        commit.start_upload_bytes(data)
        commit.wait_to_finish()
        shards = [path for path in pathlib.Path(folder).rglob("*.mdb") if path.parent.name == "shards"]
        assert len(shards) == 1, shards
        listed = read_shard(shards[0].read_bytes())
    assert sum(length for length, _ in listed) == len(data)
    return listed


def main():
    lines = []
    for maker, seed, length in CASES:
        case = {"maker": maker, "seed": seed, "length": length}
        case["chunks"] = chunks_of(MAKERS[maker](length, seed))
        lines.append(json.dumps(case))
        print(maker, seed, length, len(case["chunks"]), file=sys.stderr)
    print("[\n" + ",\n".join(lines) + "\n]")


if __name__ == "__main__":
    main()
