"""Attempts to connect to a server, on a network in memory."""

from twisted.internet.error import ConnectionRefusedError as Refused

from scalability.testing.recorded_client import Asker, RecordedClient


def test_a_refused_connection_fails_with_its_cause() -> None:
    client = RecordedClient()
    asker = Asker()
    client.pool.open(asker)
    client.network.refuse()
    assert asker.events == [("failed", "connect_failed", Refused.__name__)]


def test_a_connection_that_takes_too_long_times_out() -> None:
    client = RecordedClient(connect_timeout_s=3.0)
    asker = Asker()
    client.pool.open(asker)
    client.pass_time(2.75)
    assert asker.events == []
    client.pass_time(1)
    assert asker.events == [("failed", "connect_timeout", "NoneType")]
    assert client.network.attempts == []


def test_a_cancelled_attempt_calls_nobody() -> None:
    client = RecordedClient()
    asker = Asker()
    client.pool.open(asker).cancel()
    client.pass_time(5)
    assert asker.events == []
    assert client.network.attempts == []


def test_a_name_is_resolved_for_each_connection_and_its_addresses_tried_in_turn() -> None:
    client = RecordedClient("gateway")
    client.network.names["gateway"] = ["10.0.0.1", "10.0.0.2"]
    asker = Asker()
    client.pool.open(asker)
    client.network.advance(0)
    client.network.refuse()
    assert client.network.attempts[0].host == "10.0.0.2"
    client.network.accept()
    assert asker.events == [("connected",)]
    client.network.names["gateway"] = ["10.0.0.3"]
    client.pool.open(Asker())
    client.network.advance(0)
    assert client.network.attempts[0].host == "10.0.0.3"


def test_a_name_without_addresses_is_a_failed_connection() -> None:
    client = RecordedClient("nowhere")
    asker = Asker()
    client.pool.open(asker)
    client.network.advance(0)
    assert asker.events == [("failed", "connect_failed", "NoneType")]


def test_a_cancelled_look_up_connects_nowhere() -> None:
    client = RecordedClient("gateway")
    client.network.names["gateway"] = ["10.0.0.1"]
    client.pool.open(Asker()).cancel()
    client.network.advance(0)
    assert client.network.attempts == []
