"""What to do with a request, given what is stored for it (RFC 9111 section 4, RFC 5861). PURE: ``now`` is an argument."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from scalability.gateway.http_cache.directives import RequestDirectives
from scalability.gateway.http_cache.ranges import Whole, selected
from scalability.gateway.http_cache.statuses import ABOUT_FIELDS, is_about
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.http1.request_head import RequestHead

LOOKED_UP: Final = frozenset([b"GET", b"HEAD"])
"""Methods that a stored answer to GET may satisfy; every other is written through."""

SAFE: Final = frozenset([b"GET", b"HEAD", b"OPTIONS", b"TRACE"])
"""Methods that never invalidate (RFC 9110 section 9.2.1)."""

ERRORS_5861: Final = frozenset([500, 502, 503, 504])
"""Answers that stale-if-error stands in for (RFC 5861 section 4)."""


class Action(Enum):
    """What to do with a request."""

    FRESH = "fresh"
    """Answer from what is stored."""
    STALE_WHILE_REVALIDATE = "stale-while-revalidate"
    """Answer from what is stored, and validate it behind the client's back."""
    STALE = "stale"
    """Answer from what is stored: the client asked for it with max-stale."""
    VALIDATE = "validate"
    """Ask the origin, with what is stored as precondition."""
    FORWARD = "forward"
    """Ask the origin: nothing stored will do. The request keeps its own preconditions."""
    GATEWAY_TIMEOUT = "gateway-timeout"
    """Answer 504: the client wanted nothing but a stored answer."""


class Forward(Enum):
    """Why a request goes to the origin: the values of Cache-Status' ``fwd`` (RFC 9211 section 2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    MISS = "miss"
    REQUEST = "request"
    STALE = "stale"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Decision:
    """``action``, and why the request is forwarded, if it is (or would be, for 504)."""

    action: Action
    forward: Forward | None = None

    @property
    def hit(self) -> bool:
        """Whether the answer comes from what is stored, with no word from the origin."""
        return self.action in (Action.FRESH, Action.STALE_WHILE_REVALIDATE, Action.STALE)


FRESH: Final = Decision(Action.FRESH)
_STALE: Final = Decision(Action.STALE)
_STALE_WHILE_REVALIDATE: Final = Decision(Action.STALE_WHILE_REVALIDATE)


class OnFailure(Enum):
    """What to do when the origin was asked and did not answer, or answered 5xx."""

    SERVE_STALE = "serve-stale"
    GATEWAY_TIMEOUT = "gateway-timeout"
    """Answer 504: what is stored must not be reused without the origin's word (RFC 9111 section 5.2.2.2)."""
    RELAY = "relay"
    """Tell the client of the failure, or give it the 5xx."""


def decide(
    request: RequestHead,
    asked: RequestDirectives,
    stored: StoredAnswer | None,
    now: float,
    *,
    missing: Forward = Forward.URI_MISS,
) -> Decision:
    """What to do with ``request``, which asks caches for ``asked``, when ``stored`` is what it selects.

    ``missing`` says why nothing is, if nothing is: VARY_MISS when the URI has other variants.
    """
    if request.method not in LOOKED_UP:
        return Decision(Action.FORWARD, Forward.METHOD)
    if request.has_body:
        return Decision(Action.FORWARD, Forward.BYPASS)  # what it says may have chosen the answer, and stands in no key
    decision = _without_only_if_cached(request, asked, stored, now, missing)
    if asked.only_if_cached and not decision.hit:
        return Decision(Action.GATEWAY_TIMEOUT, decision.forward)
    return decision


def _without_only_if_cached(
    request: RequestHead, asked: RequestDirectives, stored: StoredAnswer | None, now: float, missing: Forward
) -> Decision:
    if stored is None:
        return Decision(Action.FORWARD, missing)
    index = request.index
    directives = stored.directives
    age = stored.age_s(now)
    stale_for = age - stored.lifetime_s
    # what it would go to the origin for: its own wish only if what is stored could have been given otherwise (RFC 9211 section 2.2)
    usable = stale_for < 0 and not directives.no_cache and not stored.must_validate
    wish = Forward.REQUEST if usable else Forward.STALE
    if b"if-match" in index or b"if-unmodified-since" in index:  # preconditions that are the origin's alone (RFC 9111 section 4.3.2)
        return Decision(Action.FORWARD, wish)
    if stored.authorized and not directives.shared_with_authorization:
        return Decision(Action.FORWARD, Forward.MISS)
    if stored.status in ABOUT_FIELDS and is_about(stored.status, request):
        return Decision(Action.FORWARD, wish)
    if stored.part is not None and selected(stored, request) is Whole.ELSEWHERE:
        return Decision(Action.FORWARD, Forward.PARTIAL)
    if asked.no_cache:
        return Decision(Action.VALIDATE, wish)
    if directives.no_cache or stored.must_validate:
        return Decision(Action.VALIDATE, Forward.STALE)
    if asked.max_age is not None and (age > asked.max_age or asked.max_age == 0):
        return Decision(Action.VALIDATE, wish)
    if asked.min_fresh is not None and -stale_for < asked.min_fresh:
        return Decision(Action.VALIDATE, wish)
    if stale_for < 0:
        return FRESH
    if not directives.forbids_stale:
        if asked.max_stale is not None and stale_for <= asked.max_stale:
            return _STALE
        # a client that names an age and no max-stale does not want a stale answer (RFC 9111 section 5.2.1.1)
        unwilling = asked.max_age is not None or asked.min_fresh is not None or asked.max_stale is not None
        if not unwilling and directives.stale_while_revalidate and stale_for <= directives.stale_while_revalidate:
            return _STALE_WHILE_REVALIDATE
    return Decision(Action.VALIDATE, Forward.STALE)


def on_failure(
    asked: RequestDirectives,
    stored: StoredAnswer | None,
    now: float,
    *,
    status: int | None = None,
    stale_if_disconnected_s: float = 0.0,
) -> OnFailure:
    """What to do when the request that was to validate ``stored`` failed.

    ``status`` is that of the origin's answer, None when there was none (the cache is disconnected, RFC 9111 section 4.2.4; then an
    answer may be reused for ``stale_if_disconnected_s`` after it turned stale, by the operator's word). stale-if-error counts in the answer
    and in the request, the longer of the two (RFC 5861 section 4); it yields to must-revalidate and its kin.
    """
    if status is not None and status not in ERRORS_5861:
        return OnFailure.RELAY
    if stored is None:
        return OnFailure.RELAY
    stale_for = stored.age_s(now) - stored.lifetime_s
    forbidden = stored.directives.no_cache or stored.must_validate or (stale_for >= 0 and stored.directives.forbids_stale)
    if forbidden or asked.no_cache:
        return OnFailure.GATEWAY_TIMEOUT if status is None and forbidden else OnFailure.RELAY
    allowed = max(asked.stale_if_error or 0, stored.directives.stale_if_error or 0)
    if status is None:
        allowed = max(allowed, int(stale_if_disconnected_s))
        if stale_for < 0:
            return OnFailure.SERVE_STALE  # fresh, only not to this client's liking
    return OnFailure.SERVE_STALE if allowed and stale_for <= allowed else OnFailure.RELAY
