"""HTTP/1.x as pure functions on bytes: heads, body framing, forwarding rules, small answers. No I/O, no time."""

from scalability.http1.answer import REASONS, simple_answer
from scalability.http1.body import BodyReader, ChunkedBody, CloseBody, LengthBody, NoBody, request_body, response_body
from scalability.http1.fields import Field
from scalability.http1.forward import (
    HOP_BY_HOP,
    LAST_CHUNK,
    ForwardedResponse,
    Framing,
    RequestForwarder,
    ResponseForwarder,
    chunk,
    end_of_chunks,
    forward_request,
    forward_response,
    forward_switch,
    forwards_left,
    upgrades_asked,
)
from scalability.http1.head_end import find_head_end
from scalability.http1.head_memo import RequestHeadMemo, ResponseHeadMemo
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.response_head import ResponseHead, parse_response_head

__all__ = [
    "DEFAULT_LIMITS",
    "HOP_BY_HOP",
    "LAST_CHUNK",
    "REASONS",
    "BodyReader",
    "ChunkedBody",
    "CloseBody",
    "Field",
    "ForwardedResponse",
    "Framing",
    "LengthBody",
    "Limits",
    "NoBody",
    "RequestForwarder",
    "RequestHead",
    "RequestHeadMemo",
    "ResponseForwarder",
    "ResponseHead",
    "ResponseHeadMemo",
    "chunk",
    "end_of_chunks",
    "find_head_end",
    "forward_request",
    "forward_response",
    "forward_switch",
    "forwards_left",
    "parse_request_head",
    "parse_response_head",
    "request_body",
    "response_body",
    "simple_answer",
    "upgrades_asked",
]
