"""``tools/bench.py snapshot``: a million entries written to a file, read again, and a tenth of them purged, and what others feel of it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from statistics import median
from typing import Any

from scalability.lab.bench.rounds import NoFigure

ENTRIES = 1_000_000
WANTED_MS = 5.0
"""No piece of work holds the reactor for longer."""
LIMIT_S = 300.0


def snapshot(rounds: int, _seconds: float, report: Callable[[str], None], *, entries: int = ENTRIES) -> dict[str, object]:
    """The figures of each round, each in a process of its own."""
    samples = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="scalelab-bench-") as folder:
            samples.append(_sample(folder, entries))
    for line in lines(samples):
        report(line)
    return {"benchmark": "snapshot", "samples": samples}


def lines(samples: list[dict[str, Any]]) -> list[str]:
    """What is said of them: medians, and the longest hold of all."""
    count = samples[0]["entries"]
    size = samples[0]["bytes"] / 1e6
    said = [
        f"snapshot: {count:,} entries, {size:.0f} MB: written in {_middle(samples, 'write', 'took_s'):.1f} s with "
        f"{_middle(samples, 'write', 'resident_mb'):.0f} MB more of memory, loaded in {median(one['load_s'] for one in samples):.1f} s"
    ]
    for name, what in (("write", "writing"), ("purge", f"purging {samples[0]['purged']:,} of them")):
        cpu = max(one[name]["cpu_hold_ms"] for one in samples)
        hold = max(one[name]["hold_ms"] for one in samples)
        verdict = "reached" if cpu < WANTED_MS else "missed"
        said.append(
            f"snapshot: {what} holds the reactor's thread for {cpu:.1f} ms of CPU at most (wanted: below {WANTED_MS:.0f}): {verdict}; "
            f"{hold:.1f} ms by the clock"
        )
    return said


def _middle(samples: list[dict[str, Any]], name: str, figure: str) -> float:
    return float(median(one[name][figure] for one in samples))


def _sample(folder: str, entries: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "scalability.lab.bench.snapshot_child", folder, str(entries)]
    try:
        ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_S)
        told: dict[str, Any] = json.loads(ran.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise NoFigure(f"the process that fills a cache gave no figures: {error}") from error
    return told
