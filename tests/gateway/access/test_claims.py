"""What tokens must say."""

import math
from typing import Any

import pytest

from scalability.errors import Forbidden
from scalability.gateway.access.bearer import BadToken
from scalability.gateway.access.claims import Rules, Verified

NOW = 1_700_000_000.0


def test_a_token_that_says_nothing_is_good_for_ever() -> None:
    assert Rules().check({}, NOW) == Verified(b"", -math.inf, math.inf)
    assert Rules(leeway_s=5).check({"sub": "a", "exp": NOW + 1, "nbf": NOW}, NOW) == Verified(b"a", NOW - 5, NOW + 6)


def test_time_is_that_of_the_clock() -> None:
    assert Rules().check({"exp": NOW + 1, "nbf": NOW, "iat": NOW + 100}, NOW)
    for claims in ({"exp": NOW}, {"exp": NOW - 1}, {"nbf": NOW + 1}):
        with pytest.raises(BadToken):
            Rules().check(claims, NOW)


def test_leeway_is_given_at_both_ends_and_no_more() -> None:
    rules = Rules(leeway_s=30)
    assert rules.check({"exp": NOW - 29, "nbf": NOW + 30}, NOW)
    for claims in ({"exp": NOW - 30}, {"nbf": NOW + 31}):
        with pytest.raises(BadToken):
            rules.check(claims, NOW)


@pytest.mark.parametrize("value", ["never", None, True, [], {}, math.nan, math.inf, -math.inf, str(NOW + 10), 10**400, -(10**400), 1e300])
@pytest.mark.parametrize("name", ["exp", "nbf"])
def test_a_time_that_is_no_time_is_refused(name: str, value: object) -> None:
    with pytest.raises(BadToken, match=f"{name} is not a number of seconds"):
        Rules().check({name: value}, NOW)


@pytest.mark.parametrize("issuer", [None, "", "other", ["us"], 1, {}])
def test_another_issuer_is_refused(issuer: object) -> None:
    rules = Rules(issuers=frozenset(["us"]))
    assert rules.check({"iss": "us"}, NOW)
    with pytest.raises(BadToken, match="issuer"):
        rules.check({"iss": issuer}, NOW)
    with pytest.raises(BadToken, match="issuer"):
        rules.check({}, NOW)


@pytest.mark.parametrize("audience", [None, "", "other", ["other"], [], 1, [["us"]], {"us": 1}])
def test_another_audience_is_refused(audience: object) -> None:
    rules = Rules(audiences=frozenset(["us", "we"]))
    assert rules.check({"aud": "us"}, NOW)
    assert rules.check({"aud": ["other", "we"]}, NOW)
    with pytest.raises(BadToken, match="audience"):
        rules.check({"aud": audience}, NOW)
    with pytest.raises(BadToken, match="audience"):
        rules.check({}, NOW)


def test_without_an_audience_of_ours_a_token_for_somebody_is_refused() -> None:
    with pytest.raises(BadToken, match="audience"):
        Rules().check({"aud": "other"}, NOW)


@pytest.mark.parametrize("subject", [None, 1, ["a"], "a" * 257])
def test_a_subject_is_text(subject: object) -> None:
    with pytest.raises(BadToken, match="subject"):
        Rules().check({"sub": subject}, NOW)


@pytest.mark.parametrize(
    ("claims", "required"),
    [
        ({"role": "admin"}, ("role", "admin")),
        ({"role": ["user", "admin"]}, ("role", "admin")),
        ({"admin": True}, ("admin", "true")),
        ({"level": 3}, ("level", "3")),
        ({"scope": "read data"}, ("scope", "data")),
        ({"aud": "scalelab"}, ("aud", "scalelab")),
        ({"aud": ["other", "scalelab"]}, ("aud", "scalelab")),
    ],
)
def test_a_token_with_the_needed_claim_passes(claims: dict[str, Any], required: tuple[str, str]) -> None:
    assert Rules(required=(required,)).check(claims, NOW)


@pytest.mark.parametrize(
    ("claims", "required"),
    [
        ({}, ("role", "admin")),
        ({"role": "user"}, ("role", "admin")),
        ({"role": "admin user"}, ("role", "admin")),
        ({"role": None}, ("role", "None")),
        ({"role": {"admin": 1}}, ("role", "admin")),
        ({"role": []}, ("role", "")),
        ({"admin": True}, ("admin", "1")),
        ({"admin": "True"}, ("admin", "true")),
        ({"aud": "other"}, ("aud", "scalelab")),
    ],
)
def test_a_token_without_the_needed_claim_is_forbidden(claims: dict[str, Any], required: tuple[str, str]) -> None:
    with pytest.raises(Forbidden, match="does not carry the claim"):
        Rules(required=(required,)).check(claims, NOW)


def test_every_required_claim_is_needed() -> None:
    rules = Rules(required=(("a", "1"), ("b", "2")))
    assert rules.check({"a": "1", "b": "2"}, NOW)
    with pytest.raises(Forbidden):
        rules.check({"a": "1"}, NOW)


@pytest.mark.parametrize(
    ("mine", "other", "covers"),
    [
        (Rules(), Rules(), True),
        (Rules(required=(("role", "admin"),)), Rules(), True),
        (Rules(), Rules(required=(("role", "admin"),)), False),
        (Rules(required=(("aud", "us"),)), Rules(), False),
        (Rules(audiences=frozenset(["a"])), Rules(), False),
        (Rules(issuers=frozenset(["a"])), Rules(issuers=frozenset(["a", "b"])), False),
        (Rules(leeway_s=5.0), Rules(), False),
    ],
)
def test_rules_cover_others_that_ask_no_more(mine: Rules, other: Rules, covers: bool) -> None:
    assert mine.covers(other) is covers
