"""Nobody gets what the origin made for somebody else, however requests, answers, failures and departures follow one another."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import NoAnswer
from scalability.testing.cache_case import CacheCase

WHO = ("ann", "bob", "cy")
KINDS = {
    # how a client says who it is, and what the origin says of its answer
    "authorization": ("Authorization: {}", "Cache-Control: max-age=60"),
    "private": ("Cookie: who={}", "Cache-Control: private, max-age=60"),
    "vary": ("X-Who: {}", "Cache-Control: max-age=60\r\nVary: X-Who"),
    "set-cookie": ("Cookie: who={}", "Cache-Control: max-age=60\r\nSet-Cookie: who={}"),
    "no-store": ("Cookie: who={}", "Cache-Control: no-store, max-age=60"),
    "star": ("Cookie: who={}", "Cache-Control: max-age=60\r\nVary: *"),
    "target": ("Cookie: who={}", "Cache-Control: max-age=60\r\nCDN-Cache-Control: private"),
}

STEP = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(sorted(KINDS)), st.sampled_from(WHO)),
    st.tuples(st.just("answer"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("fail"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("leave"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 70), st.booleans()),
)


class Mixing(CacheCase):
    def runTest(self) -> None:  # noqa: N802 - unittest's name
        """Nothing: ``play`` is called."""

    def play(self, steps: list[tuple[str, Any, Any]]) -> None:
        clients: list[tuple[str, Any]] = []
        for what, which, how in steps:
            open_now = [exchange for exchange in self.origin.asked if not exchange.begun and not exchange.over]
            if what == "ask":
                clients.append((how, self.ask(KINDS[which][0].format(how), target=f"/{which}")))
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
        for exchange in self.origin.asked:
            if not exchange.begun and not exchange.over:
                self._answer(exchange, whole=True)
        for who, client in clients:
            said = self.got(client)
            for other in WHO:
                assert other == who or f"for {other}" not in said, said

    def _answer(self, exchange: Any, *, whole: bool) -> None:
        kind = exchange.head.target.decode()[1:]
        asked, says = KINDS[kind]
        name = asked.partition(":")[0].lower().encode()
        who = (exchange.head.get(name) or b"").decode().rpartition("=")[2]
        body = f"for {who}."
        head = f"HTTP/1.1 200 OK\r\n{self.date()}\r\n{says.format(who)}\r\nContent-Length: {len(body)}\r\n\r\n"
        if whole:
            exchange.reply(200, (head + body).encode(), keep_alive=True)
        else:
            exchange.begin(200, head.encode(), keep_alive=True)
            exchange.finish(body.encode())


@given(st.lists(STEP, max_size=30))
def test_no_client_gets_what_was_made_for_another(steps: list[tuple[str, Any, Any]]) -> None:
    mixing = Mixing()
    mixing.setUp()
    mixing.play(steps)
    mixing.tearDown()
