"""A hit that repeats on a connection: byte for byte what the long way answers."""

import jwt
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.access.claims import Rules
from scalability.gateway.access.cors import Cors
from scalability.gateway.access.guard import Guard
from scalability.gateway.access.keys import Keys, secret_key
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.access.token_check import TokenCheck
from scalability.gateway.access.tokens import Tokens
from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.http_cache.cache import HTTPCache
from scalability.gateway.http_cache.hits import Known
from scalability.gateway.http_cache.key import primary_key
from scalability.gateway.http_cache.prepared import MAX_PREPARED_BYTES, Prepared
from scalability.gateway.rate_limits.config import Per
from scalability.gateway.rate_limits.fields import Limit
from scalability.gateway.rate_limits.gcra import Rate
from scalability.gateway.rate_limits.policy import CountedLimit, RateLimits
from scalability.gateway.rate_limits.store import MemoryLimits
from scalability.http1.edit import HeadEditor
from scalability.http1.head_memo import RequestHeadMemo
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.net.exchange import Exchange
from scalability.testing.cache_case import CacheCase

FIELDS = st.sampled_from(
    [
        (),
        ("Range: bytes=1-2",),
        ("Range: bytes=90-",),
        ('If-None-Match: "a"',),
        ("If-Modified-Since: Thu, 26 Nov 2026 00:00:00 GMT",),
        ("Cache-Control: max-age=3",),
        ("Cache-Control: max-stale",),
        ("Cache-Control: no-cache",),
        ("Accept-Language: de",),
        ("Authorization: Bearer x",),
        ("Connection: close",),
    ]
)


class Adding:
    """Stands where policies do: adds a field to each answer, another one each time."""

    def __init__(self, behind: HTTPCache) -> None:
        self._cache = behind
        self.number = 0

    def request_received(self, exchange: Exchange) -> None:
        assert isinstance(exchange, GatewayExchange)
        exchange.added.append((b"X-Added", b"%d" % self.number))
        self._cache.request_received(exchange)


class SameTests(CacheCase):
    def setUp(self) -> None:
        super().setUp()
        self.adding = Adding(self.cache)
        self.factory.application = self.adding
        self.stored("Cache-Control: max-age=30", 'ETag: "a"', "Last-Modified: Wed, 25 Nov 2020 00:00:00 GMT", body=b"0123456789")

    def test_whatever_is_asked_and_when_a_connection_that_knows_the_answer_says_what_a_new_one_does(self) -> None:
        @given(st.lists(st.tuples(FIELDS, st.integers(1, 4), st.floats(0.0, 2.0)), max_size=6))
        def check(asked: list[tuple[tuple[str, ...], int, float]]) -> None:
            knowing = self.client()
            for fields, times, pause_s in asked:
                for _ in range(times):
                    if knowing.ended:
                        knowing = self.client()
                    self.adding.number += 1
                    before = len(self.origin.asked)
                    self.ask(*fields, client=knowing)
                    if len(self.origin.asked) > before:  # no hit: it is another's answer that a new connection would see
                        self.origin.answer("Cache-Control: max-age=30", 'ETag: "a"', self.date(), body=b"0123456789")
                        self.got(knowing)
                        continue
                    fresh = self.ask(*fields)
                    assert len(self.origin.asked) == before
                    said, wanted = self.got(knowing), self.got(fresh)
                    assert said == wanted
                    assert f"X-Added: {self.adding.number}\r\n" in said
                self.network.advance(pause_s)

        check()


SECRET = b"0123456789abcdef0123456789abcdef"
GOOD = jwt.encode({"sub": "a"}, SECRET, algorithm="HS256")
ENDING = jwt.encode({"sub": "a", "exp": 1_000_003}, SECRET, algorithm="HS256")
ASKED = st.sampled_from(
    [
        (f"Authorization: Bearer {GOOD}",),
        (f"Authorization: Bearer {ENDING}",),
        ("Authorization: Bearer nonsense",),
        (),
        (f"Authorization: Bearer {GOOD}", "Origin: https://app.example"),
        (f"Authorization: Bearer {GOOD}", "Origin: https://other.example"),
        (f"Authorization: Bearer {GOOD}", 'If-None-Match: "a"'),
    ]
)


