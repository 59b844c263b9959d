"""What --backend may name, and how it is written."""

from pathlib import Path

import pytest

from scalability.upstream.discovery.backend import Backend, DNSName, ServerFile, ServiceName
from scalability.upstream.spec import ServerSpec


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("127.0.0.1:5000,weight=2", ServerSpec.parse("127.0.0.1:5000,weight=2")),
        ("[::1]:80,backup", ServerSpec.parse("[::1]:80,backup")),
        ("dns:gateway.example:5000,weight=9,maxconn=7", DNSName(ServerSpec.parse("gateway.example:5000,weight=9,maxconn=7"))),
        ("dns+srv:_http._tcp.gateway.example", ServiceName("_http._tcp.gateway.example")),
        ("dns+srv:gateway,maxconn=5,tls", ServiceName("gateway", tls=True, max_active=5)),
        ("dns+srv:gateway,tls=shop.example", ServiceName("gateway", tls=True, certificate="shop.example")),
        ("file:servers.txt", ServerFile(Path("servers.txt"))),
        ("file:some where/a,b:c", ServerFile(Path("some where/a,b:c"))),
    ],
)
def test_a_backend_is_written_as_it_is_read(text: str, source: object) -> None:
    backend = Backend.parse(text)
    assert backend.source == source
    assert str(backend) == text
    assert Backend.parse(str(backend)) == backend


@pytest.mark.parametrize("text", ["dns:5000", "file:5000", "dns:5000,weight=2", "file:80,tls"])
def test_a_host_of_such_a_name_is_a_host(text: str) -> None:
    assert isinstance(Backend.parse(text).source, ServerSpec)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "HOST:PORT"),
        ("gateway", "HOST:PORT"),
        ("a b:1", "HOST:PORT"),
        ("dns:gateway", "HOST:PORT"),
        ("dns:gateway:port", "not a number"),
        ("dns:gateway:0", "port 0"),
        ("dns:gateway:5000,weight=x", "from 0 to 256"),
        (f"dns:{'x' * 64}:5000", "not a DNS name"),
        ("dns:a..b:5000", "not a DNS name"),
        ("dns+srv:", "not a DNS name"),
        ("dns+srv:a b", "not a DNS name"),
        (f"dns+srv:{'x' * 64}", "not a DNS name"),
        ("dns+srv:gateway:5000", "say the ports"),
        ("dns+srv:gateway,weight=2", "may stand"),
        ("dns+srv:gateway,backup", "may stand"),
        ("dns+srv:gateway,tls=", "no host name"),
        ("file:", "path of a file"),
        ("file:a\0b", "path of a file"),
    ],
)
def test_a_bad_backend_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Backend.parse(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:5000,weight=2", "127.0.0.1:5000"),
        ("dns:gateway:5000,tls", "dns:gateway:5000"),
        ("dns+srv:gateway,tls", "dns+srv:gateway"),
        ("file:a,b", "file:a,b"),
    ],
)
def test_its_place_leaves_the_options_out(text: str, place: str) -> None:
    assert Backend.parse(text).place == place


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("a:1", False),
        ("a:1,tls", True),
        ("dns:a:1", False),
        ("dns:a:1,tls", True),
        ("dns+srv:a", False),
        ("dns+srv:a,tls", True),
        ("file:a", True),
    ],
)
def test_a_file_may_name_servers_that_speak_tls_at_any_time(text: str, may: bool) -> None:
    assert Backend.parse(text).may_speak_tls is may
