"""Tokens that were checked before."""

import math

import pytest

from scalability.gateway.access.verified import VerifiedTokens


def test_a_token_is_good_while_it_is() -> None:
    verified: VerifiedTokens[str] = VerifiedTokens()
    verified.keep(b"token", 10.0, 20.0, "a")
    assert [verified.get(b"token", now) for now in (9.9, 10.0, 19.9)] == [None, "a", "a"]
    assert verified.get(b"other", 15.0) is None
    assert (len(verified), verified.hits) == (1, 2)
    assert verified.get(b"token", 20.0) is None
    assert len(verified) == 0


def test_the_oldest_makes_room() -> None:
    verified: VerifiedTokens[int] = VerifiedTokens(3)
    for n in range(5):
        verified.keep(b"%d" % n, -math.inf, math.inf, n)
    assert [verified.get(b"%d" % n, 0.0) for n in range(5)] == [None, None, 2, 3, 4]
    assert len(verified) == 3


def test_all_are_forgotten_with_their_keys() -> None:
    verified: VerifiedTokens[int] = VerifiedTokens()
    verified.keep(b"token", -math.inf, math.inf, 1)
    verified.forget()
    assert verified.get(b"token", 0.0) is None


def test_no_token_can_be_read_out_of_it() -> None:
    verified: VerifiedTokens[int] = VerifiedTokens()
    verified.keep(b"token", -math.inf, math.inf, 1)
    with pytest.raises(AttributeError):
        verified.__dict__  # noqa: B018 - slots only
    assert b"token" not in verified._found
