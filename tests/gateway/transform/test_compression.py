"""Which answers are encoded, and what their heads say then."""

import pytest

from scalability.gateway.transform.accept_encoding import IDENTITY, Choice
from scalability.gateway.transform.compression import code, compressible
from scalability.gateway.transform.entity_tags import Condition
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.response_head import ResponseHead, parse_response_head

GZIP = Choice(b"gzip")


def head(*fields: bytes, status: int = 200) -> ResponseHead:
    return parse_response_head(b"HTTP/1.1 %d x\r\n" % status + b"".join(field + b"\r\n" for field in fields) + b"\r\n", DEFAULT_LIMITS)


JSON = b"Content-Type: application/json"
LONG = b"Content-Length: 5000"


def test_an_encoded_answer_says_so_and_has_another_tag_and_no_ranges() -> None:
    coded = code(head(JSON, LONG, b'ETag: "v1"', b"Accept-Ranges: bytes", b"X-A: 1"), GZIP)
    assert coded.coding == b"gzip"
    assert coded.fields == [
        (b"Content-Type", b"application/json"),
        (b"ETag", b'W/"v1-gzip"'),
        (b"X-A", b"1"),
        (b"Content-Encoding", b"gzip"),
        (b"Vary", b"Accept-Encoding"),
    ]


def test_a_broken_tag_is_left_out_of_an_encoded_answer() -> None:
    assert all(name != b"ETag" for name, _ in code(head(JSON, LONG, b"ETag: v1"), GZIP).fields)


def test_head_says_what_get_would() -> None:
    message = head(JSON, LONG, b'ETag: "v1"')
    assert code(message, GZIP, head_only=True) == code(message, GZIP)


def test_vary_is_extended_once() -> None:
    def vary(*fields: bytes) -> list[bytes]:
        return [value for name, value in code(head(JSON, LONG, *fields), GZIP).fields if name == b"Vary"]

    assert vary(b"Vary: Origin") == [b"Origin", b"Accept-Encoding"]
    assert vary(b"Vary: Origin, accept-encoding") == [b"Origin, accept-encoding"]
    assert vary(b"Vary: *") == [b"*"]


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (200, (b"Content-Type: image/png", LONG)),
        (200, (LONG,)),
        (200, (JSON, b"Content-Length: 1023")),
        (200, (JSON, b"Content-Length: 0")),
        (200, (JSON, LONG, b"Content-Encoding: br")),
        (200, (JSON, LONG, b"Cache-Control: max-age=3, No-Transform")),
        (200, (JSON, LONG, b"Cache-Control: max-age=3", b"Cache-Control: no-transform")),
        (200, (JSON, LONG, b"Content-Digest: sha-256=:YQ==:")),
        (206, (JSON, LONG, b"Content-Range: bytes 0-4999/9999")),
        (416, (JSON, LONG, b"Content-Range: bytes */9999")),
        (204, (JSON,)),
        (205, (JSON, LONG)),
    ],
)
def test_what_must_stay_stays_as_it_is(status: int, fields: tuple[bytes, ...]) -> None:
    message = head(*fields, status=status)
    coded = code(message, GZIP)
    assert (coded.coding, coded.fields) == (IDENTITY, message.fields)


@pytest.mark.parametrize("status", [200, 201, 302, 404, 500, 503])
def test_errors_are_encoded_too(status: int) -> None:
    assert code(head(JSON, LONG, status=status), GZIP).coding == b"gzip"


def test_an_unknown_length_is_a_long_one() -> None:
    assert code(head(JSON, b"Transfer-Encoding: chunked"), GZIP).coding == b"gzip"


def test_who_takes_none_gets_none_and_caches_learn_of_it() -> None:
    coded = code(head(JSON, LONG, b'ETag: "v1"'), Choice(IDENTITY))
    assert coded.coding == IDENTITY
    assert (b"ETag", b'"v1"') in coded.fields
    assert (b"Vary", b"Accept-Encoding") in coded.fields


def test_who_refuses_identity_gets_small_answers_encoded_too() -> None:
    refusing = Choice(b"gzip", identity_refused=True)
    assert code(head(JSON, b"Content-Length: 10"), refusing).coding == b"gzip"
    assert code(head(JSON, b"Content-Length: 0"), refusing).coding == IDENTITY


def test_a_304_has_the_tag_that_the_client_asked_with_and_the_vary_of_a_200() -> None:
    condition = Condition([b'W/"v1-gzip"'], b"gzip")
    fields = code(head(b'ETag: "v1"', status=304), GZIP, condition).fields
    assert fields == [(b"ETag", b'W/"v1-gzip"'), (b"Vary", b"Accept-Encoding")]
    assert (b"ETag", b'"v1"') in code(head(b'ETag: "v1"', status=304), GZIP).fields


def test_types_are_compared_without_parameters_and_case() -> None:
    assert compressible(b"TEXT/HTML; charset=utf-8")
    assert compressible(b"text/event-stream")
    assert compressible(b"application/problem+json")
    assert compressible(b"image/svg+xml;charset=utf-8")
    assert not compressible(b"image/png")
    assert not compressible(None)
    assert not compressible(b"")
    assert compressible(b"image/png", frozenset([b"image/*"]))
    assert not compressible(b"video/mp4", frozenset([b"image/*"]))
