"""The played server of rate limits."""

from typing import Any

from twisted.internet.defer import Deferred

from scalability.testing.limit_server import PlayedLimitClient, PlayedLimitServer


def ask(client: PlayedLimitClient, *pipelines: tuple[tuple[Any, ...], ...]) -> list[Any]:
    async def asked() -> list[Any]:
        async with client.exclusive() as connection:
            return [await connection.pipeline(*commands) for commands in pipelines]

    answers: list[Any] = []
    Deferred.fromCoroutine(asked()).addCallback(answers.append)
    (answer,) = answers
    return list(answer)


def test_a_watched_key_that_changed_ends_the_transaction() -> None:
    server = PlayedLimitServer()
    client = server.connection()
    watch, write = ((b"WATCH", b"a"), (b"MGET", b"a", b"b")), ((b"MULTI",), (b"SET", b"a", b"1", b"PX", b"5"), (b"EXEC",))
    assert ask(client, watch, write) == [[b"OK", [None, None]], [b"OK", b"QUEUED", [b"OK"]]]
    server.between = lambda: server.set(b"a", b"9")
    assert ask(client, watch, write)[1][-1] is None
    assert (server.values, server.live_ms) == ({b"a": b"9"}, {b"a": 5})
    server.between = lambda: server.set(b"b", b"9")
    assert ask(client, watch, write)[1][-1] == [b"OK"]


def test_it_tells_the_time_that_it_is_given() -> None:
    server = PlayedLimitServer()
    server.now_ns = 5_000_007_000
    assert ask(server.connection(), ((b"TIME",),)) == [[[b"5", b"7"]]]
