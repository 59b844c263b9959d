"""Who is told of which change."""

from collections.abc import Callable

import pytest

from scalability.cache.entries import Entries
from scalability.cache.resp.server import ServerState
from scalability.cache.resp.tracking_table import FLUSHED, Tracking, TrackingTable, changed_keys
from scalability.ttlcache import TTLCache

inf = float("inf")


class Tracked:
    """A table, and the messages that its clients got."""

    def __init__(self, **bounds: int) -> None:
        self.later: list[Callable[[], None]] = []
        self.entries = Entries(TTLCache(max_bytes=1 << 20, max_entries=50), lambda: 0.0)
        self.state = ServerState(self.entries, {}, draw=lambda: 0.0)
        self.table = TrackingTable(self.entries, self.later.append, **bounds)
        self.messages: dict[int, list[bytes]] = {}

    def client(self, *prefixes: bytes, broadcast: bool = False) -> Tracking:
        messages: list[bytes] = []
        session = self.state.open("memory", messages.append)
        self.messages[session.id] = messages
        client = session.tracking = Tracking(self.table, session, broadcast=broadcast or bool(prefixes))
        client.add_prefixes(prefixes)
        return client

    def told(self, client: Tracking) -> list[bytes]:
        calls, self.later[:] = list(self.later), []
        for call in calls:
            call()
        messages = list(self.messages[client.id])
        self.messages[client.id].clear()
        return messages

    def put(self, *keys: bytes, by: Tracking | None = None) -> None:
        session = None if by is None else self.state.sessions[by.id]
        for key in keys:
            self.entries.put(key, b"1", 0.0, inf, session)


def test_a_message_is_a_push() -> None:
    assert changed_keys([b"a", b"bc"]) == b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n"
    assert FLUSHED == b">2\r\n$10\r\ninvalidate\r\n_\r\n"


def test_who_has_read_a_key_is_told_of_its_next_change_and_of_no_other() -> None:
    tracked = Tracked()
    reader, other, third = tracked.client(), tracked.client(), tracked.client()
    reader.read([b"a", b"b", b"a"])
    third.read([b"a"])
    assert (tracked.table.keys, tracked.table.pairs) == (2, 3)
    tracked.put(b"a", b"a", b"c")
    assert tracked.told(reader) == tracked.told(third) == [changed_keys([b"a"])]
    assert tracked.told(other) == []
    reader.read([b"a"])
    tracked.put(b"b", b"a")
    assert tracked.told(reader) == [changed_keys([b"b"]), changed_keys([b"a"])]
    assert (tracked.table.keys, tracked.table.pairs) == (0, 0)


def test_reading_again_changes_nothing() -> None:
    tracked = Tracked()
    clients = [tracked.client() for _ in range(3)]
    for _ in range(3):
        for client in clients:
            client.read([b"a"])
    assert (tracked.table.keys, tracked.table.pairs) == (1, 3)


def test_deletion_expiry_and_eviction_are_changes() -> None:
    tracked = Tracked()
    client = tracked.client()
    tracked.entries.put(b"a", b"1", 0.0, inf)
    tracked.entries.put(b"b", b"1", 0.0, 5.0)
    tracked.entries.put(b"c", b"1", 0.0, 6.0)
    client.read([b"a", b"b", b"c", b"none"])
    tracked.entries.delete(b"none", 0.0)
    tracked.entries.delete(b"a", 0.0)
    tracked.entries.get(b"b", 5.0)
    tracked.entries.cache.sweep(8.0, 100)
    assert tracked.told(client) == [changed_keys([key]) for key in (b"a", b"b", b"c")]
    tracked.put(b"first")
    client.read([b"first"])
    tracked.put(*(b"%d" % number for number in range(200)))
    assert tracked.told(client) == [changed_keys([b"first"])]


def test_noloop_spares_a_client_its_own_changes() -> None:
    tracked = Tracked()
    one, other = tracked.client(), tracked.client()
    one.noloop = True
    one.read([b"a"])
    other.read([b"a"])
    tracked.put(b"a", by=one)
    assert tracked.told(one) == []
    assert tracked.told(other) == [changed_keys([b"a"])]
    one.read([b"a"])
    tracked.put(b"a", by=other)
    assert tracked.told(one) == [changed_keys([b"a"])]


def test_all_keys_gone_is_told_as_null() -> None:
    tracked = Tracked()
    client, broadcast = tracked.client(), tracked.client(b"a")
    client.noloop = True
    client.read([b"a"])
    tracked.put(b"ab")
    tracked.entries.clear(tracked.state.sessions[client.id])
    tracked.put(b"ac", b"a")
    assert tracked.told(client) == [FLUSHED]
    assert tracked.told(broadcast) == [FLUSHED, changed_keys([b"a", b"ab", b"ac"])]
    assert tracked.table.keys == 0


