"""``tools/bench.py proxy``: scalelab-lb, HAProxy and nginx side by side, one process each, in front of the same two backends."""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from scalability.lab.bench.choice import choice_ns
from scalability.lab.bench.cpu import family_cpu_seconds
from scalability.lab.bench.idle import bytes_per_idle_connection
from scalability.lab.bench.programs import Program, free_port, haproxy, nginx, plugin, upstream
from scalability.lab.bench.rounds import Ratio, Sample, in_turns, middle, ratio
from scalability.lab.bench.wrk import missing, wrk
from scalability.lifecycle.open_files import raise_open_files

OURS = "scalelab-lb"
PEERS = ("haproxy", "nginx")
Report = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """What wrk asks for."""

    name: str
    path: str
    connections: int
    upload_bytes: int = 0
    least_s: float = 0.0
    """A turn takes so long at least: opening the connections, once in each, must count for little."""


SMALL = Load("60 B, 64 connections", "/data", 64)
CROWD = Load("60 B, 1,000 connections", "/data", 1000, least_s=5.0)
LARGE = Load("1 MiB, 64 connections", "/bytes/1048576", 64)
LOADS = (
    (Load("60 B, 1 connection", "/data", 1),),
    (SMALL, CROWD),
    (Load("10 KiB, 64 connections", "/bytes/10240", 64),),
    (LARGE,),
    (Load("64 KiB upload, 64 connections", "/data", 64, upload_bytes=65536),),
)
"""Those that stand together are compared with each other, and so taken in the same turns: a machine's moods last for minutes."""


def proxy(rounds: int, seconds: float, report: Report) -> dict[str, object]:
    """Every load on every proxy that is installed; then memory of idle connections, and the cost of a choice."""
    raise_open_files()
    absent = missing(*PEERS)
    for name in absent:
        report(f"proxy: without {name}, which cannot be found; apt-get install {name}")
    taken: dict[str, dict[str, list[Sample]]] = {}
    with ExitStack() as running:
        start = running.enter_context
        upstreams = [free_port(), free_port()]
        for port in upstreams:
            start(upstream(port))
        programs: dict[str, Program] = {OURS: start(balancer(upstreams))}
        for name, kind in (("haproxy", haproxy), ("nginx", nginx)):
            if name not in absent:
                directory = Path(start(TemporaryDirectory(prefix="scalelab-bench-")))
                programs[name] = start(kind(free_port(), upstreams, directory))
        for loads in LOADS:
            arms = {(load, name): _arm(program, load, seconds) for name, program in programs.items() for load in loads}
            for warm_up in arms.values():
                warm_up()
            report(f"-- {'; '.join(load.name for load in loads)}")
            alone = len(loads) == 1
            turns = in_turns(
                {name if alone else f"{name}, {load.connections:,}": arm for (load, name), arm in arms.items()}, rounds, report
            )
            for (load, name), samples in zip(arms, turns.values(), strict=True):
                taken.setdefault(load.name, {})[name] = samples
    idle = {name: idle_bytes(name) for name in programs}
    return conclude(taken, idle, choice_ns("round_robin", 2), choice_ns("round_robin", 1000), report)


def balancer(upstreams: list[int]) -> Program:
    """scalelab-lb as it is installed: checks, forwarding fields, metrics and deadlines on."""
    return plugin(OURS, *(flag for port in upstreams for flag in ("--backend", f"127.0.0.1:{port}")), port=free_port())


def _arm(program: Program, load: Load, seconds: float) -> Callable[[], Sample]:
    def run() -> Sample:
        before = family_cpu_seconds(program.pid)
        sample = wrk(
            program.url + load.path, connections=load.connections, seconds=max(seconds, load.least_s), upload_bytes=load.upload_bytes
        )
        used = family_cpu_seconds(program.pid) - before
        return Sample(
            sample.requests, sample.errors, sample.seconds, used / max(sample.requests, 1) * 1e6, p50_s=sample.p50_s, p99_s=sample.p99_s
        )

    return run


def idle_bytes(name: str) -> float:
    """What an idle keep-alive connection costs in a fresh process of the proxy ``name``, whose buffers have not grown yet."""
    with ExitStack() as running:
        start = running.enter_context
        upstreams = [free_port(), free_port()]
        for port in upstreams:
            start(upstream(port))
        directory = Path(start(TemporaryDirectory(prefix="scalelab-bench-")))
        if name == OURS:
            program = start(balancer(upstreams))
        else:
            program = start((haproxy if name == "haproxy" else nginx)(free_port(), upstreams, directory))
        return bytes_per_idle_connection(program)


def conclude(
    taken: Mapping[str, Mapping[str, list[Sample]]], idle: Mapping[str, float], choice_2_ns: float, choice_1000_ns: float, report: Report
) -> dict[str, object]:
    """Say what the samples mean, next to what is wanted; answers the same as data."""
    figures: dict[str, object] = {"benchmark": "proxy", "idle_bytes": dict(idle), "choice_ns": {"2": choice_2_ns, "1000": choice_1000_ns}}
    report("")
    for load, samples in taken.items():
        for name, found in samples.items():
            report(
                f"{load:<30} {name:<12} {middle(found, _rate):>9,.0f} requests/s {middle(found, _cpu):>8.1f} us CPU"
                f"  p50 {_ms(middle(found, lambda s: s.p50_s))}  p99 {_ms(middle(found, lambda s: s.p99_s))}"
            )
        for name, theirs in samples.items():
            if name != OURS:
                cpu, rate = ratio(samples[OURS], theirs, _cpu), ratio(samples[OURS], theirs, _rate)
                report(f"{'':<30} against {name}: CPU {cpu}, requests/s {rate}, p99 {ratio(samples[OURS], theirs, lambda s: s.p99_s)}")
                figures[f"{load}: CPU against {name}"] = [cpu.median, cpu.least, cpu.greatest]
    report("")
    small, crowd, large = (taken.get(load.name, {}) for load in (SMALL, CROWD, LARGE))
    if "haproxy" in small:
        report(f"CPU of a small request: {ratio(small[OURS], small['haproxy'], _cpu)} times HAProxy's (wanted: at most 1.2)")
    if "haproxy" in large:
        per_cpu = ratio(large["haproxy"], large[OURS], _cpu)
        report(f"bytes per CPU second at 1 MiB: {per_cpu} times HAProxy's (wanted: at least 0.7)")
    if OURS in small and OURS in crowd:
        more: Ratio = ratio(crowd[OURS], small[OURS], _cpu)
        report(f"CPU of a request at 1,000 connections: {more} times that at 64 (wanted: at most 1.2)")
    for name, each in idle.items():
        wanted = " (wanted: at most 6.0)" if name == OURS else ""
        report(f"an idle keep-alive connection of {name}: {each / 1024:.1f} KiB resident{wanted}")
    report(f"choosing among 1,000 equal servers: {choice_1000_ns:.0f} ns, among 2: {choice_2_ns:.0f} ns")
    return figures


def _cpu(sample: Sample) -> float:
    return sample.cpu_us


def _rate(sample: Sample) -> float:
    return sample.per_s


def _ms(seconds: float) -> str:
    return "?" if math.isnan(seconds) else f"{seconds * 1e3:.2f} ms"
