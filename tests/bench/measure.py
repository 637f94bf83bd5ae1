"""Running programs and saying what they cost: wall time, CPU time (user + system) and peak memory of each run.

CPU time is what to trust on a busy machine; wall time includes waiting for the disk. Knows nothing of vaults.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


class Failed(Exception):
    """A program that failed, or a bound that does not hold."""


class Cost:
    """Medians over the runs of one operation; times in seconds, memory in bytes (the highest seen)."""

    def __init__(self):
        self.walls, self.cpus, self.rss, self.note = [], [], 0, ""

    def add(self, wall, cpu, rss):
        self.walls.append(wall)
        self.cpus.append(cpu)
        self.rss = max(self.rss, rss)

    @property
    def wall(self):
        return statistics.median(self.walls)

    @property
    def cpu(self):
        return statistics.median(self.cpus)

    def as_json(self):
        return {"wall_s": self.wall, "cpu_s": self.cpu, "peak_rss_bytes": self.rss, "runs": len(self.walls), "note": self.note}


def once(args, *, cwd=None, env=None, stdin=None, stdout=subprocess.DEVNULL, ok=(0,)):
    """Runs a program once: (wall, CPU, peak memory) of it and of the children that it waited for."""
    args = [os.fspath(a) for a in args]
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open(stdin, "rb")) if stdin else subprocess.DEVNULL
        errors = stack.enter_context(open(os.devnull if ok is None else _errors(), "w+b"))
        start = time.perf_counter()
        # Without preparing the child: `vfork` then, so that our own size is not part of what is measured.
        child = subprocess.Popen(args, cwd=cwd, env=env, stdin=source, stdout=stdout, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if ok is not None and child.returncode not in ok:
            errors.seek(0)
            raise Failed(f"exit {child.returncode}: {' '.join(args)[:300]}\n{errors.read().decode(errors='replace')[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _errors():
    # Not a pipe: nobody reads while the program runs.
    return Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp") / f"hubvault-bench-{os.getpid()}.errors"


def forget_errors():
    _errors().unlink(missing_ok=True)


def interleaved(runs, operations, fewer=None, patience=2):
    """Runs each operation in turn, `runs` times over, after one round that does not count: a busy minute hits all alike.

    An operation is called with the number of the round and answers (wall, CPU, peak memory). One that takes more than
    `patience` seconds is run three times. `fewer`: {name: runs}; what is named there has no round that does not count."""
    costs = {name: Cost() for name in operations}
    for number in range(-1, runs):
        for name, operation in operations.items():
            chosen = (fewer or {}).get(name)
            if chosen is not None and not 0 <= number < chosen:
                continue
            if len(costs[name].walls) >= 3 and costs[name].wall > patience:
                continue
            cost = operation(number + 1)
            if number >= 0:
                costs[name].add(*cost)
    return costs


class Table:
    """Rows of costs with their ratios to the first column, as text or JSON."""

    def __init__(self):
        self.rows, self.failures, self.targets = [], [], []

    def row(self, workload, costs, ratios=(), size=None):
        """`costs`: {who: Cost}, ours is `hv`. `ratios`: extra (name, value) pairs. `size`: bytes worked on."""
        self.rows.append({"workload": workload, "costs": costs, "ratios": dict(ratios)} | ({"bytes": size} if size else {}))
        ours = costs["hv"]
        print(f"\n{workload}", flush=True)
        for who, cost in costs.items():
            speed = f"   {size / cost.wall / 1e9:6.2f} GB/s {cost.cpu / size * 1e9:6.2f} CPU s/GB" if size else ""
            against = "" if cost is ours else f"   {cost.wall / ours.wall:7.1f}x wall {cost.cpu / ours.cpu:7.1f}x CPU"
            note = f"   [{cost.note}]" if cost.note else ""
            print(
                f"  {who:<22} {cost.wall * 1e3:10.2f} ms wall {cost.cpu * 1e3:10.2f} ms CPU {cost.rss / 2**20:8.1f} MiB{speed}{against}{note}",
                flush=True,
            )
        for name, value in dict(ratios).items():
            print(f"  {name}: {value}", flush=True)

    def target(self, name, value, most=None, least=None):
        """What is aimed at; the summary says by how much it is missed. A miss is no failure of the run."""
        limit, missed = (most, value / most - 1) if least is None else (least, 1 - value / least)
        verdict = "met" if missed <= 0 else f"missed by {missed:.0%}"
        self.targets.append({"target": name, "value": value, "limit": limit, "at": "most" if least is None else "least", "verdict": verdict})

    def summary(self):
        if self.targets:
            print("\ntargets")
        for t in self.targets:
            print(f"  {t['target']:<54} {t['value']:10.3f}   at {t['at']} {t['limit']:<8.4g} {t['verdict']}", flush=True)

    def bound(self, name, value, limit):
        """A ratio that must stay below a limit."""
        holds = value < limit
        print(f"  {'ok  ' if holds else 'FAIL'} {name}: {value:.2f}, must be below {limit}", flush=True)
        if not holds:
            self.failures.append(f"{name} is {value:.2f}, must be below {limit}")

    def as_json(self):
        rows = [{**row, "costs": {who: cost.as_json() for who, cost in row["costs"].items()}} for row in self.rows]
        return json.dumps({"rows": rows, "targets": self.targets, "failures": self.failures}, indent=1)


def machine():
    """The machine in a few words: cores, processor, memory, kernel; no names."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {model}, {memory:.0f} GiB, Linux {os.uname().release.split('-')[0]}, Python {sys.version.split()[0]}"
