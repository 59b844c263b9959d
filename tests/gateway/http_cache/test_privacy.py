"""Nobody gets what the origin made for somebody else, however requests, answers, failures and departures follow one another.

Requests are GET and HEAD, with and without a precondition of the client's own; answers have ETags, and are whole, in two pieces, or 304
where the request lists the right one. In each answer stand the words "for NAME", in the body, in a field, or in both.
"""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import NoAnswer
from scalability.proxy.inner import InnerExchange
from scalability.testing.cache_case import CacheCase

WHO = ("ann", "bob", "cy")


class Kind(NamedTuple):
    """How a client says who it is, and what the origin says of its answer."""

    asks: str
    says: str
    one_body: bool = False
    """The body, and with it the ETag, is the same for all; only a field is for one client."""


KINDS = {
    "authorization": Kind("Authorization: {}", "Cache-Control: max-age=60"),
    "private": Kind("Cookie: who={}", "Cache-Control: private, max-age=60"),
    "vary": Kind("X-Who: {}", "Cache-Control: max-age=60\r\nVary: X-Who"),
    "set-cookie": Kind("Cookie: who={}", "Cache-Control: max-age=60\r\nSet-Cookie: who={}"),
    "no-store": Kind("Cookie: who={}", "Cache-Control: no-store, max-age=60"),
    "star": Kind("Cookie: who={}", "Cache-Control: max-age=60\r\nVary: *"),
    "target": Kind("Cookie: who={}", "Cache-Control: max-age=60\r\nCDN-Cache-Control: private"),
    "private-field": Kind("Cookie: who={}", 'Cache-Control: max-age=60, private="x-for"', one_body=True),
    "no-cache-field": Kind("Cookie: who={}", 'Cache-Control: max-age=60, no-cache="x-for"', one_body=True),
    "target-field": Kind("Cookie: who={}", 'CDN-Cache-Control: max-age=60, private="x-for"', one_body=True),
    "stale-field": Kind("Cookie: who={}", 'Cache-Control: max-age=1, stale-while-revalidate=30, private="x-for"', one_body=True),
    "cookie-of-one": Kind("Cookie: who={}", "Cache-Control: max-age=60\r\nSet-Cookie: for {}", one_body=True),
}
METHODS = ("GET", "HEAD")

STEP = st.one_of(
    st.tuples(
        st.just("ask"),
        st.sampled_from(sorted(KINDS)),
        st.tuples(st.sampled_from(WHO), st.sampled_from(METHODS), st.booleans(), st.booleans()),
    ),
    st.tuples(st.just("answer"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("fail"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("leave"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 70), st.booleans()),
)


def etag(kind: str, who: str) -> str:
    return f'"{kind}"' if KINDS[kind].one_body else f'"{kind}-{who}"'


def over(exchange: Any) -> bool:
    """Whether nobody waits for its answer any more; it may be the client's own, or one within."""
    found: bool = exchange.over if isinstance(exchange, InnerExchange) else exchange.connection.lost
    return found


class Mixing(CacheCase):
    def runTest(self) -> None:  # noqa: N802 - unittest's name
        """Nothing: ``play`` is called."""

    def play(self, steps: list[tuple[str, Any, Any]]) -> list[str]:
        clients: list[tuple[str, Any]] = []
        for what, which, how in steps:
            open_now = [exchange for exchange in self.origin.asked if not exchange.begun and not over(exchange)]
            if what == "ask":
                who, method, conditional, again = how
                lines = [KINDS[which].asks.format(who)]
                if conditional:
                    lines.append(f"If-None-Match: {etag(which, who)}")
                if again:
                    lines.append("Cache-Control: no-cache")
                clients.append((who, self.ask(*lines, target=f"/{which}", method=method)))
            elif what == "wait":
                self.network.advance(which)
            elif what == "leave":
                if clients:
                    clients[which % len(clients)][1].reset()
            elif open_now:
                exchange = open_now[which % len(open_now)]
                if what == "fail":
                    exchange.fail(NoAnswer())
                else:
                    self._answer(exchange, whole=how)
        while open_now := [exchange for exchange in self.origin.asked if not exchange.begun and not over(exchange)]:
            for exchange in open_now:
                self._answer(exchange, whole=True)
        received = []
        for who, client in clients:
            said = self.got(client)
            received.append(said)
            for other in WHO:
                assert other == who or f"for {other}" not in said, said
        return received

    def _answer(self, exchange: Any, *, whole: bool) -> None:
        head = exchange.head
        kind = head.target.decode()[1:]
        name = KINDS[kind].asks.partition(":")[0].lower().encode()
        who = (head.get(name) or b"").decode().rpartition("=")[2]
        body = "for all." if KINDS[kind].one_body else f"for {who}."
        tag = etag(kind, who)
        fields = f"{self.date()}\r\n{KINDS[kind].says.format(who)}\r\nETag: {tag}\r\nX-For: for {who}\r\n"
        if KINDS[kind].one_body and "x-for" not in KINDS[kind].says:
            fields = fields.replace(f"X-For: for {who}\r\n", "")
        if tag.encode() in (head.get(b"if-none-match") or b""):
            exchange.reply(304, f"HTTP/1.1 304 Not Modified\r\n{fields}\r\n".encode(), keep_alive=True)
            return
        block = f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        if head.method == b"HEAD":
            exchange.reply(200, block.encode(), keep_alive=True)
        elif whole:
            exchange.reply(200, (block + body).encode(), keep_alive=True)
        else:
            exchange.begin(200, block.encode(), keep_alive=True)
            exchange.finish(body.encode())


def played(steps: list[tuple[str, Any, Any]]) -> list[str]:
    mixing = Mixing()
    mixing.setUp()
    received = mixing.play(steps)
    mixing.tearDown()
    return received


@given(st.lists(STEP, max_size=30))
def test_no_client_gets_what_was_made_for_another(steps: list[tuple[str, Any, Any]]) -> None:
    played(steps)


def asked(kind: str, who: str, method: str = "GET", *, conditional: bool = False, again: bool = False) -> tuple[str, Any, Any]:
    return ("ask", kind, (who, method, conditional, again))


ANSWER = ("answer", 0, True)


@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if KINDS[kind].one_body))
def test_what_is_for_all_is_shared_and_the_field_is_not(kind: str) -> None:
    """The property above says something only if what may be shared is."""
    received = played(
        [asked(kind, "ann"), ANSWER, asked(kind, "bob"), ("wait", 65, True), asked(kind, "bob"), ANSWER, asked(kind, "cy", "HEAD")]
    )
    assert "for ann" in received[0]
    if kind != "cookie-of-one":
        assert "; hit" in received[1]
        assert received[1].endswith("for all.")
        assert "fwd-status=304" in received[2]
        assert "for bob" in received[2], "the 304 was for him"


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("method", METHODS)
def test_a_validation_brings_no_client_what_the_304_or_the_head_says_of_another(kind: str, method: str) -> None:
    received = played(
        [
            asked(kind, "ann"),
            ANSWER,
            asked(kind, "bob", method, again=True),
            ANSWER,
            asked(kind, "cy"),
            ANSWER,
            asked(kind, "cy", conditional=True),
            ANSWER,
            asked(kind, "ann", "HEAD"),
        ]
    )
    assert all(said.startswith(("HTTP/1.1 200 ", "HTTP/1.1 304 ")) for said in received)
