"""Programs under measurement: started on free loopback ports, ended by their own pid."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program(AbstractContextManager["Program"]):
    """One process, ready when ``port`` accepts connections. Ended with SIGTERM, after 10 s with SIGKILL."""

    def __init__(self, command: Sequence[str], port: int, *, name: str = "") -> None:
        self.port = port
        self._command = list(command)
        self._name = name or self._command[0]
        self._directory = tempfile.TemporaryDirectory(prefix="scalelab-bench-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with (Path(self._directory.name) / "log").open("wb") as log:
            environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", "SCALELAB_CACHE_RESP": "127.0.0.1:0"}
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self._directory.name, env=environ
            )
        self._wait(10.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._directory.cleanup()

    def _wait(self, limit_s: float) -> None:
        assert self._process is not None
        end = time.monotonic() + limit_s
        while self._process.poll() is None and time.monotonic() < end:
            with socket.socket() as probe:
                probe.settimeout(0.5)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)  # this is a tool's own thread; no reactor runs here
        log = (Path(self._directory.name) / "log").read_text(errors="replace")
        self.__exit__(None, None, None)
        raise RuntimeError(f"{self._name} did not listen on port {self.port}:\n{log[-2000:]}")


def plugin(name: str, *flags: str, port: int) -> Program:
    """A scalelab plugin under twistd, listening on ``port``."""
    command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", name, "--listen", f"127.0.0.1:{port}", *flags]
    return Program(command, port, name=name)


def upstream(port: int) -> Program:
    """A small answer at the least cost, for proxies to forward."""
    return Program([sys.executable, "-m", "scalability.lab.bench.upstream", str(port)], port, name="upstream")


def redis_server(port: int) -> Program:
    """Redis with one thread, nothing written to disk."""
    flags = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--io-threads", "1"]
    return Program(["redis-server", *flags], port)


def haproxy(port: int, upstreams: Sequence[int], directory: Path) -> Program:
    """HAProxy with one thread, health checks, forwarding fields, keep-alive on both sides, round robin: what our balancer does."""
    servers = "\n".join(f"    server s{n} 127.0.0.1:{upstream_port} check inter 2s" for n, upstream_port in enumerate(upstreams))
    config = directory / "haproxy.cfg"
    config.write_text(
        f"""global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 3s
    timeout client 75s
    timeout http-keep-alive 75s
    timeout http-request 10s
    timeout server 60s
    option forwardfor
    option httpchk GET /health
    http-reuse always
frontend front
    bind 127.0.0.1:{port} backlog 1024
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    default_backend back
backend back
    balance roundrobin
{servers}
"""
    )
    return Program(["haproxy", "-f", str(config), "-db"], port, name="haproxy")


def nginx(port: int, upstreams: Sequence[int], directory: Path) -> Program:
    """nginx with one process, forwarding fields, keep-alive on both sides, bodies streamed, no log."""
    servers = "\n".join(f"        server 127.0.0.1:{upstream_port};" for upstream_port in upstreams)
    config = directory / "nginx.conf"
    temporary = "\n".join(f"    {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(
        f"""daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log warn;
events {{
    worker_connections 9000;
}}
http {{
    access_log off;
    keepalive_timeout 75s;
    keepalive_requests 100000000;
{temporary}
    upstream back {{
{servers}
        keepalive 64;
        keepalive_requests 1000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        client_max_body_size 0;
        location / {{
            proxy_pass http://back;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
"""
    )
    return Program(["nginx", "-p", str(directory), "-c", str(config)], port, name="nginx")


def nginx_cache(port: int, behind: int, directory: Path) -> Program:
    """nginx with one process that answers from its proxy_cache, which is on disk and so in the kernel's memory."""
    config = directory / "nginx_cache.conf"
    temporary = "\n".join(
        f"    {kind}_temp_path {directory}/cache_{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"""daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx_cache.pid;
error_log {directory}/nginx_cache.log warn;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    keepalive_timeout 75s;
    keepalive_requests 100000000;
    proxy_cache_path {directory}/kept levels=1:2 keys_zone=kept:10m max_size=100m inactive=60m use_temp_path=off;
{temporary}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_cache kept;
            proxy_cache_valid 200 60m;
            proxy_cache_lock on;
        }}
    }}
}}
"""
    )
    return Program(["nginx", "-p", str(directory), "-c", str(config)], port, name="nginx proxy_cache")


def varnish(port: int, behind: int, directory: Path) -> Program:
    """Varnish in memory, everything kept for an hour, without its log of each request."""
    config = directory / "varnish.vcl"
    config.write_text(
        f"""vcl 4.1;
backend back {{ .host = "127.0.0.1"; .port = "{behind}"; }}
sub vcl_recv {{ unset req.http.Cookie; return (hash); }}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}
"""
    )
    listen = f"127.0.0.1:{port}"
    # without its jail, whose users could not read the directory
    return Program(
        ["varnishd", "-j", "none", "-F", "-a", listen, "-f", str(config), "-n", str(directory / "varnish"), "-s", "malloc,64m"], port
    )


def klein_app(kind: str, port: int) -> Program:
    """The Klein app of ``lab.bench.klein_app``: ``kind`` is ours or twisted.web."""
    return Program([sys.executable, "-m", "scalability.lab.bench.klein_app", kind, str(port)], port, name=f"Klein on {kind}")
