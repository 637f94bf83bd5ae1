"""What is put into a vault, a git repository and the seed product: the same files and histories, from a fixed seed."""

import random
import subprocess

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


def edit(path, at):
    """Changes a megabyte in the middle of a file; answers its path."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(random.Random(2).randbytes(1 << 20))
    return path
