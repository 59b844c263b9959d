"""What INFO tells of the process: memory and processor time."""

import os
import resource
import sys
from pathlib import Path

from scalability.cache.resp.server import ProcessFacts


def process_facts(statm: Path = Path("/proc/self/statm")) -> ProcessFacts:
    """Of this process; takes 20 µs."""
    try:
        resident = int(statm.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        resident = 0
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return ProcessFacts(os.getpid(), resident, usage.ru_utime, usage.ru_stime, sys.version.split()[0])
