"""Connections: replies in order and in one piece, what a client does not read is bounded, and everything ends."""

from collections.abc import Callable
from itertools import pairwise
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.entries import Entries
from scalability.cache.resp import data_commands
from scalability.cache.resp.commands import Family, table
from scalability.cache.resp.connection import MAX_PUSHED_BYTES, RESPFactory
from scalability.cache.resp.server import ServerState
from scalability.cache.resp.session import Session
from scalability.lifecycle import DeadlineWheel
from scalability.resp import replies
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.ttlcache import TTLCache

FAMILY = Family("connection")


@FAMILY.command("quit", -1, "no_auth", summary="")
def quit_(session: Session, request: list[bytes]) -> bytes:
    session.closing = True
    return replies.OK


@FAMILY.command("auth", 2, "no_auth", summary="")
def auth(session: Session, request: list[bytes]) -> bytes:
    session.authenticated = True
    return replies.OK


@FAMILY.command("pushme", 2, summary="")
def pushme(session: Session, request: list[bytes]) -> bytes:
    session.resp3 = True
    session.push(request[1])
    return replies.OK


@FAMILY.command("track", 1, summary="")
def track(session: Session, request: list[bytes]) -> bytes:
    session.tracking = Nothing()
    return replies.OK


@FAMILY.command("break", 1, summary="")
def break_(session: Session, request: list[bytes]) -> bytes:
    raise ZeroDivisionError("secret")


class Nothing:
    def read(self, keys: list[bytes]) -> None: ...

    def passed(self, name: str) -> None: ...

    def end(self) -> None: ...


def encode(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Served:
    """A server in memory."""

    def __init__(
        self, *, password: bool = False, max_clients: int = 10, max_object_bytes: int = 1 << 24, max_held_bytes: int = 1 << 22
    ) -> None:
        self.network = MemoryNetwork()
        cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=1 << 26, max_object_bytes=max_object_bytes)
        self.entries = Entries(cache, self.network.seconds)
        self.state = ServerState(
            self.entries,
            table([*data_commands.FAMILIES, FAMILY]),
            right_password=(lambda given: given == b"secret") if password else None,
            max_clients=max_clients,
            draw=lambda: 0.5,
        )
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.factory = RESPFactory(
            self.state,
            self.wheel,
            max_bulk_bytes=max_object_bytes,
            max_request_bytes=max_held_bytes,
            max_held_bytes=max_held_bytes,
            patience_s=10.0,
        )

    def client(self) -> MemoryTransport:
        return self.network.connect_to(self.factory)

    def ask(self, *words: bytes) -> bytes:
        client = self.client()
        client.deliver(encode(*words))
        return client.taken()


def test_the_usual_requests() -> None:
    served = Served()
    assert served.ask(b"GET", b"a") == b"$-1\r\n"
    assert served.ask(b"SET", b"a", b"1") == b"+OK\r\n"
    assert served.ask(b"GET", b"a") == b"$1\r\n1\r\n"
    assert served.entries.cache.expires_at(b"a", 0.0) == inf
    assert served.state.counts.commands == 3


GETS = st.sampled_from([b"a", b"b", b"longer"]).map(lambda key: [b"GET", key])
WORDS = st.one_of(st.sampled_from([b"a", b"b", b"longer", b"?\r\n"]), GETS.map(lambda words: encode(*words)[:-2]), st.binary(max_size=500))
SETS = st.tuples(st.just(b"SET"), st.sampled_from([b"a", b"b"]), WORDS).map(list)


@given(st.lists(st.one_of(GETS, SETS), min_size=1, max_size=8), st.lists(st.floats(0, 1), max_size=4))
def test_pieces_of_requests_are_none_by_themselves(requests: list[list[bytes]], cuts: list[float]) -> None:
    """A value may look like a request, and come by itself; whoever chose it must not be heard."""
    whole, cut = Served(), Served()
    wanted = b"".join([whole.ask(*words) for words in requests])
    data = b"".join([encode(*words) for words in requests])
    places = {int(cut * len(data)) for cut in cuts}
    places |= {at for at in range(len(data)) if data.startswith(b"*2", at)} if cuts else set()
    places |= {at + 2 for at in range(len(data)) if data.startswith(b"\r\n", at)} if len(cuts) % 2 else set()
    client = cut.client()
    for begin, end in pairwise([0, *sorted(places - {0, len(data)}), len(data)]):
        client.deliver(data[begin:end])
    assert client.taken() == wanted
    assert cut.state.counts.commands == len(requests)