def test_broadcast_tells_every_change_of_a_prefix_in_one_message_a_turn() -> None:
    tracked = Tracked()
    client, other = tracked.client(b"a", b"bb"), tracked.client(b"a")
    client.read([b"c"])
    tracked.put(b"a1", b"b", b"bb", b"c", b"a2", b"a1")
    assert len(tracked.later) == 1
    assert tracked.told(client) == [changed_keys([b"a1", b"a2"]), changed_keys([b"bb"])]
    assert tracked.told(other) == [changed_keys([b"a1", b"a2"])]
    tracked.put(b"a1")
    assert tracked.told(client) == [changed_keys([b"a1"])]
    assert (tracked.table.keys, tracked.table.prefixes) == (0, 2)


def test_the_empty_prefix_is_that_of_all_keys() -> None:
    tracked = Tracked()
    client = tracked.client(b"")
    tracked.put(b"", b"a")
    assert tracked.told(client) == [changed_keys([b"", b"a"])]


def test_noloop_in_broadcast_spares_what_nobody_else_has_changed() -> None:
    tracked = Tracked()
    one, other = tracked.client(b""), tracked.client(b"")
    one.noloop = other.noloop = True
    tracked.put(b"mine", b"both", by=one)
    tracked.put(b"both", by=other)
    tracked.put(b"both", by=one)
    tracked.put(b"nobody's")
    assert tracked.told(one) == [changed_keys([b"both", b"nobody's"])]
    assert tracked.told(other) == [changed_keys([b"both", b"mine", b"nobody's"])]
    tracked.put(b"mine", by=one)
    assert tracked.told(one) == []


def test_optin_and_optout() -> None:
    tracked = Tracked()
    client = tracked.client()
    client.optin = True
    client.read([b"a"])
    client.caching = True
    client.passed("client")
    client.read([b"b"])
    client.passed("get")
    client.read([b"c"])
    client.optin, client.optout = False, True
    client.read([b"d"])
    client.caching = True
    client.read([b"e"])
    client.passed("get")
    client.read([b"f"])
    tracked.put(b"a", b"b", b"c", b"d", b"e", b"f")
    assert tracked.told(client) == [changed_keys([key]) for key in (b"b", b"d", b"f")]


def test_the_table_observes_only_while_somebody_tracks() -> None:
    tracked = Tracked()
    assert not tracked.entries.observers
    client, other = tracked.client(), tracked.client(b"a")
    assert tracked.entries.observers == [tracked.table]
    assert tracked.table.clients == 2
    client.read([b"a"])
    tracked.put(b"ab")
    other.end()
    assert tracked.told(other) == []
    assert tracked.table.prefixes == 0
    client.end()
    assert not tracked.entries.observers
    assert (tracked.table.keys, tracked.table.pairs, tracked.table.clients) == (0, 0, 0)


def test_who_has_left_is_told_nothing() -> None:
    tracked = Tracked()
    client, other = tracked.client(), tracked.client()
    client.read([b"a"])
    other.read([b"a"])
    client.end()
    tracked.put(b"a")
    assert tracked.told(client) == []
    assert tracked.told(other) == [changed_keys([b"a"])]


def test_what_was_read_before_broadcast_is_not_told_any_more() -> None:
    tracked = Tracked()
    client, _ = tracked.client(), tracked.client()
    client.read([b"a"])
    client.end()
    session = tracked.state.sessions[client.id]
    session.tracking = again = Tracking(tracked.table, session, broadcast=True)
    again.add_prefixes([b"b"])
    tracked.put(b"a")
    assert tracked.told(again) == []


@pytest.mark.parametrize("bounds", [{"max_keys": 2}, {"max_key_bytes": 2}, {"max_pairs": 2}])
def test_at_its_bounds_the_table_tells_keys_as_changed(bounds: dict[str, int]) -> None:
    tracked = Tracked(**bounds)
    client, broadcast = tracked.client(), tracked.client(b"")
    keys = [b"a", b"b", b"c", b"d"]
    client.read(keys)
    told = tracked.told(client)
    assert (len(told), tracked.table.keys, tracked.table.pairs) == (2, 2, 2)
    assert tracked.told(broadcast) == [], "they have not changed really"
    tracked.put(*keys)
    told += tracked.told(client)
    assert sorted(told) == [changed_keys([key]) for key in keys]


def test_a_key_that_is_too_long_to_remember_is_told_at_once() -> None:
    tracked = Tracked(max_key_bytes=3)
    client = tracked.client()
    client.read([b"long"])
    assert tracked.told(client) == [changed_keys([b"long"])]
    assert tracked.table.keys == 0
