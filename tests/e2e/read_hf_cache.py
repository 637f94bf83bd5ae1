"""Reads a Hugging Face cache with the published `huggingface_hub`, offline, and compares it with plain folders.

    read_hf_cache.py CACHE REPO_ID [--full] REVISION=FOLDER...     exits 0 when all is equal

A REVISION without a name before the `=` is what loaders take by themselves. Runs in the virtual environment that
common.py makes; nothing of hubvault is known here. With --full also `transformers`.
"""

import os
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def check_files(cache, repo, revision, folder):
    from huggingface_hub import hf_hub_download, snapshot_download, try_to_load_from_cache

    options = {"cache_dir": cache, **({"revision": revision} if revision else {})}
    names = files(folder)
    for name in names:
        found = Path(hf_hub_download(repo, name, local_files_only=True, **options))
        if found.read_bytes() != (folder / name).read_bytes():
            sys.exit(f"{revision}: {name} differs")
        if try_to_load_from_cache(repo, name, **options) != str(found):
            sys.exit(f"{revision}: {name} is not where try_to_load_from_cache looks")
    if try_to_load_from_cache(repo, "not/there", **options) is not None:
        sys.exit(f"{revision}: a file that is not there is known")
    top = Path(snapshot_download(repo, local_files_only=True, **options))
    if files(top) != names:
        sys.exit(f"{revision}: snapshot_download shows {files(top)}, not {names}")
    return top.name, len(names)


def check_scan(cache, repo, commits):
    from huggingface_hub import scan_cache_dir

    scan = scan_cache_dir(cache)
    if scan.warnings:
        sys.exit(f"scan_cache_dir warns: {scan.warnings}")
    (found,) = scan.repos
    if (found.repo_id, found.repo_type) != (repo, "model"):
        sys.exit(f"scan_cache_dir found {found.repo_id}, a {found.repo_type}")
    if {revision.commit_hash for revision in found.revisions} != set(commits.values()):
        sys.exit(f"scan_cache_dir found {found.revisions}")
    refs = {name: revision.commit_hash for name, revision in found.refs.items()}
    expected = {name or "main": commit for name, commit in commits.items() if name != commit}
    if refs != expected:
        sys.exit(f"scan_cache_dir found {refs}, expected {expected}")
    blobs = {file.blob_path for revision in found.revisions for file in revision.files}
    if blobs != set((Path(cache) / found.repo_path / "blobs").iterdir()):
        sys.exit("some blobs are in no revision")
    return f"{len(blobs)} blobs, {found.size_on_disk / 1e6:.1f} MB on disk"


def check_transformers(cache, repo, folder):
    import torch
    import transformers

    text = ["A vault keeps every version.", "So does Git."]
    results = []
    for source, options in ((str(folder), {}), (repo, {"cache_dir": cache})):
        tokens = transformers.AutoTokenizer.from_pretrained(source, **options)(text, padding=True, return_tensors="pt")
        model = transformers.AutoModel.from_pretrained(source, **options).eval()
        with torch.no_grad():
            results.append((model(**tokens).last_hidden_state, model.state_dict()))
    (want, weights), (found, loaded) = results
    if not torch.equal(want, found) or any(not torch.equal(weights[name], loaded[name]) for name in weights):
        sys.exit("transformers: another model")
    return f"transformers from_pretrained: {len(weights)} tensors, {tuple(found.shape)} embeddings equal"


if __name__ == "__main__":
    cache, repo, *rest = (a for a in sys.argv[1:] if a != "--full")
    wanted = [pair.partition("=") for pair in rest]
    commits = {}
    for revision, _, folder in wanted:
        commits[revision], count = check_files(cache, repo, revision, Path(folder))
        print(f"{revision or 'no revision'}: {count} files", flush=True)
    print(check_scan(cache, repo, commits), flush=True)
    if "--full" in sys.argv:
        print(check_transformers(cache, repo, next(Path(folder) for revision, _, folder in wanted if not revision)))
