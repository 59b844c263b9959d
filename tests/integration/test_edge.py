"""The balancer's edge as a process: who is believed, how requests are named, TLS and the PROXY protocol on both sides."""

import contextlib
import http.client as http_client
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalability.http1.proxy_protocol import proxy_header
from scalability.testing.certificates import Authority
from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]


class Recorder:
    """A server that answers each request with the head that it got, one connection after another."""

    def __init__(self, secured: ssl.SSLContext | None = None) -> None:
        self._secured = secured
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        got = b""
        if self._secured is not None:
            try:
                client = self._secured.wrap_socket(client, server_side=True)
            except OSError:
                return
        with contextlib.suppress(OSError), client:
            while data := client.recv(65536):
                got += data
                while (end := got.find(b"\r\n\r\n")) >= 0:
                    head, got = got[:end], got[end + 4 :]
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


def ask(port: int, fields: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """``GET /``: the fields that the server saw, and those of the answer, by lower-case name."""
    connection = http_client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers=fields)
    answer = connection.getresponse()
    seen = answer.read().decode()
    connection.close()
    return seen_fields(seen), {name.lower(): value for name, value in answer.getheaders()}


def seen_fields(text: str) -> dict[str, str]:
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in text.split("\r\n")[1:])}


CLAIMS = {"X-Forwarded-For": "6.6.6.6, 7.7.7.7", "X-Forwarded-Proto": "https", "X-Request-Id": "theirs", "Forwarded": "for=6.6.6.6"}


def test_claims_are_replaced_and_the_request_is_named(start: Start, recorder: Recorder, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", "--forwarded", "--access-log", str(log))
    seen, answer = ask(process.wait_listening(), CLAIMS)
    assert (seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]) == ("127.0.0.1", "127.0.0.1", "http")
    assert seen["forwarded"].startswith('for=127.0.0.1;host="127.0.0.1:')
    assert len(seen["x-request-id"]) == 32
    assert seen["traceparent"][3:35] == answer["x-request-id"] == seen["x-request-id"]
    process.stop()
    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (line["client"], line["request_id"]) == ("127.0.0.1", answer["x-request-id"])


