"""HTTP/1.x as pure functions on bytes: heads, body framing, forwarding rules, small answers. No I/O, no time."""

from scalability.http1.answer import REASONS, simple_answer
from scalability.http1.body import BodyReader, ChunkedBody, CloseBody, LengthBody, NoBody, request_body, response_body
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
    forwards_left,
)
from scalability.http1.head import (
    Field,
    RequestHead,
    RequestHeadMemo,
    ResponseHead,
    ResponseHeadMemo,
    find_head_end,
    parse_request_head,
    parse_response_head,
)
from scalability.http1.limits import DEFAULT_LIMITS, Limits

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
    "forwards_left",
    "parse_request_head",
    "parse_response_head",
    "request_body",
    "response_body",
    "simple_answer",
]
