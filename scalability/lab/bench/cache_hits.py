"""``tools/bench.py cache``: what a hit costs in a gateway's memory, of ``/data`` and of a route, beside nginx's proxy_cache and Varnish."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from scalability.lab.bench.cpu import family_cpu_seconds
from scalability.lab.bench.programs import Program, free_port, nginx_cache, plugin, upstream, varnish
from scalability.lab.bench.rounds import Sample, in_turns, middle, ratio
from scalability.lab.bench.wrk import missing, wrk

Report = Callable[[str], None]

DATA = "gateway /data"
ROUTE = "gateway route"
OURS = (DATA, ROUTE)
CONNECTIONS = 64
WANTED = 0.8
"""Of nginx's CPU, at most."""


def cache(rounds: int, seconds: float, report: Report) -> dict[str, object]:
    """CPU a hit, one process each, 64 keep-alive connections, browser-sized requests, small answers."""
    with ExitStack() as running:
        start = running.enter_context
        directory = Path(start(TemporaryDirectory(prefix="scalelab-bench-")))
        database = start(plugin("scalelab-database", "--store", f"sqlite:{directory}/bench.sqlite3", port=free_port()))
        shared = start(plugin("scalelab-cache", port=free_port()))
        flags = ("--cache", shared.url, "--database", database.url, "--ttl", "600")
        behind = start(upstream(free_port()))
        routed = ("--cache", "memory:", "--route", f"/cacheable={behind.url}")
        programs: dict[str, Program] = {
            DATA: start(plugin("scalelab-gateway", *flags, port=free_port())),
            ROUTE: start(plugin("scalelab-gateway", *routed, port=free_port())),
        }
        programs["nginx"] = start(nginx_cache(free_port(), behind.port, directory))
        if missing("varnishd"):
            report("cache: without Varnish, which cannot be found; apt-get install varnish")
        else:
            programs["varnish"] = start(varnish(free_port(), behind.port, directory))
        arms = {name: _arm(program, "/cacheable" if name == ROUTE else "/data", seconds) for name, program in programs.items()}
        for warm_up in arms.values():
            warm_up()
        taken = in_turns(arms, rounds, report)
    return conclude(taken, report)


def conclude(taken: dict[str, list[Sample]], report: Report) -> dict[str, object]:
    """Say what the samples mean, next to what is wanted; answers the same as data."""
    figures: dict[str, object] = {"benchmark": "cache"}
    for mine in OURS:
        ours = taken[mine]
        for name, theirs in taken.items():
            if name in OURS:
                continue
            cpu = ratio(ours, theirs, _cpu)
            wanted = f" (wanted: at most {WANTED})" if name == "nginx" else ""
            report(f"cache: {mine} {middle(ours, _cpu):.1f} us CPU a hit, {name} {middle(theirs, _cpu):.1f} us: {cpu} times{wanted}")
            figures[f"CPU of {mine} against {name}"] = [cpu.median, cpu.least, cpu.greatest]
    return figures


def _arm(program: Program, path: str, seconds: float) -> Callable[[], Sample]:
    def run() -> Sample:
        before = family_cpu_seconds(program.pid)
        sample = wrk(program.url + path, connections=CONNECTIONS, seconds=seconds)
        used = family_cpu_seconds(program.pid) - before
        return Sample(
            sample.requests, sample.errors, sample.seconds, used / max(sample.requests, 1) * 1e6, p50_s=sample.p50_s, p99_s=sample.p99_s
        )

    return run


def _cpu(sample: Sample) -> float:
    return sample.cpu_us
