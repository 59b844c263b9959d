#!/usr/bin/env python3
"""Bring the Compose lab up for real, use it, and take it down: ``python3 tools/compose_test.py [--keep-image FILE]``.

The daemon is the one that ``docker`` reaches, or, for root where there is none, a ``dockerd`` of its own in a temporary
folder. The base image is python:3.11-slim; where no registry can be reached, a stand-in is made with debootstrap (kept in
``--keep-image`` for the next run) and the packages are brought along as wheels, so that the build needs no network.

Exit status: 0 when everything held; 1 when something did not; 77 when Docker cannot run here, with one line that says why.
"""

import _bootstrap

_bootstrap.ensure("run")

import argparse  # noqa: E402 - the environment exists only now
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, NoReturn, TypeVar  # noqa: E402

from scalability.testing.client import Answer, HTTPClient  # noqa: E402

BASE = "python:3.11-slim"
STAND_IN = "scalelab-stand-in:bookworm"
"""Never tagged as what it stands in for: a daemon of somebody else's must not keep it under that name."""
CANNOT_RUN = 77
SERVICES = {"lb": 8000, "gateway": 5000, "microservice": 5001, "database": 5002, "cache": 5004, "worker": 5005}

T = TypeVar("T")


class NotHere(Exception):
    """Docker cannot run on this machine; the text says why."""


class Broken(Exception):
    """Something of the lab does not hold."""


def say(what: str) -> None:
    print(f"compose: {what}", flush=True)


# Docker


