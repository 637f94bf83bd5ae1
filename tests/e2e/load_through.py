"""Real loaders over a plain folder and over mounts of the same files: the same bytes, tensors and rows, epoch by epoch.

    load_through.py make FOLDER [--full]             the files: arrays, weights, a database, tar shards, pictures
    load_through.py check PLAIN MOUNT [--full]       two epochs of every loader; exits 0 when all is equal

Runs in the virtual environment that common.py makes; nothing of hubvault is known here. With --full also PyTorch,
transformers, datasets and webdataset.
"""

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import tarfile
from pathlib import Path

EPOCHS = 2
CLASSES, PICTURES = 4, 60  # folders of pictures, and pictures in each


def noise(seed, length):
    return random.Random(seed).randbytes(length)


class Digest:
    """What was loaded, in order, as one number."""

    def __init__(self):
        self.hash, self.items = hashlib.sha256(), 0

    def add(self, *parts):
        self.items += 1
        for part in parts:
            data = part if isinstance(part, (bytes, memoryview)) else repr(part).encode()
            self.hash.update(len(data).to_bytes(8, "little"))
            self.hash.update(data)

    def result(self):
        if not self.items:
            raise ValueError("nothing was loaded")
        return self.items, self.hash.hexdigest()


# ------------------------------------------------------------------------------------------------ the files


def make_light(top):
    import numpy
    from PIL import Image
    from safetensors.numpy import save_file

    arrays = numpy.frombuffer(noise(1, 24 << 20), dtype=numpy.float32).reshape(-1, 1024)
    numpy.save(top / "array.npy", arrays)
    tensors = {f"layer.{n}.weight": arrays[n * 512 : (n + 1) * 512] for n in range(8)}
    tensors["half"] = numpy.frombuffer(noise(2, 1 << 20), dtype=numpy.float16).reshape(1024, 512)
    tensors["scalar"] = numpy.array(7, dtype=numpy.int64)
    save_file(tensors, top / "model.safetensors")

    database = sqlite3.connect(top / "table.sqlite")
    database.execute("create table samples (id integer primary key, label text, data blob)")
    rows = ((n, f"label {n % 7}", noise(n, 300)) for n in range(8000))
    database.executemany("insert into samples values (?, ?, ?)", rows)
    database.execute("create index by_label on samples (label)")
    database.commit()
    database.close()

    pictures(top, Image)
    (top / "shards").mkdir()
    for shard in range(2):
        with tarfile.open(top / f"shards/{shard:05}.tar", "w") as tar:
            for n in range(shard, CLASSES * PICTURES, 2):
                picture = sorted((top / "pictures").rglob("*.png"))[n]
                for name, data in ((f"{n:06}.png", picture.read_bytes()), (f"{n:06}.json", json.dumps({"label": n}).encode())):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))


def pictures(top, Image):
    for label in range(CLASSES):
        folder = top / f"pictures/class {label}"
        folder.mkdir(parents=True)
        for n in range(PICTURES):
            Image.frombytes("RGB", (32, 32), noise(label * 1000 + n, 32 * 32 * 3)).save(folder / f"{n:04}.png")


def make_full(top):
    import datasets
    import torch
    import transformers

    torch.manual_seed(1)
    torch.save({"weight": torch.randn(2048, 1024), "step": 7, "bias": torch.randn(1024)}, top / "checkpoint.pt")
    config = transformers.BertConfig(hidden_size=256, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512, vocab_size=8000)
    transformers.BertModel(config).save_pretrained(top / "bert")
    rows = {"text": [f"row {n} {noise(n, 20).hex()}" for n in range(20000)], "label": [n % 5 for n in range(20000)]}
    table = datasets.Dataset.from_dict(rows)
    table.save_to_disk(str(top / "arrow"))
    table.to_parquet(str(top / "rows.parquet"))


# ------------------------------------------------------------------------------------------------ loaders


def numpy_memmap(top, digest, dice):
    import numpy

    array = numpy.load(top / "array.npy", mmap_mode="r")
    for row in dice.sample(range(len(array)), 500):
        digest.add(row, array[row].tobytes())
    digest.add(array.shape, array.dtype, array.tobytes())


def safetensors_numpy(top, digest, dice):
    from safetensors import safe_open

    with safe_open(top / "model.safetensors", framework="numpy") as file:
        for name in sorted(file.keys(), key=lambda _: dice.random()):
            tensor = file.get_tensor(name)
            digest.add(name, tensor.shape, tensor.dtype, tensor.tobytes())
        part = file.get_slice("layer.3.weight")[100:200, 5:9]
        digest.add(part.tobytes())


