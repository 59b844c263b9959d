"""Facts about this process."""

import os
from pathlib import Path

from scalability.cache.resp.process import process_facts


def test_memory_and_time_are_those_of_this_process(tmp_path: Path) -> None:
    facts = process_facts()
    assert facts.pid == os.getpid()
    assert facts.user_s + facts.system_s > 0
    if Path("/proc/self/statm").exists():
        assert 1 << 20 < facts.resident_bytes < 1 << 36
    assert process_facts(tmp_path / "missing").resident_bytes == 0