class Docker:
    """A Docker daemon and the command lines that talk to it."""

    def __init__(self, environ: dict[str, str], compose: Sequence[str]) -> None:
        self.environ = environ
        self._compose = list(compose)
        self.project = f"scalelabtest{os.getpid()}"
        self.context = Path()

    def run(self, *command: str, timeout_s: float = 120.0, check: bool = True) -> str:
        """Run a command, give back what it printed. Raises Broken with its words when it fails."""
        try:
            done = subprocess.run(
                command,
                check=False,
                cwd=self.context,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            raise Broken(f"{' '.join(command)} took more than {timeout_s:.0f} s") from error
        if check and done.returncode:
            raise Broken(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done.stdout

    def docker(self, *arguments: str, **more: Any) -> str:
        return self.run("docker", *arguments, **more)

    def compose(self, *arguments: str, **more: Any) -> str:
        return self.run(*self._compose, "--project-name", self.project, *arguments, **more)

    def containers(self, service: str = "", *, every: bool = False) -> list[str]:
        """The ids of the containers of ``service`` that run (of all services; ``every``: those that have ended, too)."""
        filters = ["--filter", f"label=com.docker.compose.project={self.project}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        return self.docker("ps", "-q", *(["-a"] if every else []), *filters).split()

    def inspect(self, *ids: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids)) if ids else []
        return found

    def healthy(self, service: str, count: int = 1) -> bool:
        states = [one["State"].get("Health", {}).get("Status") for one in self.inspect(*self.containers(service))]
        return states == ["healthy"] * count

    def exec(self, container: str, *command: str) -> str:
        return self.docker("exec", container, *command)


def compose_command() -> list[str]:
    """``docker compose`` where the plugin is, else ``docker-compose``."""
    if shutil.which("docker") is None:
        raise NotHere("the docker command is not installed")
    plugin = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        raise NotHere("neither docker-compose nor the docker compose plugin is installed")
    return ["docker-compose"]


def answers(environ: dict[str, str]) -> bool:
    """True when a daemon answers."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        info = subprocess.run(
            ["docker", "info"],
            check=False,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20,
        )
        # a client without a daemon prints its own half and, in some versions, ends with 0
        server = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            check=False,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
        )
        return info.returncode == 0 and server.returncode == 0 and bool(server.stdout.strip())
    return False


@contextlib.contextmanager
def daemon(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which ``docker`` reaches a daemon: the one that runs here, or one of our own, which is ended."""
    environ = dict(os.environ)
    if answers(environ):
        say("using the Docker daemon that runs here")
        yield environ
        return
    if environ.get("DOCKER_HOST"):
        raise NotHere("no daemon answers at DOCKER_HOST")
    if os.geteuid() != 0:
        raise NotHere("no Docker daemon answers, and only root can start one")
    if shutil.which("dockerd") is None:
        raise NotHere("no Docker daemon answers, and dockerd is not installed")
    environ["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--host", environ["DOCKER_HOST"], "--data-root", f"{folder}/data", "--exec-root", f"{folder}/run"]
    # no default bridge: nothing here needs it, and another daemon on this machine may own docker0
    command += ["--pidfile", f"{folder}/docker.pid", "--bridge", "none"]
    log = folder / "dockerd.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True)
    try:
        until = time.monotonic() + 45
        while not answers(environ):
            if process.poll() is not None:
                raise NotHere(f"dockerd cannot start: {_last_words(log)}")
            if time.monotonic() > until:
                raise NotHere(f"dockerd does not answer within 45 s: {_last_words(log)}")
            time.sleep(0.25)
        say(f"started a dockerd of its own (process {process.pid})")
        yield environ
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _unmount(folder)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return next((line for line in reversed(lines) if "level=fatal" in line or "failed" in line), lines[-1] if lines else "it said nothing")


def _unmount(folder: Path) -> None:
    """What a daemon left mounted under ``folder``, deepest first."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


# The image


def have_base(docker: Docker, kept: Path) -> str:
    """Have a base image in the daemon; its name, ``BASE`` or ``STAND_IN``."""
    with contextlib.suppress(Broken):
        docker.docker("image", "inspect", BASE)
        return BASE
    with contextlib.suppress(Broken):
        docker.docker("pull", "--quiet", BASE, timeout_s=300)
        return BASE
    instead = f"no registry can be reached: {BASE} is stood in for by Debian bookworm's Python"
    if kept.is_file():
        say(f"{instead}, kept from an earlier run")
    else:
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise NotHere(f"{BASE} cannot be pulled, and a stand-in needs root and debootstrap")
        say(f"{instead}, made with debootstrap")
        _debootstrap(kept)
    docker.docker("import", str(kept), STAND_IN, timeout_s=300)
    return STAND_IN


def _debootstrap(kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scalelab-base-") as folder:
        root = Path(folder, "root")
        command = ["debootstrap", "--variant=minbase", "--include=python3,python3-pip,python3-venv,ca-certificates", "bookworm", str(root)]
        made = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode:
            raise NotHere(f"debootstrap failed: {' '.join(made.stdout.strip().splitlines()[-2:])}")
        for cache in root.glob("var/cache/apt/archives/*.deb"):
            cache.unlink()
        unfinished = kept.with_name(f"{kept.name}.{os.getpid()}")
        subprocess.run(["tar", "-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "-cf", unfinished, "."], check=True)
        unfinished.replace(kept)  # two runs at once never see half of it


def fill_context(context: Path) -> None:
    """Copy what the build needs, and nothing that a fresh clone does not have."""
    for name in ("Dockerfile", ".dockerignore", "docker-compose.yml", "requirements.lock"):
        shutil.copy(_bootstrap.ROOT / name, context)
    for name in ("scalability", "twisted"):
        shutil.copytree(_bootstrap.ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))


def bring_wheels(context: Path) -> None:
    """Put the wheels of the lock file into the build context, fetched with this machine's own pip and its configuration."""
    pip = _bootstrap.pip_for(Path(sys.executable))
    if pip is None:
        raise Broken("there is no pip to fetch the wheels with")
    command = [*pip, "download", "-qq", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", "3.11"]
    machine = os.uname().machine
    for platform in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        command += ["--platform", f"{platform}_{machine}"]
    command += ["--implementation", "cp", "--dest", str(context / ".wheels"), "-r", str(context / "requirements.lock")]
    got = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if got.returncode:
        raise Broken(f"pip cannot fetch the wheels of requirements.lock:\n{got.stderr[-2000:]}")


# The lab


class Lab:
    """The running lab, and what is asked of it. Every method that begins with ``check`` raises Broken with its reason."""

    def __init__(self, docker: Docker, port: int, base: str) -> None:
        self.docker = docker
        self.base = base
        self.port = port
        self.http = HTTPClient(timeout_s=15)
        self.passed = 0

    def passes(self, what: str) -> None:
        self.passed += 1
        say(f"ok {self.passed:2}  {what}")

    def expect(self, holds: object, what: str, seen: object = "") -> None:
        if not holds:
            raise Broken(f"{what}: this does not hold; seen: {seen!r}")
        self.passes(what)

    def until(self, look: Callable[[], T | None], what: str, *, timeout_s: float = 60.0) -> T:
        """The first true answer of ``look``."""
        deadline = time.monotonic() + timeout_s
        last: object = None
        while True:
            try:
                found = look()
                if found:
                    return found
                last = found
            except (OSError, ValueError, Broken) as error:
                last = error
            if time.monotonic() > deadline:
                raise Broken(f"{what}: not within {timeout_s:.0f} s; seen last: {last!r}")
            time.sleep(0.5)

    def get(self, path: str, **headers: str) -> Answer:
        return self.http.get(self.port, path, headers=headers)

    def check_all(self) -> None:
        self.check_start()
        self.check_contract()
        self.check_image()
        task = self.check_tasks()
        self.check_scaling()
        self.check_stopped_container()
        self.check_killed_process()
        self.check_dependency_down()
        self.check_restart_keeps_tasks(task)
        self.check_end()

    def check_start(self) -> None:
        began = time.monotonic()
        self.docker.compose("up", "-d", timeout_s=300)
        for service in SERVICES:
            count = 2 if service == "gateway" else 1
            self.until(lambda service=service, count=count: self.docker.healthy(service, count), f"{service} is healthy")  # type: ignore[misc]
        self.passes(f"every service is healthy, two gateways among them, {time.monotonic() - began:.0f} s after the start")
        published = {
            (port, binding["HostPort"])
            for one in self.docker.inspect(*self.docker.containers())
            for port, bindings in (one["NetworkSettings"]["Ports"] or {}).items()
            for binding in bindings or ()
        }
        self.expect(published == {("8000/tcp", str(self.port))}, "only the balancer's port is published", published)

    def check_contract(self) -> None:
        answer = self.get("/health")
        self.expect(answer.status == 200 and answer.json()["status"] == "ok", "GET /health is the balancer's own", answer)
        data = {"data": "Fetched fresh data from DB"}
        first = self.until(lambda: self._ok("/data"), "GET /data is answered")
        self.expect(first.json() == {"cached": False, **data}, "the first GET /data comes from the database", first)
        for _ in range(4):  # both gateways
            again = self.get("/data")
            if again.json() != {"cached": True, **data}:
                raise Broken(f"a further GET /data is no hit: {again}")
        self.passes("further ones are hits of the shared cache, through either gateway")
        answer = self.get("/process")
        self.expect((answer.status, answer.json()["message"]) == (200, "Business logic executed"), "GET /process", answer)
        answer = self.get("/metrics")
        self.expect({"cache_hits", "cache_misses", "avg_latency"} <= answer.json().keys(), "GET /metrics is JSON", answer)
        answer = self.get("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
        self.expect("# TYPE" in answer.text, "and Prometheus text for a Prometheus server", answer)
        answer = self.http.post(self.port, "/longtask", body=b'{"task": ', headers={"Content-Type": "application/json"})
        self.expect(answer.status == 400 and answer.json()["error"], "JSON that breaks off is 400", answer)
        answer = self.http.post(self.port, "/longtask", json={"task": "report", "padding": "x" * (1 << 20)})
        self.expect(answer.status == 413, "a body over 1 MiB is 413", answer)

    def _ok(self, path: str) -> Answer | None:
        answer = self.get(path)
        return answer if answer.status == 200 else None

    def check_image(self) -> None:
        (database,) = self.docker.containers("database")
        command = self.docker.exec(database, "python", "-c", "print(open('/proc/1/cmdline').read().split(chr(0)))")
        self.expect("/twistd'" in command, "process 1 is twistd", command)
        self.expect(self.docker.exec(database, "id", "-u").strip() == "10001", "it does not run as root")
        tools = self.docker.exec(database, "sh", "-c", "command -v cc gcc c++ ld make || true")
        self.expect(not tools.strip(), "the image has no compiler", tools)
        image, base = (int(self.docker.docker("image", "inspect", "--format", "{{.Size}}", name)) for name in ("scalelab", self.base))
        self.expect(image - base < 100 << 20, f"the image adds {(image - base) / 1e6:.0f} MB to its base", image - base)

    def check_tasks(self) -> str:
        answer = self.http.post(self.port, "/longtask", json={"task": "report"})
        self.expect((answer.status, answer.json()["status"]) == (202, "Task queued"), "POST /longtask is 202", answer)
        place = answer.headers["location"]
        self.until(lambda: self._done(place), f"the task at {place} is completed", timeout_s=40)
        self.passes("the task is completed, as GET /tasks/<id> tells through the balancer")
        return place

    def _done(self, place: str) -> bool:
        answer = self.get(place)
        return answer.status == 200 and any(word in answer.text for word in ('"completed"', '"succeeded"', '"done"'))

    def _served(self) -> list[int]:
        """How many ``/data`` each gateway has answered."""
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5000/metrics', timeout=5).read().decode())"
        told = [json.loads(self.docker.exec(one, "python", "-c", ask)) for one in self.docker.containers("gateway")]
        return [metrics["cache_hits"] + metrics["cache_misses"] for metrics in told]

    @contextlib.contextmanager
    def _traffic(self, what: str) -> Iterator[None]:
        """A request every 20 ms (at most 3,000) while the block runs; none of them may fail."""
        ended = threading.Event()
        failures: list[str] = []
        answered = [0]

        def ask() -> None:
            for _ in range(3000):
                if ended.is_set():
                    return
                try:
                    answer = self.get("/data")
                    if answer.status != 200:
                        failures.append(f"{answer.status} {answer.text[:200]}")
                except Exception as error:  # whatever a client can see is a failed request
                    failures.append(repr(error))
                answered[0] += 1
                ended.wait(0.02)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            ended.set()
            asking.join(30)
        self.expect(answered[0] and not failures, f"{what}: none of {answered[0]} requests failed", failures[:3])

    def check_scaling(self) -> None:
        with self._traffic("scaling to four gateways"):
            self.docker.compose("up", "-d", "--no-recreate", "--scale", "gateway=4", timeout_s=180)
            self.until(lambda: self.docker.healthy("gateway", 4), "four gateways are healthy")
            self.until(lambda: sum(1 for served in self._served() if served) == 4, "all four gateways get requests", timeout_s=30)
        with self._traffic("scaling back to two"):
            self.docker.compose("up", "-d", "--no-recreate", "--scale", "gateway=2", timeout_s=180)
            self.until(lambda: len(self.docker.containers("gateway")) == 2, "two gateways are left")
            time.sleep(3)  # the balancer asks for the name every 2 s

    def check_stopped_container(self) -> None:
        gone = self.docker.containers("gateway")[0]
        with self._traffic("stopping one gateway"):
            self.docker.docker("stop", gone)
            time.sleep(3)
        self.docker.docker("start", gone)
        self.until(lambda: self.docker.healthy("gateway", 2), "the stopped gateway is back")

    def check_killed_process(self) -> None:
        (killed,) = self.docker.containers("microservice")
        process = self.docker.inspect(killed)[0]["State"]["Pid"]
        # of a daemon in another machine or namespace, the id may be anybody's: it must be our twistd, seen from here
        command = Path(f"/proc/{process}/cmdline")
        if os.geteuid() != 0 or not command.is_file() or b"scalelab-microservice" not in command.read_bytes():
            say("not tried, the process is out of reach from here: a killed server is started again")
            return
        os.kill(process, signal.SIGKILL)
        self.until(lambda: self.docker.inspect(killed)[0]["RestartCount"] == 1, "a killed server is started again")
        self.until(lambda: self._ok("/process"), "a killed server answers again")
        self.passes("a killed server is started again by its restart policy and answers")

    def check_dependency_down(self) -> None:
        (cache,) = self.docker.containers("cache")
        self.docker.docker("stop", cache)
        answer = self.get("/data")
        self.expect(answer.status == 200, "without the cache the database answers /data", answer)
        self.docker.docker("start", cache)
        (worker,) = self.docker.containers("worker")
        self.docker.docker("stop", worker)
        answer = self.http.post(self.port, "/longtask", json={"task": "report"})
        self.expect(
            answer.status == 503 and "retry-after" in answer.headers, "without the worker /longtask is 503 with Retry-After", answer
        )
        self.docker.docker("start", worker)
        self.until(lambda: self.docker.healthy("worker") and self.docker.healthy("cache"), "cache and worker are back")

    def check_restart_keeps_tasks(self, place: str) -> None:
        answer = self.until(lambda: self._ok(place), "the worker answers again")
        self.expect(self._done(place), "a task outlives its worker's container being stopped", answer)
        self.docker.compose("up", "-d", "--force-recreate", "--no-deps", "worker", timeout_s=180)
        self.until(lambda: self._ok(place), "a task outlives its worker's container being made anew: its volume is kept")
        self.passes("and being made anew: it stands in a volume")

    def check_end(self) -> None:
        ids = self.docker.containers()
        began = time.monotonic()
        self.docker.compose("stop", timeout_s=120)
        took = time.monotonic() - began
        ended = {one["Name"].strip("/"): one["State"]["ExitCode"] for one in self.docker.inspect(*ids)}
        self.expect(set(ended.values()) == {0}, f"everything stops with status 0 ({took:.0f} s)", ended)
        self.docker.compose("down", "--volumes", "--remove-orphans", timeout_s=120)
        self.expect(not self.docker.containers(every=True), "nothing is left after down")


def free_port(wanted: int) -> int:
    """``wanted``, or, when something listens there, any that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Broken("no port is free")


def try_it(kept: Path, wanted_port: int) -> int:
    """Everything, from the daemon up to its end; the number of checks that held."""
    compose = compose_command()
    # a Unix socket's path may have 108 characters: a short folder, whatever TMPDIR says
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="scalelab-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        context = folder / "build"
        context.mkdir()
        environ = stack.enter_context(daemon(folder))
        port = free_port(wanted_port)
        if port != wanted_port:
            say(f"port {wanted_port} is taken; the balancer is published on {port}")
        environ["SCALELAB_PUBLISH"] = f"127.0.0.1:{port}"
        docker = Docker(environ, compose)
        docker.context = context
        base = have_base(docker, kept)
        fill_context(context)
        arguments: list[str] = []
        if base != BASE:
            bring_wheels(context)
            arguments = ["--build-arg", f"BASE={base}", "--build-arg", "PIP_NO_INDEX=1"]
        began = time.monotonic()
        docker.compose("build", *arguments, timeout_s=900)
        say(f"image built in {time.monotonic() - began:.0f} s")
        lab = Lab(docker, port, base)
        try:
            lab.check_all()
        except BaseException:
            with contextlib.suppress(Broken):
                print(docker.compose("ps"), docker.compose("logs", "--no-color", "--tail", "40"), flush=True)
            raise
        finally:
            with contextlib.suppress(Broken):
                docker.compose("down", "--volumes", "--remove-orphans", timeout_s=180)
        return lab.passed


def stop(number: int, _frame: object) -> NoReturn:
    """SIGTERM ends the run as an exception would, so that what was started is taken down."""
    raise SystemExit(128 + number)


def main() -> int:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description="Bring the Compose lab up for real, use it, and take it down.")
    kept = cache / "scalelab" / f"base-bookworm-{os.uname().machine}.tar"
    parser.add_argument("--keep-image", type=Path, default=kept, metavar="FILE", help="where the stand-in image is kept (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="the port on 127.0.0.1 to publish the balancer on (%(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    try:
        passed = try_it(options.keep_image, options.port)
    except NotHere as reason:
        say(f"not run: {reason}")
        return CANNOT_RUN
    except Broken as broken:
        say(f"FAILED: {broken}")
        return 1
    say(f"{passed} checks held")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
