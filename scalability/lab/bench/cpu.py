"""CPU time of a running process, to the nanosecond."""

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
