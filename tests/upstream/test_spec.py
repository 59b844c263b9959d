"""Servers are read, refused with the reason, and written as they are read."""

import pytest

from scalability.config import Address
from scalability.upstream.spec import ServerSpec, check_shares


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1", "HOST:PORT"),
        ("127.0.0.1:http", "not a number"),
        ("127.0.0.1:70000", "above 65535"),
        ("127.0.0.1:0", "port 0"),
        ("127.0.0.1:80,weight=", "from 0 to 256"),
        ("127.0.0.1:80,weight=257", "from 0 to 256"),
        ("127.0.0.1:80,level=128", "from 0 to 127"),
        ("127.0.0.1:80,maxconn=1000001", "from 0 to 1000000"),
        ("127.0.0.1:80,backup,level=2", "backup is level 1"),
        ("127.0.0.1:80,spare", "weight=N"),
        ("127.0.0.1:80,tls=a b", "no host name"),
    ],
)
def test_a_bad_server_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ServerSpec.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:80",
        "[::1]:80,weight=7",
        "gateway:5000,weight=256",
        "gateway:5000,weight=0",
        "a:1,tls",
        "a:1,weight=2,tls=b",
        "a:1,backup",
        "a:1,level=2",
        "a:1,weight=3,backup,maxconn=40,tls=b",
        "a:1,max_connections=7",
    ],
)
def test_a_server_is_written_as_it_is_read(text: str) -> None:
    assert str(ServerSpec.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "written"), [("a:1,weight=1,level=0,maxconn=0,tls=a", "a:1,tls"), ("a:1,tls,level=1", "a:1,backup,tls"), (":1", "127.0.0.1:1")]
)
def test_what_is_usual_anyway_is_not_written(text: str, written: str) -> None:
    assert str(ServerSpec.parse(text)) == written
    assert ServerSpec.parse(written) == ServerSpec.parse(text)


def test_options_say_what_a_server_may_be_sent() -> None:
    spec = ServerSpec.parse("10.0.0.1:80,weight=0,level=2,maxconn=100")
    assert spec == ServerSpec(Address("10.0.0.1", 80), weight=0, level=2, max_active=100)


@pytest.mark.parametrize(("options", "most"), [("", 0), (",maxconn=3", 3), (",max_connections=2", 2), (",maxconn=3,max_connections=2", 2)])
def test_each_request_needs_a_connection(options: str, most: int) -> None:
    assert ServerSpec.parse(f"a:1{options}").most_at_once == most


def test_limits_that_workers_cannot_share_are_refused() -> None:
    check_shares("a:1", 2, max_active=0, max_connections=2)
    with pytest.raises(ValueError, match="3 workers cannot share the max_connections=2 of a:1; each needs 1 at least"):
        check_shares("a:1", 3, max_active=0, max_connections=2)
