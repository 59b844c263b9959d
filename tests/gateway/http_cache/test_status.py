"""Cache-Status, by RFC 9211."""

from scalability.gateway.http_cache.reuse import Action, Decision, Forward
from scalability.gateway.http_cache.status import forwarded, hit, of_decision
from scalability.gateway.http_cache.structured import Item, parse_dictionary
from scalability.testing.messages import NOW, stored

ANSWER = stored(b"Cache-Control: max-age=100", b"Age: 4")


def parameters(member: bytes) -> dict[bytes, Item]:
    """Those of a list's member, read as a dictionary of its own."""
    name, _, rest = member.partition(b"; ")
    assert name == b"scalelab"
    return parse_dictionary([rest.replace(b"; ", b", ")])


def test_rfc9211_2_1_a_hit_says_so_and_how_long_it_is_fresh() -> None:
    assert hit(ANSWER, NOW + 1.5) == b"scalelab; hit; ttl=94"
    assert hit(ANSWER, NOW, name=b"edge") == b"edge; hit; ttl=96"


def test_rfc9211_2_4_the_ttl_of_a_stale_answer_is_negative() -> None:
    """ttl may be negative, to indicate staleness."""
    assert hit(ANSWER, NOW + 100) == b"scalelab; hit; ttl=-4"


def test_rfc9211_2_2_a_miss_says_why() -> None:
    for reason in Forward:
        assert forwarded(reason) == b"scalelab; fwd=" + reason.value.encode()
    assert parameters(forwarded(Forward.STALE, status=304, stored=ANSWER, now=NOW, collapsed=True, detail="vary")).keys() == {
        b"fwd",
        b"fwd-status",
        b"stored",
        b"ttl",
        b"collapsed",
        b"detail",
    }


def test_rfc9211_2_1_hit_and_fwd_are_exclusive() -> None:
    """ "hit" and "fwd" are exclusive; only one of them should appear on each list member."""
    for member in (hit(ANSWER, NOW), of_decision(Decision(Action.FRESH), ANSWER, NOW)):
        assert b"hit" in parameters(member)
        assert b"fwd" not in parameters(member)
    for member in (forwarded(Forward.MISS), of_decision(Decision(Action.GATEWAY_TIMEOUT, Forward.STALE), ANSWER, NOW)):
        assert b"hit" not in parameters(member)
        assert b"fwd" in parameters(member)