def test_claims_of_a_trusted_proxy_are_kept(start: Start, recorder: Recorder, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    flags = ["--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "::1", "--access-log", str(log)]
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", *flags)
    seen, answer = ask(process.wait_listening(), CLAIMS)
    assert (seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]) == ("6.6.6.6, 7.7.7.7, 127.0.0.1", "7.7.7.7", "https")
    assert (seen["forwarded"], seen["x-request-id"], answer["x-request-id"]) == ("for=6.6.6.6", "theirs", "theirs")
    process.stop()
    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (line["client"], line["request_id"]) == ("7.7.7.7", "theirs")


def test_names_can_be_left_alone(start: Start, recorder: Recorder) -> None:
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", "--request-ids", "off")
    seen, answer = ask(process.wait_listening(), CLAIMS)
    assert seen["x-request-id"] == "theirs"
    assert "traceparent" not in seen
    assert "x-request-id" not in answer


AUTHORITY = Authority()


def secure(start: Start, recorder: Recorder, *flags: str) -> tuple[Process, int, int]:
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", "--tls-listen", "127.0.0.1:0", *flags)
    return process, process.wait_listening(), int(process.wait_for(r"tls listens on \S+:(\d+)")[1])


def trusting(tmp_path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=AUTHORITY.write_own(tmp_path / "ca.pem"))


def connect(port: int, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname=name)


def ask_securely(client: ssl.SSLSocket, name: str) -> dict[str, str]:
    client.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nX-Forwarded-Proto: ftp\r\nConnection: close\r\n\r\n".encode())
    got = b""
    while data := client.recv(65536):
        got += data
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return seen_fields(body.decode())


def test_tls_and_plain_side_by_side_with_a_certificate_for_each_name(start: Start, recorder: Recorder, tmp_path: Path) -> None:
    one = AUTHORITY.write(tmp_path / "one.pem", "one.example", "*.wild.example")
    certificate, key = AUTHORITY.issue("two.example")
    (tmp_path / "two.crt").write_bytes(certificate)
    (tmp_path / "two.pem").write_bytes(key)
    flags = ["--tls-cert", str(one), "--tls-cert", f"{tmp_path / 'two.crt'},{tmp_path / 'two.pem'}"]
    process, plain, secured = secure(start, recorder, *flags)
    context = trusting(tmp_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name in ("one.example", "any.wild.example", "two.example"):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            with connect(secured, context, name) as client:
                assert client.selected_alpn_protocol() == "http/1.1"
                assert ask_securely(client, name)["x-forwarded-proto"] == "https"
    assert ask(plain, {})[0]["x-forwarded-proto"] == "http"
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        connect(secured, trusting(tmp_path), "three.example")
    context = trusting(tmp_path)
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        connect(secured, context, "one.example")
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{secured}", "-servername", "two.example", "-tls1_1"],
        input=b"",
        capture_output=True,
        timeout=20,
    )
    assert said.returncode != 0
    assert "Traceback" not in process.output


def test_a_changed_certificate_is_served_without_a_restart_and_a_broken_one_is_not(
    start: Start, recorder: Recorder, http: HTTPClient, tmp_path: Path
) -> None:
    file = AUTHORITY.write(tmp_path / "cert.pem", "old.example")
    process, _, secured = secure(start, recorder, "--tls-cert", str(file), "--admin", "127.0.0.1:0")
    context = trusting(tmp_path)
    with connect(secured, context, "old.example") as kept:
        file.write_bytes(b"half a certificate")
        process.wait_for("is not read anew, the old one is served on: .*holds no certificate")
        connect(secured, context, "old.example").close()
        fresh = AUTHORITY.write(tmp_path / "fresh", "new.example")
        os.replace(fresh, file)
        process.wait_for("for new.example is served now")
        connect(secured, context, "new.example").close()
        assert ask_securely(kept, "old.example")["host"] == "old.example"
    metrics = http.get(process.wait_admin(), "/metrics").text
    assert 'scalelab_lb_certificate_reads_total{result="failed"} 1.0' in metrics
    assert 'scalelab_lb_certificate_reads_total{result="changed"} 1.0' in metrics
    assert f'scalelab_lb_certificate_expiry_timestamp_seconds{{file="{file}"}}' in metrics


def test_a_certificate_that_cannot_be_served_ends_the_start_with_one_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_bytes(b"nothing")
    for flags, why in [
        (["--tls-listen", "127.0.0.1:0"], "--tls-listen needs a certificate"),
        (["--tls-cert", str(tmp_path / "bad.pem")], "no listener serves them"),
        (["--tls-listen", "127.0.0.1:0", "--tls-cert", str(tmp_path / "bad.pem")], "holds no certificate in PEM"),
        (["--tls-listen", "127.0.0.1:0", "--tls-cert", str(tmp_path / "missing.pem")], "cannot read"),
    ]:
        process = start("scalelab-lb", *flags)
        assert process.wait() == 1
        assert process.stderr.count("\n") == 1
        assert why in process.stderr


def test_sigterm_finishes_what_runs_over_tls(start: Start, tmp_path: Path) -> None:
    slow = start("scalelab-microservice", "--service-time", "1")
    file = AUTHORITY.write(tmp_path / "cert.pem", "a.example")
    flags = ["--backend", f"127.0.0.1:{slow.wait_listening()}", "--tls-listen", "127.0.0.1:0", "--tls-cert", str(file)]
    process = start("scalelab-lb", *flags)
    port = int(process.wait_for(r"tls listens on \S+:(\d+)")[1])
    with connect(port, trusting(tmp_path), "a.example") as client:
        client.sendall(b"GET /process HTTP/1.1\r\nHost: a.example\r\n\r\n")
        time.sleep(0.3)
        process.kill(signal.SIGTERM)
        got = b""
        while data := client.recv(65536):
            got += data
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in got
    assert process.wait(timeout_s=20) in (0, -signal.SIGTERM)


def announced(port: int, header: bytes) -> dict[str, str]:
    """``GET /`` on a connection that begins with ``header``: what the server saw."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        for byte in header:
            client.sendall(bytes([byte]))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = b""
        while data := client.recv(65536):
            got += data
    assert got.startswith(b"HTTP/1.1 200 OK\r\n"), got
    return seen_fields(got.partition(b"\r\n\r\n")[2].decode())


def test_the_proxy_protocol_tells_the_client_on_both_listeners(start: Start, recorder: Recorder, http: HTTPClient, tmp_path: Path) -> None:
    file = AUTHORITY.write(tmp_path / "cert.pem", "a.example")
    flags = ["--proxy-protocol-from", "127.0.0.1", "--tls-cert", str(file), "--admin", "127.0.0.1:0"]
    process, plain, secured = secure(start, recorder, *flags)
    for version in (1, 2):
        header = proxy_header(version, ("203.0.113.9", 4711), ("198.51.100.1", 443))
        assert announced(plain, header)["x-forwarded-for"] == "203.0.113.9"
        with socket.create_connection(("127.0.0.1", secured), 10) as raw:
            raw.sendall(header)
            with trusting(tmp_path).wrap_socket(raw, server_hostname="a.example") as client:
                seen = ask_securely(client, "a.example")
        assert (seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]) == ("203.0.113.9", "203.0.113.9", "https")
    assert announced(plain, b"PROXY UNKNOWN\r\n")["x-forwarded-for"] == "127.0.0.1"
    with pytest.raises((ConnectionResetError, http_client.RemoteDisconnected)):
        ask(plain, {})
    curl = subprocess.run(["curl", "-s", "--haproxy-protocol", f"http://127.0.0.1:{plain}/"], capture_output=True, timeout=20)
    assert seen_fields(curl.stdout.decode())["x-forwarded-for"] == "127.0.0.1"
    metrics = http.get(process.wait_admin(), "/metrics").text
    assert 'scalelab_lb_proxy_headers_total{result="read"} 6.0' in metrics
    assert 'scalelab_lb_proxy_headers_total{result="refused"} 1.0' in metrics
    process.stop()
    assert "Traceback" not in process.output


def test_a_proxy_header_from_elsewhere_is_no_request(start: Start, recorder: Recorder) -> None:
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", "--proxy-protocol-from", "192.0.2.0/24")
    port = process.wait_listening()
    assert ask(port, {})[0]["x-forwarded-for"] == "127.0.0.1"
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"PROXY TCP4 203.0.113.9 198.51.100.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")


def secured_server(tmp_path: Path, *names: str) -> Recorder:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(AUTHORITY.write(tmp_path / "server.pem", *names))
    return Recorder(context)


def test_tls_to_backends_is_verified_against_the_authorities_that_are_named(start: Start, tmp_path: Path) -> None:
    ca = AUTHORITY.write_own(tmp_path / "ca.pem")
    server = secured_server(tmp_path, "shop.example", "127.0.0.1")
    for backend in (f"127.0.0.1:{server.port},tls", f"127.0.0.1:{server.port},weight=2,tls=shop.example"):
        process = start("scalelab-lb", "--backend", backend, "--backend-ca", str(ca), "--health-interval", "0.2")
        port = process.wait_listening()
        process.wait_for("is up: the check was answered 200")
        for _ in range(3):
            assert ask(port, {})[0]["x-forwarded-proto"] == "http"
        process.stop()
        assert "Traceback" not in process.output
    server.close()


def test_a_backend_that_is_not_who_it_should_be_gets_nothing_and_is_down(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    ca = AUTHORITY.write_own(tmp_path / "ca.pem")
    server = secured_server(tmp_path, "shop.example")
    for name, flags, why in (("tls", ["--backend-ca", str(ca)], "for another name"), ("tls=shop.example", [], "authority")):
        process = start("scalelab-lb", "--backend", f"127.0.0.1:{server.port},{name}", "--health-interval", "1", *flags)
        port = process.wait_listening()
        answer = http.post(port, "/")
        assert (answer.status, answer.json()["error"]) in ((502, "tls_failed"), (503, "no_server"))
        begun = time.monotonic()
        while "tls_failed" not in (said := http.get(port, "/health").json()["servers"][0]["last_check"]):
            assert time.monotonic() - begun < 20, said
            time.sleep(0.05)
        assert why in said
        process.stop()
        assert "Traceback" not in process.output
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{server.port},tls", "--backend-insecure")
    assert ask(process.wait_listening(), {})[0]["x-forwarded-for"] == "127.0.0.1"
    server.close()


def test_a_check_by_connection_alone_includes_the_handshake(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    ca = AUTHORITY.write_own(tmp_path / "ca.pem")
    server = secured_server(tmp_path, "shop.example")
    good, bad = f"127.0.0.1:{server.port},tls=shop.example", f"127.0.0.1:{server.port},tls=other.example"
    for backend in (good, bad):
        process = start(
            "scalelab-lb", "--backend", backend, "--backend-ca", str(ca), "--health-mode", "tcp", "--health-initial", "mandatory"
        )
        port = process.wait_listening()
        if backend is good:
            process.wait_for("is up: the check could connect")
            assert http.get(port, "/").status == 200
        else:
            while "tls_failed" not in http.get(port, "/health").json()["servers"][0]["last_check"]:
                time.sleep(0.05)
            answer = http.get(port, "/")
            assert (answer.status, answer.json()["error"]) == (503, "no_server"), "it never took traffic"
        process.stop()
        assert "Traceback" not in process.output
    server.close()


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("secured", [False, True])
def test_servers_are_told_the_client_in_a_proxy_header(
    start: Start, recorder: Recorder, tmp_path: Path, version: str, secured: bool
) -> None:
    # a second balancer behind the first requires the header, before TLS where that is spoken
    certificate = AUTHORITY.write(tmp_path / "cert.pem", "127.0.0.1")
    _, plain, tls = secure(start, recorder, "--tls-cert", str(certificate), "--proxy-protocol-from", "127.0.0.1")
    backend = f"127.0.0.1:{tls},tls" if secured else f"127.0.0.1:{plain}"
    ca = AUTHORITY.write_own(tmp_path / "ca.pem")
    flags = ["--backend", backend, "--send-proxy", version, "--backend-ca", str(ca), "--proxy-protocol-from", "127.0.0.0/8"]
    front = start("scalelab-lb", *flags)
    port = front.wait_listening()
    front.wait_for("is up: the check was answered 200")
    for host in ("203.0.113.9", "203.0.113.10", "203.0.113.9"):
        assert announced(port, proxy_header(2, (host, 4711), ("198.51.100.1", 443)))["x-forwarded-for"] == host
    front.stop()
    assert "Traceback" not in front.output
