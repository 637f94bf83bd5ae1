"""Committing one small file into a revision of many, with hubvault and with git: what run and write.py both measure."""


def commit_one(bench, vault, name="hv"):
    """An operation that commits one new small file into an existing folder."""
    file = bench.disk / f"{name}.txt"

    def operation(_):
        number = next(bench.numbers)
        file.write_text(f"new {number}\n")
        return bench.ours(vault, "commit", "-m", "one more", "--add", f"d00001/new{number}.txt={file}")

    return operation


def git_commit_one(bench, repo, *settings):
    """The same with git in a working tree: `git add` of the one path, `git commit`."""

    def operation(_):
        path = f"d00001/new{next(bench.numbers)}.txt"
        (repo / path).write_text(f"new {path}\n")
        add, commit = bench.git(repo, *settings, "add", path), bench.git(repo, *settings, "commit", "-q", "-m", "one more")
        return add[0] + commit[0], add[1] + commit[1], max(add[2], commit[2])

    return operation


def git_import_one(bench, repo):
    """The same with the least git can do: one process, no index, no working tree."""

    def operation(_):
        stream, data = bench.disk / "one.import", f"new {next(bench.numbers)}\n"
        stream.write_text(
            f"commit refs/heads/main\ncommitter B <b@e> now\ndata 8\none more\nfrom refs/heads/main^0\nM 100644 inline d00001/{data.split()[1]}x.txt\ndata {len(data)}\n{data}\n"
        )
        return bench.git(repo, "fast-import", "--quiet", "--date-format=now", stdin=stream)

    return operation
