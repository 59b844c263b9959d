"""Reuse, by the sentences of RFC 9111 sections 4 and 5.2, and RFC 5861."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.directives import MAX_DELTA_S, RequestDirectives, request_directives
from scalability.gateway.http_cache.reuse import Action, Decision, Forward, OnFailure, decide, on_failure
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.storing import NotStored, store
from scalability.http1.request_head import RequestHead
from scalability.testing.messages import NOW, at, request, response, stored

FRESH = b"Cache-Control: max-age=100"
ETAG = b'ETag: "a"'


def decided(answer: StoredAnswer | None, *lines: bytes, after_s: float = 10, method: bytes = b"GET") -> Decision:
    head = request(*lines, method=method)
    return decide(head, request_directives(head), answer, NOW + after_s)


def action(answer: StoredAnswer | None, *lines: bytes, after_s: float = 10) -> Action:
    return decided(answer, *lines, after_s=after_s).action


def failed(answer: StoredAnswer | None, *lines: bytes, after_s: float, status: int | None = None, disconnected_s: float = 0) -> OnFailure:
    asked = request_directives(request(*lines))
    return on_failure(asked, answer, NOW + after_s, status=status, stale_if_disconnected_s=disconnected_s)


def control(value: bytes, *lines: bytes) -> StoredAnswer:
    return stored(b"Cache-Control: " + value, ETAG, *lines)


def test_rfc9111_4_2_fresh_is_younger_than_its_lifetime() -> None:
    """response_is_fresh = (freshness_lifetime > current_age)"""
    answer = stored(FRESH)
    assert decided(answer, after_s=99.9) == Decision(Action.FRESH)
    assert decided(answer, after_s=99.9).hit
    assert decided(answer, after_s=100) == Decision(Action.VALIDATE, Forward.STALE)
    assert not decided(answer, after_s=100).hit
    assert action(stored(FRESH, b"Age: 95"), after_s=4.9) is Action.FRESH
    assert action(stored(FRESH, b"Age: 95"), after_s=5) is Action.VALIDATE


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"FOO", b"get"])
def test_rfc9111_4_unsafe_methods_are_written_through(method: bytes) -> None:
    """A cache MUST write through requests with methods that are unsafe to the origin server."""
    assert decided(stored(FRESH), method=method) == Decision(Action.FORWARD, Forward.METHOD)
    assert decided(stored(FRESH), b"Cache-Control: only-if-cached", method=method) == Decision(Action.FORWARD, Forward.METHOD)


def test_rfc9111_4_the_method_of_the_stored_answer_must_allow_it() -> None:
    """A cache MUST NOT reuse a stored response unless the request method associated with it allows it for the presented request."""
    assert decided(stored(FRESH), method=b"HEAD").action is Action.FRESH
    assert decided(stored(FRESH), b"Content-Length: 1") == Decision(Action.FORWARD, Forward.BYPASS)


def test_nothing_stored_is_forwarded() -> None:
    assert decided(None) == Decision(Action.FORWARD, Forward.URI_MISS)
    assert decide(request(), RequestDirectives(), None, NOW, missing=Forward.VARY_MISS).forward is Forward.VARY_MISS


def test_rfc9111_4_no_cache_must_be_validated() -> None:
    """A cache MUST NOT reuse a stored response that contains the no-cache directive, unless it is successfully validated."""
    answer = control(b"max-age=100, no-cache")
    assert decided(answer) == Decision(Action.VALIDATE, Forward.STALE)
    assert action(answer, b"Cache-Control: max-stale") is Action.VALIDATE
    assert action(control(b'max-age=100, no-cache="foo"')) is Action.FRESH


def test_a_soft_purge_must_be_validated() -> None:
    answer = stored(FRESH, must_validate=True)
    assert action(answer) is Action.VALIDATE
    assert action(answer, b"Cache-Control: max-stale") is Action.VALIDATE
    assert failed(answer, after_s=1, disconnected_s=100) is OnFailure.GATEWAY_TIMEOUT


def test_rfc9111_5_2_1_4_no_cache_of_the_request_validates() -> None:
    """The no-cache request directive: the client prefers that a stored response not be used without successful validation."""
    assert decided(stored(FRESH), b"Cache-Control: no-cache") == Decision(Action.VALIDATE, Forward.REQUEST)
    assert decided(stored(FRESH), b"Pragma: no-cache") == Decision(Action.VALIDATE, Forward.REQUEST)


def test_rfc9211_2_2_the_most_specific_reason_is_given() -> None:
    """request: "able to select a fresh response ... but the request's semantics did not allow its use"; stale: "but it was stale"."""
    for line in (b"Cache-Control: no-cache", b"Cache-Control: max-age=0", b"Cache-Control: min-fresh=500", b'If-Match: "a"'):
        assert decided(stored(FRESH), line).forward is Forward.REQUEST
        assert decided(stored(FRESH), line, after_s=200).forward is Forward.STALE
        assert decided(control(b"max-age=100, no-cache"), line).forward is Forward.STALE


def test_rfc9111_5_2_1_5_no_store_of_the_request_does_not_apply_to_what_is_stored() -> None:
    """If a request containing no-store is satisfied from a cache, the directive does not apply to the already stored response."""
    assert action(stored(FRESH), b"Cache-Control: no-store") is Action.FRESH


def test_rfc9111_5_2_1_1_max_age_of_the_request_bounds_the_age() -> None:
    """The client prefers a response whose age is less than or equal to the specified number of seconds."""
    assert action(stored(FRESH), b"Cache-Control: max-age=10", after_s=10) is Action.FRESH
    assert decided(stored(FRESH), b"Cache-Control: max-age=9") == Decision(Action.VALIDATE, Forward.REQUEST)
    assert action(stored(FRESH), b"Cache-Control: max-age=0", after_s=0) is Action.VALIDATE
    assert action(stored(FRESH), b"Cache-Control: max-age=x", after_s=0) is Action.VALIDATE


def test_rfc9111_5_2_1_1_without_max_stale_it_wants_nothing_stale() -> None:
    """Unless the max-stale request directive is also present, the client does not wish to receive a stale response."""
    answer = control(b"max-age=100, stale-while-revalidate=100")
    assert action(answer, b"Cache-Control: max-age=500", after_s=110) is Action.VALIDATE
    assert action(answer, b"Cache-Control: max-age=500, max-stale=20", after_s=110) is Action.STALE
    assert action(answer, b"Cache-Control: max-age=105, max-stale=20", after_s=110) is Action.VALIDATE


def test_rfc9111_5_2_1_3_min_fresh_asks_for_freshness_to_come() -> None:
    """The client prefers a response whose freshness lifetime is no less than its current age plus the specified time in seconds."""
    assert action(stored(FRESH), b"Cache-Control: min-fresh=90", after_s=10) is Action.FRESH
    assert decided(stored(FRESH), b"Cache-Control: min-fresh=91") == Decision(Action.VALIDATE, Forward.REQUEST)
    assert action(stored(FRESH), b"Cache-Control: min-fresh=x") is Action.VALIDATE
    assert decided(stored(FRESH), b"Cache-Control: min-fresh=1", after_s=200) == Decision(Action.VALIDATE, Forward.STALE)


def test_rfc9111_5_2_1_2_max_stale_accepts_staleness() -> None:
    """If a value is present, the client will accept a response that has exceeded its lifetime by no more; without one, any age."""
    assert action(stored(FRESH), b"Cache-Control: max-stale=10", after_s=110) is Action.STALE
    assert action(stored(FRESH), b"Cache-Control: max-stale=10", after_s=111) is Action.VALIDATE
    assert action(stored(FRESH), b"Cache-Control: max-stale", after_s=1e9) is Action.STALE
    assert action(stored(FRESH), b"Cache-Control: max-stale=x", after_s=101) is Action.VALIDATE


@pytest.mark.parametrize(
    "value", [b"must-revalidate, max-age=5", b"proxy-revalidate, max-age=5", b"s-maxage=5", b"s-maxage=x", b"no-cache, max-age=5"]
)
def test_rfc9111_4_2_4_a_prohibition_goes_before_every_permission(value: bytes) -> None:
    """A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol directive."""
    answer = control(value + b", stale-while-revalidate=99, stale-if-error=99")
    assert action(answer, b"Cache-Control: max-stale") is Action.VALIDATE
    assert action(answer) is Action.VALIDATE
    assert failed(answer, b"Cache-Control: stale-if-error=99", after_s=10, status=503) is OnFailure.RELAY
    assert failed(answer, after_s=10, disconnected_s=99) is OnFailure.GATEWAY_TIMEOUT


def test_rfc9111_4_2_4_stale_needs_permission_or_no_connection() -> None:
    """A cache MUST NOT generate a stale response unless it is disconnected or client or origin server explicitly permit it."""
    answer = control(b"max-age=5")
    assert action(answer) is Action.VALIDATE
    assert failed(answer, after_s=10, status=503, disconnected_s=99) is OnFailure.RELAY
    assert failed(answer, after_s=10) is OnFailure.RELAY
    assert failed(answer, after_s=10, disconnected_s=5) is OnFailure.SERVE_STALE
    assert failed(answer, after_s=11, disconnected_s=5) is OnFailure.RELAY


def test_rfc9111_5_2_2_2_a_disconnected_cache_answers_504_for_must_revalidate() -> None:
    """A cache MUST generate an error response if it is disconnected rather than reuse a stale response; it SHOULD be 504."""
    assert failed(control(b"max-age=5, must-revalidate"), after_s=10, disconnected_s=99) is OnFailure.GATEWAY_TIMEOUT
    assert failed(control(b"max-age=5, must-revalidate"), after_s=10, status=502) is OnFailure.RELAY


def test_rfc9111_5_2_1_7_only_if_cached_is_504_without_a_stored_answer() -> None:
    """Caches SHOULD either respond using a stored response consistent with the other constraints, or respond with 504 (Gateway Timeout)."""
    asked = b"Cache-Control: only-if-cached"
    assert decided(None, asked) == Decision(Action.GATEWAY_TIMEOUT, Forward.URI_MISS)
    assert decided(stored(FRESH), asked, after_s=100) == Decision(Action.GATEWAY_TIMEOUT, Forward.STALE)
    assert action(stored(FRESH), asked) is Action.FRESH
    assert action(stored(FRESH), asked + b", max-stale=9", after_s=105) is Action.STALE
    assert action(stored(FRESH), asked + b", no-cache") is Action.GATEWAY_TIMEOUT


@pytest.mark.parametrize("line", [b'If-Match: "a"', b"If-Match: *", b"If-Unmodified-Since: " + at(9)])
def test_rfc9111_4_3_2_preconditions_for_the_origin_are_not_evaluated(line: bytes) -> None:
    """A cache MUST NOT evaluate conditional header fields that only apply to an origin server."""
    assert decided(stored(FRESH, ETAG), line) == Decision(Action.FORWARD, Forward.REQUEST)


def test_rfc9111_3_5_an_answer_to_an_authorized_request_needs_leave_to_be_reused() -> None:
    """A shared cache MUST NOT use a cached response to a request with Authorization to satisfy any subsequent request unless allowed."""
    assert decided(stored(FRESH, authorized=True)) == Decision(Action.FORWARD, Forward.MISS)
    assert action(control(b"public, max-age=100")) is Action.FRESH


def test_rfc5861_3_stale_while_revalidate_answers_and_validates_behind() -> None:
    """Caches MAY serve the response after it becomes stale, up to the indicated number of seconds."""
    answer = control(b"max-age=100, stale-while-revalidate=50")
    assert decided(answer, after_s=150).action is Action.STALE_WHILE_REVALIDATE
    assert decided(answer, after_s=150).hit
    assert decided(answer, after_s=151) == Decision(Action.VALIDATE, Forward.STALE)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_rfc5861_4_stale_if_error_stands_in_for_errors(status: int) -> None:
    """When an error is encountered, a cached stale response MAY be used, up to the indicated number of seconds after it becomes stale."""
    answer = control(b"max-age=5, stale-if-error=20")
    assert failed(answer, after_s=25, status=status) is OnFailure.SERVE_STALE
    assert failed(answer, after_s=26, status=status) is OnFailure.RELAY
    assert failed(answer, after_s=25) is OnFailure.SERVE_STALE
    assert failed(control(b"max-age=5"), b"Cache-Control: stale-if-error=20", after_s=25, status=status) is OnFailure.SERVE_STALE
    assert failed(control(b"max-age=5"), after_s=25, status=status) is OnFailure.RELAY


@pytest.mark.parametrize("status", [200, 304, 400, 404, 429, 501, 505])
def test_rfc5861_4_other_statuses_are_no_error(status: int) -> None:
    """An error is any situation that would result in a 500, 502, 503, or 504 HTTP response status code being returned."""
    assert failed(control(b"max-age=5, stale-if-error=20"), after_s=10, status=status) is OnFailure.RELAY


def test_a_client_that_wants_validation_gets_the_failure() -> None:
    answer = control(b"max-age=5, stale-if-error=20")
    assert failed(answer, b"Cache-Control: no-cache", after_s=10) is OnFailure.RELAY
    assert failed(answer, b"Cache-Control: max-age=0", after_s=1) is OnFailure.SERVE_STALE
    assert failed(None, after_s=1) is OnFailure.RELAY


LINES = st.lists(
    st.sampled_from(
        [
            b"no-store",
            b"no-cache",
            b"private",
            b"public",
            b"max-age=50",
            b"max-age=5",
            b"s-maxage=5",
            b"must-revalidate",
            b"proxy-revalidate",
            b"stale-while-revalidate=50",
            b"stale-if-error=50",
            b"max-age=x",
            b"must-understand",
            b'private="a"',
            b"foo",
            b'"',
        ]
    ),
    max_size=5,
).map(lambda members: b"Cache-Control: " + b", ".join(members))
ASKED = st.lists(
    st.sampled_from(
        [b"no-cache", b"max-age=1", b"max-age=1000", b"min-fresh=45", b"max-stale", b"max-stale=4", b"only-if-cached", b"x", b"no-store"]
    ),
    max_size=3,
).map(lambda members: b"Cache-Control: " + b", ".join(members))


@given(LINES, ASKED, st.sampled_from([b"X: y", b"Authorization: a"]), st.floats(0, 120), st.integers(0, 60))
def test_never_fresh_when_a_directive_forbids(line: bytes, asking: bytes, more: bytes, after_s: float, age: int) -> None:
    first: RequestHead = request(more)
    answer = store(first, response(line, b"Age: %d" % age, ETAG), b"", request_time_s=NOW, response_time_s=NOW, wall=NOW)
    text = line
    if isinstance(answer, NotStored):
        return
    assert b" private" not in text.replace(b'private="a"', b"").replace(b",", b" ")
    assert b"no-store" not in text or b"must-understand" in text
    assert more != b"Authorization: a" or b"public" in text or b"s-maxage" in text or b"must-revalidate" in text
    head = request(asking)
    found = decide(head, request_directives(head), answer, NOW + after_s)
    if not found.hit:
        return
    assert b"no-cache" not in text
    assert b"no-cache" not in asking
    assert b"max-age=1," not in asking + b"," or after_s + age <= 1
    limits = [5] if b"s-maxage=5" in text else [50] * (b"max-age=50" in text) + [5] * (b"max-age=5" in text.replace(b"max-age=50", b""))
    lifetime_s = min([*limits, MAX_DELTA_S])
    if found.action is Action.FRESH:
        assert after_s + age < lifetime_s
    else:
        assert b"revalidate" not in text.replace(b"stale-while-revalidate", b"")
        assert b"s-maxage" not in text
        assert b"max-stale" in asking or b"stale-while-revalidate=50" in text
