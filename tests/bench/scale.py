"""What sizes cost that nobody waits for: an index of ten million chunks, a history of a hundred thousand commits. The
vaults are made by `scale.rs`, an example of the package; what is measured is the program."""

import os
import subprocess
import time
from pathlib import Path

from measure import Failed, once

ROOT = Path(__file__).resolve().parents[2]


def make(bench, *words):
    """Has the example make a vault, and shows what it measured on the way."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "release/examples/scale"
    if not program.exists():
        raise Failed("build it first: cargo build --release --example scale")
    subprocess.run([program, *map(os.fspath, words)], env=bench.env, check=True)


def mounted(bench, vault, point):
    """An operation: `hv mount`, and the first look at what is mounted; what comes after does not count."""
    point.mkdir(exist_ok=True)

    def operation(_):
        start = time.perf_counter()
        _, cpu, rss = once([bench.hv.program, "mount", vault, f"{point}@main"], env=bench.env)
        os.listdir(point)
        wall = time.perf_counter() - start
        once([bench.hv.program, "umount", point], env=bench.env)
        return wall, cpu, rss

    return operation


def scale(bench):
    """Opening, `log -n 1` and mounting with many chunks and many commits, beside a vault with next to nothing in it."""
    chunks, commits = (10_000_000, 100_000) if bench.options.full else (1_000_000, 2_000)
    sizes = {"hv": ("history", 10), "hv_chunks": ("index", chunks), "hv_commits": ("history", commits)}
    vaults = {name: bench.place(f"scale-{name}") for name in sizes}
    print(f"\nhv: ten commits; hv chunks: {chunks:,} chunks; hv commits: {commits:,} commits", flush=True)
    for name, (kind, count) in sizes.items():
        make(bench, kind, vaults[name], str(count))
    each = lambda *words: {name: lambda _, vault=vault: bench.ours(vault, *words) for name, vault in vaults.items()}  # noqa: E731
    bench.measure("open (rev-parse HEAD)", **each("rev-parse", "HEAD"))
    bench.measure("log -n 1", **each("log", "-n", "1"))
    if os.path.exists("/dev/fuse"):
        bench.measure("mount, until it can be listed", **{name: mounted(bench, vault, bench.disk / f"point-{name}") for name, vault in vaults.items()})