@pytest.mark.parametrize("before", [b"", b"GET a", b"SET a 1|SET a 2"])
def test_a_value_that_is_a_request_is_a_value(before: bytes) -> None:
    served = Served()
    served.entries.cache.put(b"secret", b"s3", 0.0, inf, 8)
    client = served.client()
    for words in filter(None, before.split(b"|")):
        client.deliver(encode(*words.split()))
    client.taken()
    value = encode(b"GET", b"secret")
    whole = encode(b"SET", b"k", value)
    head = whole[: whole.index(value)]
    client.deliver(head)
    client.deliver(value)
    assert client.taken() == b""
    client.deliver(b"\r\n")
    assert client.taken() == b"+OK\r\n"
    client.deliver(encode(b"GET", b"k"))
    assert client.taken() == b"$%d\r\n%b\r\n" % (len(value), value)


@pytest.mark.parametrize("data", [b"?\r\n", b"?" + b"x" * 26 + b"\r\n"])
def test_what_is_as_long_as_no_get_can_be_is_none(data: bytes) -> None:
    client = Served().client()
    client.deliver(data)
    assert client.taken().startswith(b"-ERR unknown command")


def test_what_came_together_is_answered_together_and_in_order() -> None:
    served = Served()
    client = served.client()
    client.deliver(b"".join(encode(b"SET", b"k%d" % n, b"v%d" % n) + encode(b"GET", b"k%d" % n) for n in range(100)))
    assert client.writes == 1
    assert client.taken() == b"".join(b"+OK\r\n" + replies.bulk(b"v%d" % n) for n in range(100))
    assert served.state.counts.commands == 200


@pytest.mark.parametrize("size", [0, 1, 9, 10, 1023, 1024, 100_000])
def test_values_of_all_sizes(size: int) -> None:
    served = Served()
    client = served.client()
    value = b"x" * size
    for _ in range(3):
        client.deliver(encode(b"SET", b"a", value))
        client.deliver(encode(b"GET", b"a"))
        client.deliver(encode(b"GET", b"a") * 2)
        assert client.taken() == b"+OK\r\n" + replies.bulk(value) * 3


def test_a_short_way_does_what_the_long_one_does() -> None:
    requests = [
        (b"GET", b"a"),
        (b"SET", b"a", b"1"),
        (b"GET", b"a"),
        (b"SET", b"a", b"x" * 2000),
        (b"GET", b"a"),
        (b"GET",),
        (b"SET", b"a"),
        (b"SET", b"a", b"x" * 5000),
        (b"GET", b"a"),
        (b"GET", b"a", b"b"),
    ]
    short, long = Served(max_object_bytes=3000), Served(max_object_bytes=3000)
    clients = [(short, short.client()), (long, long.client())]
    for request in requests:
        (_, first), (_, second) = clients
        first.deliver(encode(*request))
        second.deliver(encode(request[0].lower(), *request[1:]))
        assert first.taken() == second.taken(), request
    assert short.entries.changes == long.entries.changes
    assert short.entries.cache.stats == long.entries.cache.stats


def test_observers_hear_of_set() -> None:
    served = Served()
    heard: list[object] = []

    class Observer:
        def changed(self, key: bytes, by: Session | None) -> None:
            assert by is not None
            heard.append((key, by.id))

        def cleared(self, by: Session | None) -> None: ...

    served.entries.observe(Observer())
    served.client().deliver(encode(b"SET", b"a", b"1") * 2)
    served.client().deliver(encode(b"SET", b"b", b"1"))
    assert heard == [(b"a", 1), (b"a", 1), (b"b", 2)]