class Side(CacheCase):
    """A cache behind policies: a token, a limit that counts, CORS. ``known``: its client keeps its connection."""

    def begin(self, *, known: bool) -> None:
        self.setUp()
        rate = Rate(5, 3 * 10**9)
        limits = RateLimits([CountedLimit(Limit("all", rate), Per.CONSUMER)], MemoryLimits([rate], 100), self.network.seconds)
        checked = Tokens(Keys([secret_key(SECRET)]), Rules())
        policy = AccessPolicy(
            cors=Cors(["https://app.example"], methods=["GET"], credentials=True),
            tokens=TokenCheck(checked, self.network.seconds, subject_field="X-Subject"),
            limits=limits,
        )
        self.factory.application = Guard(lambda exchange: policy, self.cache)
        self.known = self.client() if known else None

    def said(self, fields: tuple[str, ...]) -> str:
        if self.known is not None and self.known.ended:
            self.known = self.client()
        before = len(self.origin.asked)
        client = self.ask(*fields, client=self.known)
        if len(self.origin.asked) > before:
            self.origin.answer("Cache-Control: public, max-age=2", 'ETag: "a"', self.date(), body=b"0123456789")
        return self.got(client)


@given(st.lists(st.tuples(ASKED, st.integers(1, 4), st.floats(0.0, 1.5)), max_size=6))
def test_tokens_limits_and_cors_stand_before_every_hit(asked: list[tuple[tuple[str, ...], int, float]]) -> None:
    knowing, new = Side("said"), Side("said")
    knowing.begin(known=True)
    new.begin(known=False)
    for fields, times, pause_s in asked:
        for _ in range(times):
            assert knowing.said(fields) == new.said(fields)
        knowing.network.advance(pause_s)
        new.network.advance(pause_s)
    assert knowing.cache.counts.hits == new.cache.counts.hits
    knowing.tearDown()
    new.tearDown()


class BoundTests(CacheCase):
    def prepared(self, *targets: str) -> list[bool]:
        """Whether there are prepared answers of each."""
        resources = (self.store.resource(primary_key(b"http", b"x", target.encode()), self.network.seconds()) for target in targets)
        return [resource is not None and any(prepared.block for prepared in resource.prepared.values()) for resource in resources]

    def test_what_is_prepared_is_bounded_in_bytes_and_the_oldest_go(self) -> None:
        self.store.prepared.max_bytes = 2 * 900
        clients = [self.client() for _ in range(3)]
        for target, client in zip(("/a", "/b", "/c"), clients, strict=True):
            self.stored("Cache-Control: max-age=30", target=target)
            self.network.advance(0.1)
            assert "hit" in self.got(self.ask(target=target, client=client))
        assert 0 < self.store.outside.prepared_bytes <= 2 * 900
        assert len(self.store.prepared) == 2
        assert self.prepared("/a", "/b", "/c") == [False, True, True]
        assert "hit" in self.got(self.ask(target="/a", client=clients[0]))
        assert self.prepared("/a", "/b", "/c") == [True, False, True]
        assert [self.got(self.ask(target=f"/{name}", client=client)).count("hit") for name, client in zip("abc", clients, strict=True)] == [
            1,
            1,
            1,
        ]

    def test_an_idle_connection_keeps_nothing_for_long(self) -> None:
        self.stored("Cache-Control: max-age=30")
        client = self.client()
        assert "hit" in self.got(self.ask(client=client))
        assert self.store.outside.prepared_bytes > 0
        self.network.advance(2.0)
        self.store.sweep(self.network.seconds(), 1000)
        assert self.store.outside.prepared_bytes == 0
        assert "hit" in self.got(self.ask(client=client))

    def test_an_answer_with_a_large_body_is_sent_from_the_store_itself(self) -> None:
        body = b"x" * (MAX_PREPARED_BYTES + 1)
        self.stored("Cache-Control: max-age=30", body=body)
        client = self.client()
        said = [self.got(self.ask(client=client)) for _ in range(3)]
        assert all("hit" in answer and answer.endswith(body.decode()) for answer in said)
        assert self.prepared("/a") == [False]
        assert self.cache.counts.hits == 3


def test_a_head_that_a_policy_makes_anew_repeats_the_last_one() -> None:
    editor = HeadEditor(frozenset([b"authorization"]), DEFAULT_LIMITS)
    memo = RequestHeadMemo(DEFAULT_LIMITS)
    block = b"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: y\r\n\r\n"
    heads = [editor.edit(memo.parse(data)) for data in (block, block, block.replace(b"/a", b"/b"), block.replace(b": x", b": z"))]
    known = Known(heads[0], b"key", 1, Prepared(200, b"", 0.0, 1.0))
    assert heads[1] is not heads[0]
    assert [known.repeated_by(head) for head in heads] == [True, True, False, False]
