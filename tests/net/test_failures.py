"""Errors as JSON answers."""

import json

import pytest

from scalability.errors import MethodNotAllowed, NoServer, NotFound, ScalelabError
from scalability.net.failures import error_answer, error_body, error_fields


def test_an_error_is_an_object_of_code_and_sentence() -> None:
    assert json.loads(error_body(NotFound('nothing "here" \n'))) == {"error": "not_found", "message": 'nothing "here" \n'}


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (NotFound(), [(b"Cache-Control", b"no-store")]),
        (NoServer(), [(b"Cache-Control", b"no-store"), (b"Retry-After", b"1")]),
        (NoServer(retry_after_s=7), [(b"Cache-Control", b"no-store"), (b"Retry-After", b"7")]),
        (MethodNotAllowed(allow=("GET", "PUT")), [(b"Cache-Control", b"no-store"), (b"Allow", b"GET, PUT")]),
    ],
)
def test_an_error_brings_its_fields(error: ScalelabError, fields: list[tuple[bytes, bytes]]) -> None:
    assert error_fields(error) == fields


def test_an_answer_is_complete() -> None:
    answer = error_answer(NotFound("no"), keep_alive=False, minor=1, head_only=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n")
    assert b"Connection: close" in head
    assert b"Content-Length: %d" % len(body) in head
    assert error_answer(NotFound("no"), keep_alive=True, minor=1, head_only=True).endswith(b"\r\n\r\n")