def test_a_wrong_byte_ends_the_connection_after_the_replies_before_it() -> None:
    served = Served()
    client = served.client()
    client.deliver(encode(b"SET", b"a", b"1") + b"*1\r\n:5\r\n" + encode(b"SET", b"a", b"2"))
    assert client.taken() == b"+OK\r\n-ERR Protocol error: expected '$', got ':'\r\n"
    assert client.ended == "closed"
    client.deliver(encode(b"SET", b"a", b"3"))
    assert served.entries.get(b"a", 0.0) == b"1"
    assert served.state.counts.protocol_errors == 1


def test_quit_ends_after_its_reply_and_what_follows_is_not_run() -> None:
    served = Served()
    client = served.client()
    client.deliver(encode(b"SET", b"a", b"1") + encode(b"QUIT") + encode(b"SET", b"a", b"2"))
    assert client.taken() == b"+OK\r\n+OK\r\n"
    assert client.ended == "closed"
    assert served.entries.get(b"a", 0.0) == b"1"
    served.network.advance(0)
    assert served.state.sessions == {}


def test_a_client_that_does_not_read_is_paused_and_its_requests_wait() -> None:
    served = Served()
    served.entries.put(b"a", b"x" * (1 << 20), 0.0, inf)
    client = served.client()
    client.stop_taking()
    client.deliver(encode(b"GET", b"a") * 50 + encode(b"SET", b"b", b"1"))
    assert not client.reading
    assert served.entries.get(b"b", 0.0) is None
    taken = 0
    for _ in range(60):
        client.take_all()
        taken += len(client.taken())
    assert taken == 50 * len(replies.bulk(b"x" * (1 << 20))) + len(replies.OK)
    assert client.reading
    assert served.entries.get(b"b", 0.0) == b"1"


def test_a_client_that_never_reads_is_cut() -> None:
    served = Served()
    served.entries.put(b"a", b"x" * (1 << 20), 0.0, inf)
    client = served.client()
    client.stop_taking()
    client.deliver(encode(b"GET", b"a"))
    served.network.advance(5)
    assert client.ended == ""
    served.network.advance(10)
    assert client.ended == "reset"
    assert served.state.counts.slow_readers == 1


def test_a_client_that_reads_slowly_is_waited_for_as_long_as_it_reads() -> None:
    served = Served()
    served.entries.put(b"a", b"x" * (1 << 20), 0.0, inf)
    client = served.client()
    client.stop_taking()
    client.deliver(encode(b"GET", b"a"))
    for _ in range(10):
        client.take(1000)
        served.network.advance(9)
        assert client.ended == ""
    for _ in range(21):
        served.network.advance(1)
    assert client.ended == "reset", "it has stopped"
    assert served.state.counts.slow_readers == 1


def test_what_is_written_to_a_client_that_does_not_read_is_no_progress_of_it() -> None:
    served = Served()
    served.entries.put(b"a", b"x" * (1 << 20), 0.0, inf)
    client = served.client()
    session = served.state.sessions[1]
    session.speak(3)
    client.stop_taking()
    client.deliver(encode(b"GET", b"a"))
    for _ in range(12):
        session.push(b">" * 1000)
        served.network.advance(1)
    assert client.ended == "reset"


def test_a_client_that_reads_its_last_replies_slowly_is_waited_for_too() -> None:
    served = Served()
    served.entries.put(b"a", b"x" * (1 << 20), 0.0, inf)
    client = served.client()
    client.stop_taking()
    client.deliver(encode(b"GET", b"a"))
    served.state.end(served.state.sessions[1])
    for _ in range(5):
        served.network.advance(9)
        client.take(1000)
    assert client.ended == ""
    client.take_all()
    assert client.ended == "closed"
    assert len(client.taken()) == len(replies.bulk(b"x" * (1 << 20)))


