"""``tools/bench.py``: every figure that the documents quote, as a ratio from one run.

``balancer``: CPU per small keep-alive request beside HAProxy's, one thread each, two upstreams, wrk with 64 connections.
``proxy``: the balancer beside HAProxy and nginx at 1, 64 and 1,000 connections, small and large answers, uploads; memory of an idle
connection; the cost of choosing a server.
``choice``: nanoseconds that choosing a server takes, by algorithm, among 2, 1,000 and 10,000 servers.
``slowloris``: the p99 of honest clients while 5,000 connections send a byte a second each, beside the p99 without them.
``tail``: the p99 of clients with one server of four ten times slower than the rest, by algorithm, beside round robin's.
``klein``: CPU of a Klein route on this suite's HTTP server beside twisted.web's.
``cache``: CPU of a ``/data`` hit in a gateway's own memory beside nginx's proxy_cache, and Varnish's where installed.
``engine``: the cache's engine with a million entries: the longest hold of the reactor while they are loaded, expire and are cleared, memory
of an entry, cost of reads and writes beside cachetools and cachebox, hit ratios beside LRU.
``resp``: CPU of GET and SET over RESP beside redis-server's, one at a time and 16, and what an entry takes in memory.
``snapshot``: a million entries of the cache server written to a file, loaded, and a tenth of them purged: seconds, memory, and the longest
hold of the reactor.
``lab``: ``/data`` from the cache through balancer and gateways, requests/s beside a threaded Flask lab's.
"""

import argparse
import json
import math
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from scalability.lab.bench.cache_hits import cache
from scalability.lab.bench.choice import choice
from scalability.lab.bench.cpu import family_cpu_seconds
from scalability.lab.bench.engine import engine
from scalability.lab.bench.klein_app import KINDS
from scalability.lab.bench.programs import ROOT, Program, free_port, haproxy, klein_app, plugin, upstream
from scalability.lab.bench.proxy import proxy
from scalability.lab.bench.resp import resp
from scalability.lab.bench.rounds import NoFigure, Sample, in_turns, middle, ratio
from scalability.lab.bench.slowloris import slowloris
from scalability.lab.bench.snapshot import snapshot
from scalability.lab.bench.tail import tail
from scalability.lab.bench.wrk import missing, wrk


def measured(program: Program, path: str, *, connections: int, seconds: float) -> Callable[[], Sample]:
    """An arm: load ``program`` and charge its CPU to its requests."""

    def run() -> Sample:
        before = family_cpu_seconds(program.pid)
        sample = wrk(program.url + path, connections=connections, seconds=seconds)
        used = family_cpu_seconds(program.pid) - before
        return Sample(
            sample.requests, sample.errors, sample.seconds, used / max(sample.requests, 1) * 1e6, p50_s=sample.p50_s, p99_s=sample.p99_s
        )

    return run


def balancer(rounds: int, seconds: float, report: Callable[[str], None]) -> dict[str, object]:
    """CPU per request of scalelab-lb and of HAProxy."""
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="scalelab-bench-")))
        upstreams = [free_port(), free_port()]
        for port in upstreams:
            running.enter_context(upstream(port))
        backends = [flag for port in upstreams for flag in ("--backend", f"127.0.0.1:{port}")]
        ours = running.enter_context(plugin("scalelab-lb", *backends, port=free_port()))
        theirs = running.enter_context(haproxy(free_port(), upstreams, directory))
        arms = {
            name: measured(program, "/data", connections=64, seconds=seconds)
            for name, program in (("scalelab-lb", ours), ("haproxy", theirs))
        }
        for warm_up in arms.values():
            warm_up()
        taken = in_turns(arms, rounds, report)
    a, b = taken["scalelab-lb"], taken["haproxy"]
    cpu = ratio(a, b, lambda sample: sample.cpu_us)
    report(f"balancer: {middle(a, _cpu):.1f} us CPU a request, HAProxy {middle(b, _cpu):.1f} us: {cpu} times (wanted: at most 1.2)")
    report(f"balancer: {middle(a, _rate):,.0f} requests/s, HAProxy {middle(b, _rate):,.0f}: {ratio(a, b, _rate)} times")
    return {"benchmark": "balancer", "cpu_ratio": cpu.median, "samples": _plain(taken)}


def klein(rounds: int, seconds: float, report: Callable[[str], None]) -> dict[str, object]:
    """CPU per request of the same Klein route on ours and on twisted.web's channel, 64 keep-alive connections."""
    with ExitStack() as running:
        programs = {kind: running.enter_context(klein_app(kind, free_port())) for kind in KINDS}
        arms = {kind: measured(program, "/data", connections=64, seconds=seconds) for kind, program in programs.items()}
        for warm_up in arms.values():
            warm_up()
        taken = in_turns(arms, rounds, report)
    ours, theirs = (taken[kind] for kind in KINDS)
    cpu = ratio(ours, theirs, _cpu)
    report(
        f"klein: {middle(ours, _cpu):.1f} us CPU a request, on twisted.web {middle(theirs, _cpu):.1f} us: {cpu} times (wanted: at most 0.7)"
    )
    return {"benchmark": "klein", "cpu_ratio": cpu.median, "samples": _plain(taken)}


