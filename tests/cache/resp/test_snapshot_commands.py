"""The snapshot over RESP."""

import pytest

from scalability.testing.resp_network import START, RespNetwork


class Kept:
    writing = False
    written_at = 0.0
    duration_s = 0.0
    last_failed = False
    loaded = 7

    def begin(self) -> bool:
        begun, self.writing = not self.writing, True
        return begun


@pytest.fixture
def network() -> RespNetwork:
    return RespNetwork()


@pytest.mark.parametrize("words", ["BGSAVE", "BGSAVE SCHEDULE"])
def test_it_is_begun_once_at_a_time(network: RespNetwork, words: str) -> None:
    network.state.snapshots = kept = Kept()
    client = network.client()
    assert client.run(*words.split()) == b"+Background saving started\r\n"
    assert client.run("BGSAVE") == b"-ERR Background save already in progress\r\n"
    kept.writing = False
    assert client.run("BGSAVE") == b"+Background saving started\r\n"


def test_when_it_was_written_last(network: RespNetwork) -> None:
    client = network.client()
    network.advance(10)
    assert client.run("LASTSAVE") == b":%d\r\n" % START
    network.state.snapshots = kept = Kept()
    assert client.run("LASTSAVE") == b":%d\r\n" % START
    kept.written_at = START + 5.5
    assert client.run("LASTSAVE") == b":%d\r\n" % (START + 5)


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("BGSAVE", b"-ERR there is no snapshot: the server was started without --snapshot FILE\r\n"),
        ("BGSAVE NOW", b"-ERR syntax error\r\n"),
        ("BGSAVE SCHEDULE x", b"-ERR syntax error\r\n"),
        ("SAVE", b"-ERR SAVE is refused, since nobody would be served meanwhile: use BGSAVE\r\n"),
    ],
)
def test_what_is_refused(network: RespNetwork, words: str, reply: bytes) -> None:
    assert network.client().run(*words.split()) == reply


def test_info_tells_of_it(network: RespNetwork) -> None:
    client = network.client()
    assert b"rdb_" not in client.run("INFO", "persistence")
    network.state.snapshots = kept = Kept()
    told = client.run("INFO", "persistence").split(b"\r\n")
    assert {
        b"rdb_bgsave_in_progress:0",
        b"rdb_last_bgsave_status:ok",
        b"rdb_last_bgsave_time_sec:-1",
        b"rdb_last_load_keys_loaded:7",
    } <= set(told)
    kept.written_at, kept.duration_s, kept.last_failed = START, 2.4, True
    told = client.run("INFO", "persistence").split(b"\r\n")
    assert {b"rdb_last_bgsave_status:err", b"rdb_last_bgsave_time_sec:2", b"rdb_last_save_time:%d" % START} <= set(told)
