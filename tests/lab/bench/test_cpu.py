"""CPU time of processes."""

import mmap
import os
import subprocess
import sys

from scalability.lab.bench.cpu import cpu_seconds, family, family_cpu_seconds, family_resident_bytes, resident_bytes


def test_a_busy_process_has_used_cpu() -> None:
    before = cpu_seconds(os.getpid())
    sum(n * n for n in range(200_000))
    assert cpu_seconds(os.getpid()) > before


def test_a_family_holds_the_children() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in family(os.getpid())
        assert family_cpu_seconds(os.getpid()) >= cpu_seconds(child.pid)
        child.communicate(b"\n")


def test_memory_that_is_filled_is_resident() -> None:
    before = resident_bytes(os.getpid())
    with mmap.mmap(
        -1, 32 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    ) as filled:  # pages of its own: the allocator's may be resident already
        filled.write(b"x" * (32 << 20))
        assert resident_bytes(os.getpid()) - before > 24 << 20


def test_a_familys_memory_is_that_of_all_its_members() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert family_resident_bytes(os.getpid()) > resident_bytes(child.pid)
        child.communicate(b"\n")
