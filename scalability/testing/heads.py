"""Heads from their lines alone, and how they are refused."""

import pytest

from scalability.errors import BadMessage
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.response_head import ResponseHead, parse_response_head

LIMITS = Limits()


def request(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bool = True) -> RequestHead:
    """A request of ``lines``, after a Host field if there is to be one."""
    return parse_request_head(b"\r\n".join([start, *([b"Host: a"] if host else []), *lines]) + b"\r\n\r\n", LIMITS)


def response(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    """An answer of ``lines``."""
    return parse_response_head(b"\r\n".join([start, *lines]) + b"\r\n\r\n", LIMITS)


def refused(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bool = True) -> int:
    """The status that such a request is refused with; it must be."""
    with pytest.raises(BadMessage) as caught:
        request(*lines, start=start, host=host)
    return caught.value.status


def refused_answer(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> str:
    """Why such an answer is refused; it must be."""
    with pytest.raises(BadMessage) as caught:
        response(*lines, start=start)
    return str(caught.value)