def lab(rounds: int, seconds: float, report: Callable[[str], None]) -> dict[str, object]:
    """Requests/s on a warm ``/data``: ours beside the Flask lab, both with two gateways, 50 connections, all on this machine's cores."""
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="scalelab-bench-")))
        start = running.enter_context
        ours_database = start(plugin("scalelab-database", "--store", f"sqlite:{directory}/bench.sqlite3", port=free_port()))
        ours_cache = start(plugin("scalelab-cache", port=free_port()))
        gateways = [
            start(plugin("scalelab-gateway", "--cache", ours_cache.url, "--database", ours_database.url, "--ttl", "600", port=free_port()))
            for _ in range(2)
        ]
        backends = [flag for gateway in gateways for flag in ("--backend", f"127.0.0.1:{gateway.port}")]
        ours = start(plugin("scalelab-lb", *backends, port=free_port()))
        their_database, their_cache = start(_flask("database")), start(_flask("cache"))
        their_gateways = [start(_flask("gateway", their_cache.url, their_database.url)) for _ in range(2)]
        theirs = start(_flask("balancer", *(gateway.url for gateway in their_gateways)))
        for program in (ours, theirs):
            answers = [_get(program.url + "/data") for _ in range(4)]
            if answers[-1]["cached"] is not True:
                raise NoFigure(f"/data is not served from the cache: {answers[-1]}")
        taken = in_turns(
            {"scalelab": lambda: wrk(ours.url + "/data", connections=50, seconds=seconds), "flask": lambda: _warmed(theirs, seconds)},
            rounds,
            report,
        )
    rate = ratio(taken["scalelab"], taken["flask"], _rate)
    ours_per_s, theirs_per_s = middle(taken["scalelab"], _rate), middle(taken["flask"], _rate)
    report(f"lab: {ours_per_s:,.0f} requests/s, Flask {theirs_per_s:,.0f}: {rate} times (wanted: at least 60)")
    return {"benchmark": "lab", "rate_ratio": rate.median, "samples": _plain(taken)}


def _warmed(program: Program, seconds: float) -> Sample:
    # its entries live 30 s, as the reference's do; a fresh one for each round
    _get(program.url + "/data")
    return wrk(program.url + "/data", connections=50, seconds=seconds)


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def _flask(role: str, *urls: str) -> Program:
    port = free_port()
    return Program([sys.executable, str(ROOT / "tools" / "flask_lab.py"), role, str(port), *urls], port, name=f"Flask {role}")


def _cpu(sample: Sample) -> float:
    return sample.cpu_us


def _rate(sample: Sample) -> float:
    return sample.per_s


def _plain(taken: dict[str, list[Sample]]) -> dict[str, list[dict[str, float]]]:
    return {
        name: [
            {"requests": s.requests, "seconds": s.seconds, "per_s": s.per_s} | ({} if math.isnan(s.cpu_us) else {"cpu_us": s.cpu_us})
            for s in samples
        ]
        for name, samples in taken.items()
    }


BENCHMARKS: dict[str, tuple[Callable[[int, float, Callable[[str], None]], dict[str, object]], tuple[str, ...]]] = {
    "balancer": (balancer, ("haproxy", "wrk")),
    "proxy": (proxy, ("wrk",)),
    "choice": (choice, ()),
    "klein": (klein, ("wrk",)),
    "slowloris": (slowloris, ()),
    "tail": (tail, ()),
    "cache": (cache, ("nginx", "wrk")),
    "engine": (engine, ()),
    "resp": (resp, ("redis-server", "redis-benchmark")),
    "snapshot": (snapshot, ()),
    "lab": (lab, ("wrk",)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks. Status 1 when one could not be run, with the reason."""
    parser = argparse.ArgumentParser(prog="tools/bench.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", nargs="*", metavar="BENCHMARK", help=f"which ones: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program (default 5; fewer prove nothing)")
    parser.add_argument("--seconds", type=int, default=4, help="whole seconds of load in each turn (default 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to FILE")
    given = parser.parse_args(arguments)
    if not 1 <= given.rounds <= 100 or not 1 <= given.seconds <= 60:
        parser.error("--rounds is 1 to 100 and --seconds 1 to 60")
    unknown = [name for name in given.benchmark if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    results, status = [], 0
    for name in given.benchmark or BENCHMARKS:
        run, needed = BENCHMARKS[name]
        absent = missing(*needed)
        if absent:
            _say(f"{name}: not run, because {' and '.join(absent)} cannot be found; apt-get install {' '.join(absent)}")
            status = 1
            continue
        try:
            results.append(run(given.rounds, given.seconds, _say))
        except NoFigure as error:
            _say(f"{name}: no figure: {error}")
            status = 1
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    return status


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
