"""Sessions come and go, and what they held goes with them."""

from scalability.cache.entries import Entries
from scalability.cache.resp.server import ServerState
from scalability.ttlcache import TTLCache


class Ended:
    def __init__(self) -> None:
        self.times = 0

    def end(self) -> None:
        self.times += 1


def server(**settings: str) -> ServerState:
    return ServerState(Entries(TTLCache(max_bytes=1 << 20), lambda: 5.0), {}, draw=lambda: 0.5, settings=settings)


def test_sessions_have_ids_of_their_own() -> None:
    state = server()
    first, second = state.open("a", print), state.open("b", print)
    assert (first.id, second.id) == (1, 2)
    assert list(state.sessions.values()) == [first, second]
    state.close(first)
    assert list(state.sessions) == [2]
    assert state.open("c", print).id == 3
    assert state.counts.connections == 3


def test_what_a_session_watched_ends_with_it() -> None:
    state = server()
    session = state.open("a", print)
    session.queued, session.watch, session.tracking = Ended(), Ended(), Ended()
    state.close(session)
    assert (session.queued.times, session.watch.times, session.tracking.times) == (1, 1, 1)


def test_without_a_password_everybody_is_known() -> None:
    assert server().open("a", print).authenticated
    state = ServerState(Entries(TTLCache(max_bytes=1 << 20), lambda: 5.0), {}, draw=lambda: 0.5, right_password=lambda given: False)
    assert state.password_needed
    assert not state.open("a", print).authenticated


def test_counts_begin_again_for_info() -> None:
    state = server()
    state.counts.commands = 5
    state.entries.cache.stats.hits = 3
    state.reset_stats()
    state.counts.commands += 2
    assert (state.counted_from.counts.commands, state.counted_from.entries.hits) == (5, 3)
