"""The writing table: what it costs to commit, next to `cp` and the sync that makes a copy last, and to other stores.

Every row that has a target says how far from it the run is. docs/benchmarks.md says what the rows are. Products are in
products.py, content in content.py; nothing here knows how a product is called.
"""

import shutil
import statistics
import subprocess
import sys
import time

import content
import layout
from measure import Cost, once
from one import commit_one, git_commit_one
from products import Copy, Hubvault, generated, peers, sync

ROUNDS = 5
PATIENCE = 60  # seconds; slower operations than that run three times
GB, MB = 1e9, 1e6
FILE = "model.bin"
# What a commit makes durable: two new files, each with its folder.
SYNCS = """
import os, sys, time
start = time.perf_counter()
for name in ("a", "b"):
    folder = os.path.join(sys.argv[1], name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, str(time.time_ns())), "wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
print(time.perf_counter() - start)
"""


class Writing:
    def __init__(self, bench):
        self.bench, self.table, self.options = bench, bench.table, bench.options
        self.size, self.files = bench.options.size, bench.options.small
        self.at = bench.place("write", bench.disk)
        self.at.mkdir()
        self.peers = peers(bench)
        self.cost_of_syncs = []

    # ------------------------------------------------------------------------------------ pieces of rows

    def source(self, name, *words):
        """A folder with one file in it, made by content.py; `words` has `FILE` where its path goes."""
        folder = self.at / name
        folder.mkdir()
        generated(self.bench, *[folder / FILE if w == FILE else w for w in words])
        sync(folder)
        return folder

    def stores(self, name, where=None):
        """Ours, `cp` and the peers with the folder that each has for its store."""
        products = [Hubvault(self.bench), Copy(self.bench), *([] if where else self.peers)]
        return {p.name: (p, (where or self.at) / f"{name}-{p.name.split()[0]}") for p in products}

    def row(self, name, operations, size=None, runs=None):
        """Ours and `cp` many times over, the peers once: each takes from ten seconds to a minute."""
        once_only = {p.name: 1 for p in self.peers}
        runs = min(runs or ROUNDS, self.options.runs)
        return self.bench.measure(name, size=size, runs=runs, fewer=once_only, patience=PATIENCE, **operations)

    def target(self, *args, **more):
        if not self.options.quick:
            self.table.target(*args, **more)

    def bound(self, *args):
        if self.options.check:
            self.table.bound(*args)

    def commit_row(self, name, source, size, where=None):
        """New content into an empty store, which is left there; answers costs and stores."""
        stores, stored = self.stores(source.name, where), {}

        def operation(product, at):
            def commit(_):
                cost = product.new(at).commit(source)
                stored[product.name] = product.stored()
                return cost

            return commit

        costs = self.row(name, {who: operation(*store) for who, store in stores.items()}, size)
        print("  stored: " + ", ".join(f"{who} {count / MB:,.1f} MB" for who, count in stored.items()))
        self.table.rows[-1]["stored"] = stored
        return costs, {who: product for who, (product, _) in stores.items()}

    # ------------------------------------------------------------------------------------ rows

    def all(self):
        w1 = self.source("w1", "random", FILE, self.size)
        stores = self.new_file(w1)
        self.new_file_in_memory(w1)
        self.trial("W1", w1, self.size)
        self.unchanged("the file", stores, w1, 0.05)
        self.download(stores, w1)
        self.verify(stores, w1)
        self.versions(stores, w1)
        self.drop()
        self.weights()
        self.drop()
        self.small_files()
        self.drop()
        self.one_more()
        self.thousand()
        self.small_edits()
        shutil.rmtree(self.at)

    def drop(self):
        for folder in self.at.iterdir():
            shutil.rmtree(folder)
        sync(self.at)

    def new_file(self, w1):
        costs, stores = self.commit_row(f"W1: commit one new file of {_bytes(self.size)} that nothing compresses, on disk", w1, self.size)
        hv = costs["hv"]
        self.target("W1 on disk: wall / (cp + sync)", hv.wall / costs["cp + sync"].wall, most=1.15)
        self.target("W1 on disk: CPU seconds per GB", hv.cpu / self.size * GB, most=1.9)
        self.target("W1 on disk: peak memory, MiB", hv.rss / 2**20, most=128)
        start = time.process_time()
        layout.sha256(w1 / FILE)
        self.bound("CPU of committing a file / of SHA-256 alone", hv.cpu / (time.process_time() - start), 9)
        self.bound("MiB of memory for that", hv.rss / 2**20, 128)
        return stores

    def new_file_in_memory(self, w1):
        where = self.bench.memory
        if where == self.bench.disk or not _room(where, 3 * self.size):
            print(f"\nW1 on tmpfs: left out, it needs {_bytes(3 * self.size)} of free memory and /dev/shm")
            return
        costs, stores = self.commit_row(f"W1 on tmpfs, the source in the page cache: {_bytes(self.size)}", w1, self.size, where)
        self.target("W1 on tmpfs: GB/s", self.size / costs["hv"].wall / GB, least=0.9)
        self.target("W1 on tmpfs: CPU seconds per GB", costs["hv"].cpu / self.size * GB, most=1.9)
        for store in stores.values():
            store.remove()

    def trial(self, name, source, size):
        """What it costs to find out that nothing shrinks: as it is by default beside `--compression none`."""
        where = self.bench.memory if _room(self.bench.memory, 2 * size) else self.at

        def commit(*options):
            return lambda _: Hubvault(self.bench, *options).new(where / "trial").commit(source)

        costs = self.row(f"{name}: the same, and without trying to compress it", {"hv": commit(), "hv none": commit("--compression", "none")}, size)
        shutil.rmtree(where / "trial")
        self.target(f"{name}: CPU without trying to compress / with", costs["hv none"].cpu / costs["hv"].cpu, least=0.9)

    def unchanged(self, what, stores, source, limit):
        chosen = {who: s for who, s in stores.items() if who != Copy.name}
        costs = self.row(f"commit {what} once more, unchanged", {who: lambda _, s=s: s.again(source) for who, s in chosen.items()})
        self.target(f"{what}, unchanged: seconds", costs["hv"].wall, most=limit)
        return costs

    def download(self, stores, w1):
        out = self.at / "out"

        def operation(store):
            def download(_):
                shutil.rmtree(out, ignore_errors=True)
                sync(self.at)
                return store.download(w1, out)

            return download

        costs = self.row(f"write a copy of {_bytes(self.size)} out of the store (nobody syncs)", {who: operation(s) for who, s in stores.items()}, self.size)
        shutil.rmtree(out)
        self.target("download of W1: wall / cp", costs["hv"].wall / costs[Copy.name].wall, most=1.05)

    def verify(self, stores, w1):
        checks = {who: lambda _, s=s: s.verify() for who, s in stores.items() if who != Copy.name}
        costs = self.row(f"check every byte of {_bytes(self.size)}, in the page cache", {**checks, "sha256sum": lambda _: once(["sha256sum", w1 / FILE])}, self.size)
        self.target("full verify of W1, warm: GB per CPU second", self.size / costs["hv"].cpu / GB, least=2)

    def versions(self, stores, w1):
        v2 = self.source("v2", "inserted", w1 / FILE, FILE)
        changed = {"v2": 1 << 20, "v3": max(1, round(self.size // (64 << 10) * 0.01)) * (64 << 10)}
        self.version("v2: the file with 1 MiB inserted at 100 MiB", v2, stores, changed["v2"], 1.25 * MB)
        shutil.rmtree(v2)
        v3 = self.source("v3", "overwritten", w1 / FILE, FILE)
        limit = 25 / 21.5 * changed["v3"]
        vault = self.version("v3: the file with 1 % of its 64 KiB blocks overwritten", v3, stores, changed["v3"], limit)
        self.reading(vault, w1, v3)

    def version(self, name, source, stores, changed, limit):
        """The next version of what the stores hold: ours each time into a vault that has not seen it."""
        grown, clone = {}, None

        def ours(_):
            nonlocal clone
            clone = stores["hv"].clone(self.at / "next-hv")
            return commit(clone)

        def commit(store):
            before = store.stored()
            cost = store.commit(source)
            grown[store.name] = store.stored() - before
            return cost

        operations = {who: lambda _, s=s: commit(s) for who, s in stores.items() if who not in ("hv", Copy.name)}
        self.row(name, {"hv": ours, **operations}, self.size, runs=3)
        print(f"  grew by: {', '.join(f'{who} {count / MB:,.2f} MB' for who, count in grown.items())} ({changed / MB:.2f} MB changed)")
        self.table.rows[-1]["grown"] = grown
        self.target(f"{source.name}: growth, MB", grown["hv"] / MB, most=limit / MB)
        self.bound(f"{source.name}: growth / what changed", grown["hv"] / changed, 2)
        return clone

    def reading(self, vault, w1, v3):
        """The version beside the file it was made from; the vault holds both."""
        for name, source in (("W1", w1), ("v3", v3)):
            extents = layout.extents(vault.at, layout.sha256(source / FILE))
            print(f"  {name}: {len(extents) / self.size * 2**30:.1f} extents per GiB")
        costs = self.bench.measure(
            "read v3 (hv: of both versions that lie in one vault)",
            size=self.size,
            patience=PATIENCE,
            hv=lambda _: self.bench.ours(vault.at, "cat", f"main:{FILE}"),
            hv_W1=lambda _: self.bench.ours(vault.at, "cat", f"main~1:{FILE}"),
            cat=lambda _: once(["cat", v3 / FILE]),
        )
        self.target("reading v3: wall / reading W1", costs["hv"].wall / costs["hv W1"].wall, most=1.1)
        self.bound("CPU of reading a version of many pieces / the file it was made from", costs["hv"].cpu / costs["hv W1"].cpu, 2)

    def weights(self):
        size = self.size // 2
        w1b = self.source("w1b", "weights", FILE, size)
        self.commit_row(f"W1b: commit {_bytes(size)} of bf16 weights (normal, sigma 0.02)", w1b, size)
        most = Hubvault(self.bench, "--compression", "max")
        cost = Cost()
        cost.add(*most.new(self.at / "w1b-max").commit(w1b))
        self.table.row("W1b with --compression max", {"hv": cost}, {"stored": f"{most.stored() / MB:,.1f} MB"}, size)

    def small_files(self):
        w2 = self.at / "w2"
        generated(self.bench, "small", w2, self.files)
        sync(w2)
        size = sum(f.stat().st_size for f in w2.rglob("*.bin"))
        # The seed product takes a minute and more for all of them, on a busy disk ten.
        slow = [p for p in self.peers if p.name == "seed"]
        self.peers = [p for p in self.peers if p not in slow]
        costs, stores = self.commit_row(f"W2: commit {self.files:,} files of 4 to 32 KiB ({size / MB:,.0f} MB), on disk", w2, size)
        self.target("W2: wall / (cp + sync)", costs["hv"].wall / costs[Copy.name].wall, most=0.7)
        for peer in slow:
            self.tenth(peer, w2)
        self.trial("W2", w2, size)
        again = self.unchanged("the small files", stores, w2, 0.3)
        self.bound("CPU of committing unchanged files / of new ones", again["hv"].cpu / costs["hv"].cpu, 0.7)
        self.peers += slow

    def tenth(self, peer, w2):
        """Every tenth folder."""
        part = self.at / "w2-tenth"
        for folder in sorted(w2.iterdir())[::10]:
            shutil.copytree(folder, part / folder.name)
        sync(part)
        wall, cpu, rss = peer.new(self.at / f"w2-tenth-{peer.name}").commit(part)
        print(f"  {peer.name}, a tenth of them: {wall:.2f} s wall, {cpu:.2f} s CPU, {rss / 2**20:.0f} MiB")
        self.table.rows[-1]["tenth"] = {peer.name: {"wall_s": wall, "cpu_s": cpu, "peak_rss_bytes": rss}}

    def one_more(self):
        """One small file into many; the syncs apart."""
        sizes = [self.options.few] + ([1_000_000] if self.options.full else [])
        for files in sizes:
            vault = self.bench.vault_of_files(f"many{files}", files, 100)
            on_disk = self.bench.place("many", self.at)
            shutil.copytree(vault, on_disk)
            repo = self.bench.git_repo("many.git", lambda git, n=files: content.git_tree(git, n, 100), worktree=True)
            costs = self.bench.measure(
                f"commit one small file into {files:,} files (no disk: syncs are free)",
                hv=commit_one(self.bench, vault),
                hv_on_disk=commit_one(self.bench, on_disk, "disk"),
                git=git_commit_one(self.bench, repo),
            )
            self.target(f"one small file into {files:,}, without syncs: ms", costs["hv"].wall * 1e3, most=5)

    def thousand(self):
        """Many tiny commits: is the last as cheap as the first?"""
        many = self.options.tiny
        part = many // 10
        for name, where in (("no disk", self.bench.memory), ("on disk", self.at)):
            probe = self.probe if where == self.at else None
            _, steps = self.bench.vault_of_history("tiny", many, where, probe)
            # The second part is shown because a young vault is opened with fewer records to read; what is judged is the first.
            parts = {"first": steps[1 : part + 1], "second": steps[part : 2 * part], "last": steps[-part:]}
            wall, cpu = ({which: statistics.median(c[i] for c in costs) * 1e3 for which, costs in parts.items()} for i in (0, 1))
            print(f"\n{many:,} tiny commits, {name}")
            for which in parts:
                print(f"  the {which} {part}: {wall[which]:.1f} ms wall, {cpu[which]:.2f} ms CPU each")
            self.table.rows.append({"workload": f"{many} tiny commits, {name}", "costs": {}, "ratios": {"wall_ms": wall, "cpu_ms": cpu}})
            self.target(f"{many:,} tiny commits, {name}: CPU, last / first {part}", cpu["last"] / cpu["first"], most=1.25)
            if probe and self.cost_of_syncs:
                print(f"  the four syncs of a commit by themselves: {statistics.median(self.cost_of_syncs) * 1e3:.1f} ms")
        self.tiny_peers()

    def probe(self, number):
        """Now and then: what the file system takes for the syncs of one commit."""
        if number % 20 == 0:
            answer = subprocess.run([sys.executable, "-I", "-S", "-c", SYNCS, self.at / "syncs"], capture_output=True, text=True, check=True)
            self.cost_of_syncs.append(float(answer.stdout))

    def tiny_peers(self):
        source = self.at / "step"
        source.mkdir()
        for peer in self.peers:
            count = {"restic": 10, "seed": 10}.get(peer.name, 50)
            store, spent = peer.new(self.at / f"tiny-{peer.name}"), []
            for number in range(count):
                (source / "metrics.json").write_bytes(content.history_step(number)[1])
                spent.append(store.commit(source)[0])
            print(f"  {peer.name}: {statistics.median(spent) * 1e3:.0f} ms each ({count} of them)")

    def small_edits(self):
        """A file that is changed a little again and again: what each change costs to keep, and to read past."""
        size, edits, length = max(self.size // 8, 128 << 20), 20 if self.options.quick else 40, 4 << 10
        source = self.source("edited", "random", FILE, size)
        vault = Hubvault(self.bench).new(self.at / "edits-hv")
        vault.commit(source)
        fresh, cost = vault.stored(), Cost()
        # In a small file, edits that meet by chance would be most of what is measured.
        places = content.places(size - length, edits, apart=self.options.quick)
        for number, at in enumerate(places):
            content.edit(source / FILE, at, length, number)
            cost.add(*vault.commit(source))
        grown = vault.stored() - fresh
        name = f"{edits} edits of 4 KiB in a file of {_bytes(size)}, a commit each"
        self.table.row(name, {"hv": cost}, {"grew by": f"{grown / MB:.2f} MB ({edits * length / MB:.2f} MB changed)"}, size)
        self.table.rows[-1]["grown"] = {"hv": grown}
        extents = layout.extents(vault.at, layout.sha256(source / FILE))
        print(f"  {len(extents) / size * 2**30:.0f} extents per GiB; {grown / edits / 1e3:.0f} kB for each edit")
        costs = self.bench.measure(
            "read the file after these edits, and as it was before them",
            size=size,
            hv=lambda _: self.bench.ours(vault.at, "cat", f"main:{FILE}"),
            hv_fresh=lambda _: self.bench.ours(vault.at, "cat", f"main~{edits}:{FILE}"),
        )
        self.target("reading after small edits: speed / fresh", costs["hv fresh"].wall / costs["hv"].wall, least=0.8)
        self.bound("growth by small edits / what changed", grown / (edits * length), 8)


def _bytes(count):
    return f"{count / 2**30:g} GiB" if count >= 1 << 30 else f"{count / 2**20:g} MiB"


def _room(folder, size):
    free = {line.split()[0]: int(line.split()[1]) << 10 for line in open("/proc/meminfo")}["MemAvailable:"]
    return min(free, shutil.disk_usage(folder).free) > size


def write(bench):
    Writing(bench).all()
