"""Drives the seed product (hubvault 0.0.2 from PyPI), run by the python of its own virtual environment.

    seed.py tree REPO FILES PER_FOLDER PAIRS      make what content.git_tree makes
    seed.py history REPO COMMITS                  make what content.git_history makes
    seed.py time REPO OPERATION [ARGUMENT...]     do it once

`time` prints the seconds of the call alone: starting Python and importing the product are not held against it.
"""

import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import content  # noqa: E402
from hubvault import CommitOperationAdd, HubVaultApi  # noqa: E402


def add(path, data):
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=data)


def tree(repo, files, per_folder, pairs):
    api = HubVaultApi(repo)
    api.create_repo()
    files, per_folder = int(files), int(per_folder)
    every = [add(content.path_of(n, per_folder), content.text_of(n)) for n in range(files)]
    api.create_commit(every, commit_message="base")
    for pair in range(int(pairs)):
        for side, name in enumerate("ab"):
            api.create_branch(branch=f"{name}{pair}")
            changes = [add(content.path_of(n, per_folder), data) for n, data in content.edits(files, pair, side, 5)]
            api.create_commit(changes, commit_message=f"{name}{pair}", revision=f"{name}{pair}")


def history(repo, commits):
    api = HubVaultApi(repo)
    api.create_repo()
    for number in range(int(commits)):
        path, data, message = content.history_step(number)
        api.create_commit([add(path, data)], commit_message=message)


OPERATIONS = {
    "open": lambda api: api.repo_info(),
    "log": lambda api: sum(1 for _ in api.list_repo_commits()),
    "list": lambda api: sum(1 for _ in api.list_repo_tree(recursive=True)),
    "files": lambda api: len(api.list_repo_files()),
    "commit": lambda api, path, text: api.create_commit([add(path, text.encode())], commit_message="one more"),
    "merge": lambda api, source, target: api.merge(source, target_revision=target),
    "create": lambda api: api.create_repo(),
    "upload": lambda api, folder, message: api.upload_folder(folder_path=folder, commit_message=message, delete_patterns=["*"]),
    "snapshot": lambda api, out: api.snapshot_download(local_dir=out),
    "verify": lambda api: api.full_verify(),
}

if __name__ == "__main__":
    verb, repo, *rest = sys.argv[1:]
    if verb == "time":
        start = time.perf_counter()
        OPERATIONS[rest[0]](HubVaultApi(repo), *rest[1:])
        print(time.perf_counter() - start)
    else:
        {"tree": tree, "history": history}[verb](repo, *rest)
