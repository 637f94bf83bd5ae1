"""What is put into a vault, a git repository and the seed product: the same files and histories, from a fixed seed.

    content.py random|weights FILE SIZE, inserted|overwritten FROM TO, small FOLDER FILES     make it in a process of its own
"""

import random
import subprocess
import sys
from pathlib import Path

NOW = 1_700_000_000  # the time of the first commit


def path_of(number, per_folder):
    """Path of file `number`: `per_folder` files to a folder; 0 is one flat folder."""
    return f"f{number:07}.txt" if per_folder == 0 else f"d{number // per_folder:05}/f{number:07}.txt"


def text_of(number):
    return f"file {number}: {random.Random(number).getrandbits(128):032x}\n".encode()


def write_files(folder, files, per_folder):
    """The tree as local files."""
    made = None
    for number in range(files):
        path = folder / path_of(number, per_folder)
        if path.parent != made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = path.parent
        path.write_bytes(text_of(number))


def _commit(out, branch, mark, message, number, parent=None):
    who = f"Bench <bench@example.org> {NOW + number} +0000\n"
    out.write(f"commit refs/heads/{branch}\nmark :{mark}\nauthor {who}committer {who}data {len(message)}\n{message}\n".encode())
    if parent:
        out.write(f"from :{parent}\n".encode())


def _file(out, path, data):
    out.write(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")


def git_tree(git, files, per_folder, pairs=0, changed=5):
    """Commits the tree to a git repository, then `pairs` of branches `a<n>` and `b<n>` that change `changed` files each."""
    with fast_import(git) as out:
        _commit(out, "main", 1, "base", 0)
        for number in range(files):
            _file(out, path_of(number, per_folder), text_of(number))
        for pair in range(pairs):
            for side, name in enumerate("ab"):
                _commit(out, f"{name}{pair}", 2 + 2 * pair + side, f"{name}{pair}", 1, 1)
                for number, data in edits(files, pair, side, changed):
                    _file(out, path_of(number, per_folder), data)


def edits(files, pair, side, changed):
    """What one side of a pair of branches changes: other files than the other side, spread over the tree."""
    step = files // (2 * changed)
    return [((2 * n + side) * step + pair, f"pair {pair} side {side} edit {n}\n".encode()) for n in range(changed)]


def history_step(number):
    """Path, content and message of commit `number` of a long history: a hundred files in ten folders, in turn."""
    return f"runs/{number % 10}/m{number % 100:02}.json", f'{{"step": {number}, "loss": {1 / (number + 1):.9f}}}\n'.encode(), f"Step {number}"


def git_history(git, commits):
    with fast_import(git) as out:
        for number in range(commits):
            path, data, message = history_step(number)
            _commit(out, "main", number + 1, message, number, number or None)
            _file(out, path, data)


class fast_import:
    def __init__(self, git):
        self.git = git

    def __enter__(self):
        self.child = subprocess.Popen([*self.git, "fast-import", "--quiet"], stdin=subprocess.PIPE)
        return self.child.stdin

    def __exit__(self, *_):
        self.child.stdin.close()
        if self.child.wait():
            raise RuntimeError("git fast-import failed")


def write_random(path, size, seed=1):
    """`size` bytes that nothing compresses."""
    source = random.Random(seed)
    with open(path, "wb") as out:
        while size > 0:
            block = source.randbytes(min(size, 4 << 20))
            out.write(block)
            size -= len(block)


def edit(path, at, length=1 << 20, seed=2):
    """Changes `length` bytes of a file; answers its path."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(random.Random(seed).randbytes(length))
    return path


def places(below, count, apart=False):
    """Offsets here and there; `apart`: none near another."""
    dice = random.Random(5)
    return [n * (below // count) + below // count // 2 for n in range(count)] if apart else [dice.randrange(below) for _ in range(count)]


def inserted(source, target, at=100 << 20):
    """`source` with a megabyte inserted; where it is shorter, in its middle."""
    at = min(at, Path(source).stat().st_size // 2)
    with open(source, "rb") as old, open(target, "wb") as new:
        _copy(old, new, at)
        new.write(random.Random(2).randbytes(1 << 20))
        _copy(old, new)


def overwritten(source, target, share=0.01, block=64 << 10):
    """`source` with this share of its blocks overwritten."""
    with open(source, "rb") as old, open(target, "wb") as new:
        _copy(old, new)
        dice, blocks = random.Random(3), new.tell() // block
        for number in sorted(dice.sample(range(blocks), max(1, round(blocks * share)))):
            new.seek(number * block)
            new.write(dice.randbytes(block))


def _copy(old, new, length=None):
    while data := old.read(4 << 20 if length is None else min(4 << 20, length)):
        new.write(data)
        length = None if length is None else length - len(data)
        if length == 0:
            return


def weights(path, size):
    """bf16 weights, normal with sigma 0.02. Needs numpy."""
    import numpy

    dice = numpy.random.Generator(numpy.random.PCG64(1))
    with open(path, "wb") as out:
        while size > 0:
            numbers = dice.standard_normal(min(size // 2, 4 << 20), dtype=numpy.float32) * numpy.float32(0.02)
            bits = numbers.view(numpy.uint32)
            # Rounded to the nearest, ties to even, as every framework does it.
            out.write(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes())
            size -= 2 * len(numbers)


def small(folder, files):
    """Files of 4 to 32 KiB that nothing compresses, 200 to a folder."""
    dice = random.Random(4)
    for number in range(files):
        path = Path(folder) / f"d{number // 200:03}" / f"f{number:06}.bin"
        if number % 200 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(dice.randbytes(dice.randrange(4 << 10, 32 << 10)))


if __name__ == "__main__":
    what, path, more = sys.argv[1:]
    number = int(more) if more.isdigit() else more
    {"random": write_random, "weights": weights, "inserted": inserted, "overwritten": overwritten, "small": small}[what](path, number)
