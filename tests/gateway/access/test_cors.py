"""Cross-origin requests."""

from typing import Any

import pytest

from scalability.gateway.access.cors import ORIGIN, Cors
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead, parse_request_head

HERE = "https://app.example"


def head_of(*fields: str, method: str = "GET") -> RequestHead:
    return parse_request_head(("\r\n".join([f"{method} / HTTP/1.1", "Host: x", *fields]) + "\r\n\r\n").encode(), DEFAULT_LIMITS)


def preflight_of(origin: str = HERE, headers: str = "") -> RequestHead:
    more = [f"Access-Control-Request-Headers: {headers}"] if headers else []
    return head_of(f"Origin: {origin}", "Access-Control-Request-Method: PUT", *more, method="OPTIONS")


def named(fields: Any) -> dict[str, str]:
    assert len({name for name, _ in fields}) == len(fields)
    return {name.decode(): value.decode() for name, value in fields}


CORS = Cors([HERE, "null"], methods=["GET", "PUT"], headers=["Content-Type"], expose=["ETag", "Age"], credentials=True, max_age_s=60)


def test_a_preflight_is_an_options_request_with_both_fields() -> None:
    assert Cors.is_preflight(preflight_of())
    assert not Cors.is_preflight(head_of(f"Origin: {HERE}", method="OPTIONS"))
    assert not Cors.is_preflight(head_of("Access-Control-Request-Method: PUT", method="OPTIONS"))
    assert not Cors.is_preflight(head_of(f"Origin: {HERE}", "Access-Control-Request-Method: PUT"))


def test_a_preflight_of_a_known_origin_is_told_what_is_allowed() -> None:
    assert named(CORS.preflight(preflight_of(headers="x-anything"))) == {
        "Access-Control-Allow-Origin": HERE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "GET, PUT",
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": "60",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }


@pytest.mark.parametrize("origin", ["https://a.example", "HTTPS://APP.EXAMPLE", HERE + "/", HERE + ":443", "http://app.example", "*", ""])
def test_another_origin_is_told_nothing(origin: str) -> None:
    assert list(named(CORS.preflight(preflight_of(origin)))) == ["Vary"]
    assert named(CORS.simple(head_of(f"Origin: {origin}"))) == {"Vary": "Origin"}


def test_an_answer_says_who_may_read_it() -> None:
    assert named(CORS.simple(head_of(f"Origin: {HERE}"))) == {
        "Access-Control-Allow-Origin": HERE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "ETag, Age",
        "Vary": "Origin",
    }
    assert named(CORS.simple(head_of("Origin: null")))["Access-Control-Allow-Origin"] == "null"


def test_without_an_origin_the_answer_says_that_it_depends_on_one() -> None:
    assert named(CORS.simple(head_of())) == {"Vary": "Origin"}


def test_two_origins_are_none() -> None:
    assert named(CORS.simple(head_of(f"Origin: {HERE}", f"Origin: {HERE}"))) == {"Vary": "Origin"}


def test_any_origin_may_read_what_nobody_needs_credentials_for() -> None:
    cors = Cors(["*"], methods=["GET"], expose=["ETag"])
    wanted = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag"}
    assert named(cors.simple(head_of("Origin: https://anybody.example"))) == named(cors.simple(head_of())) == wanted
    assert "Access-Control-Allow-Headers" not in named(cors.preflight(preflight_of()))


def test_credentials_never_go_with_any_origin() -> None:
    for origins in (["*"], [HERE, "*"]):
        with pytest.raises(ValueError, match="name the origins"):
            Cors(origins, credentials=True)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("x-one", "x-one"),
        ("x-one, Authorization,x-two", "x-one, Authorization,x-two"),
        ("x one", None),
        ("x-one,,x-two", None),
        ('x-"one"', None),
        ("x" * 2049, None),
    ],
)
def test_any_field_may_be_allowed_as_far_as_it_is_one(asked: str, allowed: str | None) -> None:
    cors = Cors([HERE], methods=["GET"], headers=["*"])
    assert named(cors.preflight(preflight_of(headers=asked))).get("Access-Control-Allow-Headers") == allowed


def test_an_origin_is_written_as_browsers_do() -> None:
    for origin in ("https://a.example", "http://localhost:3000", "http://[::1]:80", "app+x.y://host", "https://a_b.example"):
        assert ORIGIN.fullmatch(origin), origin
    for other in ("a.example", "https://a.example/", "https://A.example", "https://", "https://*.a.example", "null", "*", "https://a:b"):
        assert not ORIGIN.fullmatch(other), other