def sqlite_read_only(top, digest, dice):
    for options in ("mode=ro", "mode=ro&immutable=1"):
        database = sqlite3.connect(f"{(top / 'table.sqlite').absolute().as_uri()}?{options}", uri=True)
        with contextlib.closing(database):
            digest.add(database.execute("pragma integrity_check").fetchall())
            for row in database.execute("select * from samples where label = ? order by id desc", (f"label {dice.randrange(7)}",)):
                digest.add(*row)
            for key in dice.sample(range(8000), 200):
                digest.add(*database.execute("select data from samples where id = ?", (key,)).fetchone())
            digest.add(database.execute("select count(*), sum(length(data)) from samples").fetchone())


def tar_streams(top, digest, dice):
    for shard in sorted((top / "shards").glob("*.tar"), key=lambda _: dice.random()):
        with open(shard, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                digest.add(entry.name, entry.size, tar.extractfile(entry).read())


def picture(path):
    from PIL import Image

    with Image.open(path) as image:
        return path.parent.name, path.name, image.convert("RGB").tobytes()


def picture_folder(method):
    def load(top, digest, dice):
        paths = sorted((top / "pictures").rglob("*.png"))
        dice.shuffle(paths)
        with multiprocessing.get_context(method).Pool(2) as workers:
            for found in workers.imap(picture, paths, chunksize=16):
                digest.add(*found)

    return load


def torch_checkpoint(top, digest, dice):
    import torch

    state = torch.load(top / "checkpoint.pt", mmap=True, weights_only=True)
    for name in sorted(state):
        value = state[name]
        digest.add(name, value.numpy().tobytes() if isinstance(value, torch.Tensor) else value)


def safetensors_torch(top, digest, dice):
    from safetensors.torch import load_file

    for name, tensor in sorted(load_file(top / "model.safetensors").items()):
        digest.add(name, tensor.dtype, tensor.numpy().tobytes())


class Pictures:
    """An image folder as a PyTorch data set."""

    def __init__(self, top):
        self.paths = sorted((top / "pictures").rglob("*.png"))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return picture(self.paths[index])


def first_of(batch):
    return list(batch)


def torch_data_loader(method):
    def load(top, digest, dice):
        from torch.utils.data import DataLoader

        order = list(range(len(Pictures(top))))
        dice.shuffle(order)
        loader = DataLoader(
            Pictures(top), batch_size=16, sampler=order, num_workers=2, collate_fn=first_of, multiprocessing_context=method
        )
        for batch in loader:
            for item in batch:
                digest.add(*item)

    return load


def transformers_model(top, digest, dice):
    import transformers

    model = transformers.AutoModel.from_pretrained(top / "bert", local_files_only=True)
    for name, value in sorted(model.state_dict().items()):
        digest.add(name, value.numpy().tobytes())


def datasets_arrow(top, digest, dice):
    import datasets

    table = datasets.load_from_disk(str(top / "arrow"))
    for index in dice.sample(range(len(table)), 500):
        digest.add(index, sorted(table[index].items()))
    digest.add(len(table), "".join(table["text"][:]))


def parquet(top, digest, dice):
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(top / "rows.parquet", memory_map=bool(dice.randrange(2)))
    for batch in file.iter_batches(1000):
        digest.add(batch.to_pydict())


def web_dataset(top, digest, dice):
    import webdataset

    shards = [str(path) for path in sorted((top / "shards").glob("*.tar"))]
    for sample in webdataset.WebDataset(shards, shardshuffle=False, nodesplitter=None):
        digest.add(sample["__key__"], sample["png"], sample["json"])


LIGHT = {
    "numpy memmap": numpy_memmap,
    "safetensors (numpy)": safetensors_numpy,
    "sqlite": sqlite_read_only,
    "tar streams": tar_streams,
    "pictures, workers by fork": picture_folder("fork"),
    "pictures, workers by spawn": picture_folder("spawn"),
}
FULL = {
    "torch.load(mmap)": torch_checkpoint,
    "safetensors (torch)": safetensors_torch,
    "DataLoader, workers by fork": torch_data_loader("fork"),
    "DataLoader, workers by spawn": torch_data_loader("spawn"),
    "transformers from_pretrained": transformers_model,
    "datasets load_from_disk": datasets_arrow,
    "parquet": parquet,
    "webdataset": web_dataset,
}


def epoch(load, top, number):
    digest = Digest()
    load(top, digest, random.Random(number))
    return digest.result()


def check(plain, mount, full):
    loaders = {**LIGHT, **(FULL if full else {})}
    for name, load in loaders.items():
        for number in range(EPOCHS):
            want, found = epoch(load, plain, number), epoch(load, mount, number)
            if want != found:
                sys.exit(f"{name}, epoch {number}: on the plain folder {want}, on the mount {found}")
        print(f"{name}: {want[0]} items", flush=True)


if __name__ == "__main__":
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    full = "--full" in sys.argv
    if arguments[0] == "make":
        make_light(Path(arguments[1]))
        if full:
            make_full(Path(arguments[1]))
    else:
        check(Path(arguments[1]), Path(arguments[2]), full)
