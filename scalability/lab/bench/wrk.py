"""wrk, the load generator of the benchmarks: 6-7 us of CPU a request, so that little is taken from what is measured."""

import math
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

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

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def missing(*programs: str) -> list[str]:
    """Those of ``programs`` that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


def wrk(url: str, *, connections: int, seconds: float, upload_bytes: int = 0) -> Sample:
    """Load ``url`` (loopback only) with one thread for ``seconds`` s, rounded up: wrk knows no parts of seconds.

    Errors are socket errors and answers outside 2xx and 3xx.

    With ``upload_bytes`` each request is a POST with a body of so many.
    """
    if not url.startswith("http://127.0.0.1:"):
        raise ValueError("benchmarks send traffic to 127.0.0.1 only")
    fields = [part for field in BROWSER_FIELDS for part in ("-H", field)]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--latency", *fields]
    with tempfile.TemporaryDirectory(prefix="scalelab-bench-") as directory:
        if upload_bytes:
            script = Path(directory) / "upload.lua"
            script.write_text(upload_script(upload_bytes))
            command += ["-s", str(script)]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=seconds + 30)
    return parse(done.stdout)


def upload_script(size: int) -> str:
    """What tells wrk to POST ``size`` bytes."""
    return f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/octet-stream"\nwrk.body = string.rep("x", {size})\n'


def parse(output: str) -> Sample:
    """Read what wrk prints."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    if total is None:
        raise ValueError(f"this is not wrk's output: {output[:200]!r}")
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = sum(int(n) for n in sockets.groups()) if sockets else 0
    return Sample(
        int(total[1]),
        errors + (int(statuses[1]) if statuses else 0),
        float(total[2]) * _UNITS[total[3]],
        p50_s=_percentile(output, 50),
        p99_s=_percentile(output, 99),
    )


def _percentile(output: str, percent: int) -> float:
    found = re.search(rf"^ *{percent}% +([\d.]+)(us|ms|s|m)$", output, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")
