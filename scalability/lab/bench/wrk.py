"""wrk, the load generator of the benchmarks: 6-7 us of CPU a request, so that little is taken from what is measured."""

import re
import shutil
import subprocess

from scalability.lab.bench.rounds import Sample

BROWSER_FIELDS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1:8000/shop/catalogue/page/17",
    "Cookie: session=7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26; theme=dark; visited=1732368000",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
)
"""What a browser sends: with Host, 10 fields and about 600 bytes."""


def missing(*programs: str) -> list[str]:
    """Those of ``programs`` that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


def wrk(url: str, *, connections: int, seconds: float) -> Sample:
    """Load ``url`` (loopback only) with one thread for ``seconds`` s. Errors are socket errors and answers outside 2xx and 3xx."""
    if not url.startswith("http://127.0.0.1:"):
        raise ValueError("benchmarks send traffic to 127.0.0.1 only")
    fields = [part for field in BROWSER_FIELDS for part in ("-H", field)]
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", *fields, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
    )
    return parse(done.stdout)


def parse(output: str) -> Sample:
    """Read what wrk prints."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    if total is None:
        raise ValueError(f"this is not wrk's output: {output[:200]!r}")
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[total[3]]
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = sum(int(n) for n in sockets.groups()) if sockets else 0
    return Sample(int(total[1]), errors + (int(statuses[1]) if statuses else 0), float(total[2]) * unit)