def test_pushes_that_were_taken_do_not_count() -> None:
    served = Served()
    client = served.client()
    session = served.state.sessions[1]
    session.speak(3)
    client.stop_taking()
    message = b">" * 100_000
    for _ in range(3 * MAX_PUSHED_BYTES // len(message)):
        session.push(message)
        if client.queued_bytes > 300_000:
            client.take(150_000)
    assert client.ended == ""


def test_pushes_follow_the_reply_to_the_request_that_caused_them() -> None:
    served = Served()
    client = served.client()
    client.deliver(encode(b"PUSHME", b">first") + encode(b"PUSHME", b">second"))
    assert client.taken() == b"+OK\r\n>first+OK\r\n>second"
    served.state.sessions[1].push(b">third")
    assert client.taken() == b">third"


def test_pushes_to_a_client_that_does_not_read_are_bounded() -> None:
    served = Served()
    client = served.client()
    session = served.state.sessions[1]
    session.speak(3)
    client.stop_taking()
    message = b">" * 100_000
    for _ in range(MAX_PUSHED_BYTES // len(message) + 3):
        session.push(message)
    assert client.ended == "reset"
    assert served.state.counts.slow_readers == 1


def test_a_mistake_of_ours_is_logged_and_the_connection_goes_on(logged_failures: Any) -> None:
    served = Served()
    client = served.client()
    client.deliver(encode(b"BREAK") + encode(b"GET", b"a"))
    assert client.taken() == b"-ERR internal error; the server's log has more\r\n$-1\r\n"
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_a_client_of_resp2_gets_no_pushes() -> None:
    served = Served()
    client = served.client()
    served.state.sessions[1].push(b">first")
    assert client.taken() == b""


def test_too_many_clients() -> None:
    served = Served(max_clients=2)
    clients = [served.client() for _ in range(3)]
    assert [client.taken() for client in clients] == [b"", b"", b"-ERR max number of clients reached\r\n"]
    assert clients[2].ended == "closed"
    clients[0].deliver(encode(b"QUIT"))
    served.network.advance(0)
    assert served.ask(b"GET", b"a") == b"$-1\r\n"
    assert served.state.counts.rejected_connections == 1


def test_before_the_password_little_may_be_sent() -> None:
    served = Served(password=True)
    client = served.client()
    client.deliver(encode(b"SET", b"a", b"1"))
    assert client.taken().startswith(b"-NOAUTH")
    client.deliver(b"*2\r\n$4\r\nAUTH\r\n$20000\r\n")
    assert client.taken() == b"-ERR Protocol error: invalid bulk length\r\n"
    client = served.client()
    client.deliver(encode(b"AUTH", b"secret") + encode(b"SET", b"a", b"1"))
    client.deliver(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000\r\n")
    client.deliver(b"x" * 20_000 + b"\r\n")
    assert client.taken() == b"+OK\r\n" * 3


def test_incomplete_requests_are_bounded_all_together() -> None:
    served = Served(max_clients=100, max_held_bytes=1 << 20)
    clients = [served.client() for _ in range(40)]
    for client in clients:
        client.deliver(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\n" + b"x" * 40_000)
    refused = [client for client in clients if client.taken().startswith(b"-ERR Protocol error: too much")]
    assert len(refused) == len([client for client in clients if client.ended]) > 0
    assert served.factory.held_bytes < (1 << 20) + 50_000
    for client in clients:
        client.reset()
    served.network.advance(0)
    assert served.factory.held_bytes == 0


def test_a_session_that_tracks_takes_the_long_way() -> None:
    served = Served()
    client = served.client()
    client.deliver(encode(b"TRACK"))
    client.deliver(encode(b"SET", b"a", b"1"))
    client.deliver(encode(b"GET", b"a"))
    assert client.taken() == b"+OK\r\n+OK\r\n$1\r\n1\r\n"


def test_draining_answers_what_has_come_and_closes() -> None:
    served = Served()
    idle, busy = served.client(), served.client()
    served.entries.put(b"a", b"x" * (1 << 20), 0.0, inf)
    busy.stop_taking()
    busy.deliver(encode(b"GET", b"a") * 4)
    drained: list[None] = []
    served.factory.drain(30.0).addCallback(drained.append)
    assert idle.ended == "closed"
    taken = 0
    for _ in range(10):
        busy.take_all()
        taken += len(busy.taken())
    assert taken == 4 * len(replies.bulk(b"x" * (1 << 20)))
    assert busy.ended == "closed"
    served.network.advance(0)
    assert drained == [None]


def test_draining_waits_for_nobody_longer_than_its_grace() -> None:
    served = Served()
    client = served.client()
    served.entries.put(b"a", b"x" * (1 << 20), 0.0, inf)
    client.stop_taking()
    client.deliver(encode(b"GET", b"a") * 4)
    drained: list[None] = []
    served.factory.drain(2.0).addCallback(drained.append)
    served.network.advance(3)
    served.network.advance(0)
    assert client.ended == "reset"
    assert drained == [None]


def test_draining_nobody() -> None:
    drained: list[None] = []
    Served().factory.drain(2.0).addCallback(drained.append)
    assert drained == [None]


def test_a_session_is_ended_from_outside() -> None:
    served = Served()
    client = served.client()
    served.state.end(served.state.sessions[1])
    assert client.ended == "closed"
    client.deliver(encode(b"SET", b"a", b"1"))
    assert served.entries.get(b"a", 0.0) is None


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1", b"GET / HTTP/1.1"])
def test_a_page_in_a_browser_cannot_send_commands(line: bytes) -> None:
    served = Served()
    client = served.client()
    client.deliver(line + b"\r\nHost: 127.0.0.1:6380\r\nContent-Type: text/plain\r\n\r\nSET a 1\r\n")
    assert b"HTTP was sent" in client.taken()
    assert client.ended == "closed"
    assert served.entries.get(b"a", 0.0) is None


class Slow(Served):
    """A look at the clock shows 1.5 ms more each time; turns of the reactor are taken by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[Callable[[], None]] = []
        self.looks = 0
        self.factory.seconds = self.look
        self.state.later = self.turns.append

    def look(self) -> float:
        self.looks += 1
        return 0.0015 * self.looks

    def turn(self) -> None:
        turns, self.turns[:] = list(self.turns), []
        for call in turns:
            call()
        self.network.advance(0)


def test_requests_that_take_long_give_others_their_turn() -> None:
    served = Slow()
    client, other = served.client(), served.client()
    client.deliver(b"".join(encode(b"SETNX", b"%d" % n, b"x") for n in range(5)) + encode(b"GET", b"4"))
    assert client.taken() == b":1\r\n" * 2
    assert served.state.counts.commands == 2
    other.deliver(encode(b"GET", b"4"))
    assert other.taken() == b"$-1\r\n"
    served.turn()
    assert client.taken() == b":1\r\n" * 2
    client.deliver(encode(b"STRLEN", b"4"))  # waits for those before it, whether the transport was paused or not
    served.turn()
    served.turn()
    assert client.taken() == b":1\r\n$1\r\nx\r\n:1\r\n"
    assert served.state.counts.commands == 8
    assert not served.turns
    client.deliver(encode(b"GET", b"4"))
    assert client.taken() == b"$1\r\nx\r\n"


def test_many_quick_requests_are_a_reason_to_look_at_the_clock_too() -> None:
    served = Slow()
    client = served.client()
    client.deliver(encode(b"GET", b"a") * 2000)
    turns = 0
    taken = client.taken()
    while served.turns:
        served.turn()
        turns += 1
        taken += client.taken()
    assert 2 <= turns <= 8
    assert taken == b"$-1\r\n" * 2000


def test_whoever_leaves_or_quits_in_between_is_gone() -> None:
    served = Slow()
    client = served.client()
    client.deliver(encode(b"SETNX", b"a", b"x") * 5)
    client.finish()
    served.turn()
    assert not served.state.sessions
    client = served.client()
    client.deliver(encode(b"SETNX", b"a", b"x") * 5 + encode(b"QUIT") + encode(b"SET", b"b", b"x"))
    for _ in range(4):
        served.turn()
    assert client.taken() == b":0\r\n" * 5 + b"+OK\r\n"
    assert not client.open
    assert served.ask(b"GET", b"b") == b"$-1\r\n"


def test_draining_waits_for_requests_that_wait_for_their_turn() -> None:
    served = Slow()
    client = served.client()
    client.deliver(encode(b"SETNX", b"a", b"x") * 5)
    served.factory.drain(30.0)
    assert client.open
    for _ in range(3):
        served.turn()
    assert client.taken() == b":1\r\n" + b":0\r\n" * 4
    assert not client.open


def test_what_is_no_request_is_refused_behind_those_that_wait_for_their_turn() -> None:
    served = Slow()
    client = served.client()
    client.deliver(encode(b"SETNX", b"a", b"x") * 5 + b"*x\r\n")
    for _ in range(3):
        served.turn()
    assert client.taken() == b":1\r\n" + b":0\r\n" * 4 + b"-ERR Protocol error: invalid multibulk length\r\n"
    assert not client.open


def test_what_waits_for_all_clients_together_is_bounded() -> None:
    served = Served()
    served.factory.max_unsent_bytes = 500_000
    served.ask(b"SET", b"small", b"x" * 100_000)
    served.ask(b"SET", b"large", b"x" * 250_000)
    small, large, last = served.client(), served.client(), served.client()
    for client, key in ((small, b"small"), (large, b"large")):
        client.stop_taking()
        client.deliver(encode(b"GET", key))
    assert 350_000 < served.factory.unsent_bytes < 400_000
    last.stop_taking()
    last.deliver(encode(b"MGET", b"small", b"small"))
    served.network.advance(0)
    assert (small.open, large.open, last.open) == (True, False, True), "who lets the most wait is cut"
    assert served.state.counts.slow_readers == 1
    assert 300_000 < served.factory.unsent_bytes < 350_000
    small.take_all()
    last.take_all()
    assert served.factory.unsent_bytes == 0
    assert len(last.taken()) > 200_000
    last.deliver(encode(b"STRLEN", b"small"))
    assert last.taken() == b":100000\r\n"
    assert len(served.state.sessions) == 4, "those of the two questions at the start among them"


def test_who_asks_for_too_much_at_once_is_cut_and_nothing_else_of_it_is_run() -> None:
    served = Served()
    served.factory.max_unsent_bytes = 1 << 20
    served.ask(b"SET", b"a", b"x" * 800_000)
    client = served.client()
    client.stop_taking()
    client.deliver(encode(b"GET", b"a") * 2 + encode(b"SET", b"b", b"x"))
    served.network.advance(0)
    served.wheel.stopService()
    assert not client.open
    assert (served.factory.unsent_bytes, served.state.counts.slow_readers) == (0, 1)
    assert served.ask(b"GET", b"b") == b"$-1\r\n"


def test_messages_count_as_what_waits() -> None:
    served = Served()
    served.factory.max_unsent_bytes = 200_000
    client = served.client()
    client.deliver(encode(b"PUSHME", b">1\r\n:1\r\n"))
    client.stop_taking()
    session = max(served.state.sessions.values(), key=lambda one: one.id)
    for _ in range(30):
        session.push(b"x" * 10_000)
    served.network.advance(0)
    assert not client.open
    assert served.factory.unsent_bytes == 0


def test_who_does_not_send_the_rest_of_a_request_is_left() -> None:
    served = Served()
    client, idle = served.client(), served.client()
    idle.deliver(encode(b"PING1"))
    idle.taken()
    client.deliver(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000\r\n")
    for _ in range(5):
        served.network.advance(8.0)
        client.deliver(b"x" * 100)
        assert client.open
    for _ in range(60):
        served.network.advance(0.25)
    assert client.taken() == b"-ERR Protocol error: the rest of a request did not come in time\r\n"
    assert not client.open
    assert idle.open
    assert served.factory.held_bytes == 0


def test_whoever_has_sent_all_may_be_idle() -> None:
    served = Served()
    client = served.client()
    client.deliver(b"*1\r\n$4\r\nPI")
    client.deliver(b"NG\r\n")
    for _ in range(120):
        served.network.advance(0.25)
    assert client.open
