"""``tools/bench.py engine``: the cache's engine. How long it holds the reactor with a million entries, what an entry costs in memory,
what reads and writes cost beside other caches, and how often it finds what is asked for beside plain LRU.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from scalability.lab.bench.engine_child import ENTRIES
from scalability.lab.bench.engine_costs import OPERATIONS, costs, rivals
from scalability.lab.bench.engine_traces import SHARES, hit_ratios
from scalability.lab.bench.rounds import NoFigure

PHASES = {"load": "while they are loaded", "expire": "while all expire in one second", "clear": "while they are cleared"}
HOLD_WANTED_MS = 5.0
MEMORY_WANTED_BYTES = 350
PASSES = 4
"""Costs are taken so many times in each round: a pass takes some milliseconds."""

Report = Callable[[str], None]


def engine(rounds: int, seconds: float, report: Report) -> dict[str, object]:
    """Everything, the longest first. ``seconds`` changes nothing: how much is done is fixed."""
    import cachetools

    held = [child("holds", ENTRIES) for _ in range(rounds)]
    memory = child("memory", ENTRIES) | {"expiring_bytes": child("expiring", ENTRIES)["bytes"]}
    found = costs(rounds * PASSES, rivals())
    ratios = hit_ratios(cachetools.LRUCache)
    say_holds(held, report)
    say_memory(memory, report)
    say_costs(found, report)
    say_ratios(ratios, report)
    return {"benchmark": "engine", "holds": held, "memory": memory, "operations": OPERATIONS, "cost_ns": found, "hit_ratios": ratios}


def child(what: str, entries: int) -> dict[str, Any]:
    """What ``engine_child`` measured in a process of its own. Raises NoFigure when it failed."""
    run = subprocess.run(
        [sys.executable, "-m", "scalability.lab.bench.engine_child", what, str(entries)], check=False, capture_output=True, text=True
    )
    if run.returncode or not run.stdout:
        raise NoFigure(f"engine {what}: {(run.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    measured: dict[str, Any] = json.loads(run.stdout)
    return measured


def say_holds(held: Sequence[Mapping[str, Any]], report: Report) -> None:
    """The longest turn of the loop in each phase: the median of the rounds, the least and the greatest."""
    for phase, when in PHASES.items():
        cpu, wall = ([one[phase][clock] * 1e3 for one in held] for clock in ("cpu_s", "wall_s"))
        reached = "reached" if median(cpu) <= HOLD_WANTED_MS else "not reached"
        report(
            f"engine: {held[0]['entries']:,} entries, longest turn of the reactor {when}: {_spread(cpu)} ms of CPU,"
            f" {_spread(wall)} ms on the wall (wanted: at most {HOLD_WANTED_MS:g}): {reached}"
        )
    collections = [one["collection_s"] * 1e3 for one in held]
    report(f"engine: a full garbage collection beside them takes {_spread(collections)} ms")


def say_memory(memory: Mapping[str, float], report: Report) -> None:
    """What an entry costs beyond its key and value."""
    most = max(memory["filled_bytes"], memory["churned_bytes"], memory["expiring_bytes"])
    reached = "reached" if most <= MEMORY_WANTED_BYTES else "not reached"
    report(
        f"engine: an entry of {memory['entries']:,.0f} costs {memory['filled_bytes']:.0f} bytes beyond key and value,"
        f" {memory['churned_bytes']:.0f} after {memory['evicted']:,.0f} evictions, with ghosts,"
        f" and {memory['expiring_bytes']:.0f} while entries come and expire"
        f" (wanted: at most {MEMORY_WANTED_BYTES}): {reached}; {memory['counted_bytes']:.0f} are counted"
    )
    share = memory["resident_bytes"] / memory["max_bytes"]
    report(f"engine: resident are {share:.2f} of max_bytes ({memory['max_bytes'] / 1e6:,.0f} MB)")


def say_costs(found: Mapping[str, Sequence[float]], report: Report) -> None:
    """Nanoseconds by cache and operation, and how many times ours that is."""
    report(f"{'nanoseconds':<22}" + "".join(f"{operation:>24}" for operation in OPERATIONS))
    least = next(iter(found.values()))
    for name, row in found.items():
        report(f"{name:<22}" + "".join(f"{each:>16,.0f} ({each / own:4.2f})" for each, own in zip(row, least, strict=True)))


def say_ratios(ratios: Mapping[str, Mapping[str, Sequence[float]]], report: Report) -> None:
    """Hits of a hundred accesses."""
    report(f"{'hits of 100, cache holds':<26}" + "".join(f"{share:>22.0%} of the keys" for share in SHARES))
    for trace, row in ratios.items():
        pairs = zip(row["s3fifo"], row["lru"], strict=True)
        report(f"{trace:<26}" + "".join(f"{ours * 100:>17.1f}, LRU {lru * 100:5.1f}    " for ours, lru in pairs))


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"
