"""A server that speaks RESP, as a dependency."""

from pathlib import Path
from typing import Any

import pytest

from scalability.errors import ConfigError
from scalability.gateway.cache_clients.redis_server import RedisServer, check_files, redis_client
from scalability.lifecycle import DeadlineWheel
from scalability.resp.url import RedisURL
from scalability.testing.certificates import Authority
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_redis import PlayedRedis
from tests.resp.test_client import ClientCase


class RedisServerTests(ClientCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = RedisServer("cache", self.client)

    def state(self) -> tuple[Any, ...]:
        return self.server.up, self.server.requests, self.server.failures, self.server.skipped

    def test_it_is_up_while_it_is_connected_and_counts_what_becomes_of_requests(self) -> None:
        assert self.state() == (None, 0, 0, 0)
        answered, lost = self.server.call("A"), self.server.pipeline(("B",), ("C",))
        refused = self.server.call("D")
        played = self.connected()
        played.say(b"+a\r\n+b\r\n-ERR c\r\n-ERR d\r\n")
        assert self.successResultOf(answered) == b"a"
        assert len(self.successResultOf(lost)) == 2
        self.failureResultOf(refused)
        assert self.state() == (True, 3, 1, 0)
        lost = self.server.pipeline(("E",))
        cancelled = self.server.call("F")
        cancelled.cancel()
        self.failureResultOf(cancelled)
        played.transport.finish()
        self.failureResultOf(lost)
        assert self.state() == (False, 5, 2, 0)
        self.failureResultOf(self.server.call("G"))
        self.failureResultOf(self.server.pipeline(("G",)))
        assert self.state() == (False, 5, 2, 2)
        self.network.advance(1.0)
        self.network.refuse()
        self.network.refuse()
        assert self.state() == (False, 5, 3, 2)

    def test_its_health_is_looked_at_by_its_client(self) -> None:
        assert self.successResultOf(self.server.probe()) is None
        self.server.close()
        assert self.state() == (None, 0, 0, 0)


def made(url: str) -> MemoryNetwork:
    """A client that has begun to connect."""
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    wheel.startService()
    redis_client(network, RedisURL.parse(url), wheel, timeout_s=0.5).startService()
    return network


def test_the_url_says_who_we_are(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret \nsecond line\n")
    network = made(f"redis://me:@192.0.2.7:1/2?password_file={tmp_path}/password")
    server = PlayedRedis(network.accept())
    assert server.transport.getPeer().host == "192.0.2.7"
    assert server.asked() == [[b"HELLO", b"3", b"AUTH", b"me", b"s3cret ", b"SETNAME", b"scalelab"]]


def test_tls_begins_with_a_handshake(tmp_path: Path) -> None:
    network = made(f"rediss://:a-long-password@192.0.2.7?ca={Authority().write_own(tmp_path / 'ca.pem')}")
    hello = network.accept().taken()
    assert hello[:1] == b"\x16"
    assert b"http/1.1" not in hello
    assert b"a-long-password" not in hello


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot read"), (b"", "is empty"), (b"\npw\n", "is empty"), (b"\xff\xfe", "is not UTF-8")]
)
def test_a_password_file_that_is_of_no_use_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"--cache: .*{why}"):
        made(f"redis://a?password_file={file}")
    with pytest.raises(ConfigError, match=f"--cache: .*{why}"):
        check_files(RedisURL.parse(f"redis://a?password_file={file}"))


def test_authorities_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--cache: cannot read"):
        made(f"rediss://a?ca={tmp_path}/none.pem")
    with pytest.raises(ConfigError, match="--other: cannot read"):
        check_files(RedisURL.parse(f"rediss://a?ca={tmp_path}/none.pem"), "--other")
    check_files(RedisURL.parse(f"rediss://a?ca={Authority().write_own(tmp_path / 'ca.pem')}"))
