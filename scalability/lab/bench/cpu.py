"""CPU time of a running process, to the nanosecond, and its memory."""

from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """User and system seconds that all threads of ``pid`` have run.

    Read from ``/proc/PID/task/*/schedstat`` (nanoseconds on a core), because ``/proc/PID/stat`` counts in ticks of 10 ms.
    """
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def family(pid: int) -> list[int]:
    """``pid`` and its descendants: a program with worker processes is measured whole."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(int(child) for child in path.read_text().split())
    return found


def family_cpu_seconds(pid: int) -> float:
    """CPU seconds of ``pid`` and its descendants."""
    return sum(cpu_seconds(member) for member in family(pid))


def resident_bytes(pid: int) -> int:
    """What ``pid`` holds in memory of its own: resident anonymous pages, not the files it shares with others."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/status says nothing of memory")


def family_resident_bytes(pid: int) -> int:
    """The same of ``pid`` and its descendants."""
    return sum(resident_bytes(member) for member in family(pid))
