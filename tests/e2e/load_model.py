"""Loads one .safetensors file from two places with the published libraries and compares every tensor.

load_model.py EXPECTED FOUND [--torch]     exits 0 when all tensors are equal, prints what was loaded.
Runs in the virtual environment that common.py makes; nothing of hubvault is known here.
"""

import sys


def compare_numpy(expected, found):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    def equal(a, b):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()

    want, got = load_file(expected), load_file(found)
    if want.keys() != got.keys():
        sys.exit(f"load_file: other tensor names: {sorted(want.keys() ^ got.keys())}")
    different = [name for name in want if not equal(want[name], got[name])]
    if different:
        sys.exit(f"load_file: tensors differ: {different}")
    with safe_open(found, framework="numpy") as handle:
        if set(handle.keys()) != want.keys():
            sys.exit("safe_open: other tensor names")
        for name in handle.keys():
            if not equal(want[name], handle.get_tensor(name)):
                sys.exit(f"safe_open: tensor differs: {name}")
        largest = max(want, key=lambda name: want[name].nbytes)
        rows = want[largest].shape[0]
        part = handle.get_slice(largest)[rows // 3 : rows // 3 + 5]
        if not equal(want[largest][rows // 3 : rows // 3 + 5], part):
            sys.exit(f"safe_open: slice differs: {largest}")
    print(f"{len(want)} tensors, {sum(t.nbytes for t in want.values())} bytes equal (numpy)")


def compare_torch(expected, found):
    import torch
    from safetensors.torch import load_file

    want, got = load_file(expected), load_file(found)
    if want.keys() != got.keys():
        sys.exit("torch: other tensor names")
    different = [n for n in want if want[n].dtype != got[n].dtype or not torch.equal(want[n], got[n])]
    if different:
        sys.exit(f"torch: tensors differ: {different}")
    print(f"{len(want)} tensors equal (PyTorch {torch.__version__})")


if __name__ == "__main__":
    files = [a for a in sys.argv[1:] if not a.startswith("--")]
    compare_numpy(*files)
    if "--torch" in sys.argv[1:]:
        compare_torch(*files)
