"""h11 as the oracle: whatever we accept, h11 accepts with the same meaning; whatever we forward, h11 understands.

We may refuse what h11 takes (it is the milder parser); we may never take what it refuses, nor read it differently.
The inputs are messages made of tricky parts, with octets replaced, removed, doubled and inserted at random.
"""

import re

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.errors import BadMessage
from scalability.http1 import (
    BodyReader,
    Framing,
    Limits,
    RequestHead,
    ResponseHead,
    chunk,
    end_of_chunks,
    find_head_end,
    forward_request,
    forward_response,
    parse_request_head,
    parse_response_head,
    request_body,
    response_body,
)

LIMITS = Limits(underscore_names=True)  # h11 drops none
ODD = [b"\r", b"\n", b"\r\n", b"\x00", b"\x0b", b" ", b"\t", b":", b",", b";", b"_", b"0", b"5", b"x", b"\xa0", b"\x85", b"#", b"\x7f"]

FIELD_LINES = st.sampled_from(
    [
        b"Host: a",
        b"Host: [::1]:80",
        b"host:b ",
        b"Content-Length: 5",
        b"Content-Length: 5, 5",
        b"content-length:\t5\t",
        b"Content-Length: 05",
        b"Content-Length: 6",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: CHUNKED",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding : chunked",
        b"Connection: close",
        b"Connection: keep-alive, X-A",
        b"X-A:",
        b"X-A: one two",
        b"X_A: b",
        b" folded",
        b"Expect: 100-continue",
        b"Upgrade: websocket",
        b"Via: 1.1 x",
        b"TE: trailers",
        b"Max-Forwards: 5",
    ]
)
BODIES = st.sampled_from(
    [
        b"",
        b"hello",
        b"helloGET / HTTP/1.1\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;a=b\r\nhello\r\n0\r\n\r\nGET /",
        b"3\r\nhel\r\n02\r\nlo\r\n000\r\nX-T: y\r\n\r\n",
        b"A\r\n0123456789\r\n0\r\nX-T: y\r\nX-T: z\r\n\r\nrest",
        b"0\r\n\r\n",
    ]
)


def messages(start_lines: st.SearchStrategy[bytes], common: list[bytes]) -> st.SearchStrategy[bytes]:
    lines = st.one_of(st.lists(FIELD_LINES, max_size=4).map(lambda found: [*common, *found]), st.lists(FIELD_LINES, max_size=4))
    whole = st.builds(lambda start, fields, body: b"\r\n".join([start, *fields]) + b"\r\n\r\n" + body, start_lines, lines, BODIES)
    edits = st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(["cut", "double", "insert", "replace"]), st.sampled_from(ODD)), max_size=2
    )
    return st.one_of(whole, st.builds(edited, whole, edits))


def edited(message: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for at, kind, odd in edits:
        at %= len(message) + 1
        match kind:
            case "cut":
                message = message[:at] + message[at + 1 :]
            case "double":
                message = message[: at + 1] + message[at:]
            case "insert":
                message = message[:at] + odd + message[at:]
            case _:
                message = message[:at] + odd + message[at + 1 :]
    return message


REQUESTS = messages(
    st.sampled_from(
        [
            b"GET / HTTP/1.1",
            b"POST /a?b=%zz HTTP/1.1",
            b"GET http://c:1/d HTTP/1.1",
            b"OPTIONS * HTTP/1.1",
            b"POST / HTTP/1.0",
            b"HEAD / HTTP/1.1",
        ]
    ),
    [b"Host: a"],
)
ANSWERS = messages(
    st.sampled_from(
        [b"HTTP/1.1 200 OK", b"HTTP/1.1 404", b"HTTP/1.0 200 Fine", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 N", b"HTTP/1.1 500 "]
    ),
    [],
)


def body_of(reader: BodyReader, data: bytes, *, eof: bool = False) -> tuple[bytes, bytes, bool]:
    """Payload, rest, complete."""
    payload, rest = reader.feed(data)
    if eof and not reader.complete:
        try:
            reader.eof()
        except BadMessage:
            return payload, rest, False
    return payload, rest, reader.complete


def ours(message: bytes) -> tuple[RequestHead, bytes, bytes, bool] | None:
    """Head, payload, rest and completeness of a request; None when it is refused or its head unfinished."""
    try:
        end = find_head_end(message, 0, LIMITS)
        if end < 0:
            return None
        head = parse_request_head(message[:end], LIMITS)
        return head, *body_of(request_body(head, LIMITS), message[end:])
    except BadMessage:
        return None


def events_of(connection: h11.Connection, data: bytes) -> tuple[h11.Request | h11.Response, bytes, h11.EndOfMessage | None]:
    connection.receive_data(data)
    head = connection.next_event()
    assert isinstance(head, h11.Request | h11.Response), head
    payload = b""
    while isinstance(event := connection.next_event(), h11.Data):
        payload += bytes(event.data)
    return head, payload, event if isinstance(event, h11.EndOfMessage) else None


def lowered(fields: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in fields]


def unframed(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11 merges equal lengths and lower-cases chunked: their meaning is compared by the body. It keeps blanks before a fold."""
    return [(name, re.sub(rb"[ \t]+", b" ", value)) for name, value in fields if name not in (b"content-length", b"transfer-encoding")]


@settings(max_examples=400)
@given(REQUESTS)
def test_whatever_request_we_accept_h11_accepts_with_the_same_meaning(message: bytes) -> None:
    result = ours(message)
    if result is None:
        return
    head, payload, rest, complete = result
    connection = h11.Connection(h11.SERVER)
    theirs, their_payload, end = events_of(connection, message.removeprefix(b"\r\n"))
    assert isinstance(theirs, h11.Request)
    assert theirs.method == head.method
    assert bytes(theirs.target).endswith(head.target) or head.target in (b"/", b"*")
    assert theirs.http_version == b"1.%d" % head.minor
    assert unframed(list(theirs.headers)) == unframed(lowered(head.fields))
    assert their_payload == payload
    assert (end is not None) == complete
    if end is not None:
        assert connection.trailing_data[0] == rest
        if head.minor and head.get(b"upgrade") is None:  # h11 waits for a decision about an upgrade
            assert (connection.their_state is h11.DONE) == head.keep_alive


@settings(max_examples=400)
@given(ANSWERS, st.sampled_from(["GET", "HEAD"]))
def test_whatever_answer_we_accept_h11_accepts_with_the_same_meaning(message: bytes, method: str) -> None:
    try:
        end = find_head_end(message, 0, LIMITS)
        if end < 0:
            return
        head = parse_response_head(message[:end], LIMITS)
        reader = response_body(head, method.encode(), LIMITS)
        payload, rest, complete = body_of(reader, message[end:], eof=True)
    except BadMessage:
        return
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    # h11 takes no white space before a colon, which RFC 9112 section 5.1 has a proxy remove from answers
    mended = re.sub(rb"(\r\n[^\s:]+)[ \t]+:", rb"\1:", message[:end]) + message[end:]
    theirs, their_payload, ended = events_of(connection, mended)
    assert isinstance(theirs, h11.Response)
    assert theirs.status_code == head.status
    assert unframed(list(theirs.headers)) == unframed(lowered(head.fields))
    assert their_payload == payload
    if reader.reusable:
        assert (ended is not None) == complete
        if complete:
            assert connection.trailing_data[0] == rest


@settings(max_examples=300)
@given(REQUESTS, st.booleans())
def test_whatever_request_we_forward_reads_back_strictly_with_the_same_meaning(message: bytes, trusted: bool) -> None:
    result = ours(message)
    if result is None or not result[3]:
        return
    head, payload, _, _ = result
    forwarded = forward_request(head, peer_host=b"1.2.3.4", scheme=b"http", via=b"lab", trusted=trusted)
    forwarded += chunk(payload) + end_of_chunks(()) if head.chunked else payload
    again = ours(forwarded)
    assert again is not None
    assert (again[0].method, again[0].target, again[0].host) == (head.method, head.target, head.host)
    assert again[1:] == (payload, b"", True)
    assert again[0].keep_alive
    connection = h11.Connection(h11.SERVER)
    theirs, their_payload, end = events_of(connection, forwarded)
    assert isinstance(theirs, h11.Request)
    assert (theirs.target, their_payload, end is not None) == (head.target, payload, True)


@settings(max_examples=300)
@given(ANSWERS, st.sampled_from(["GET", "HEAD"]), st.integers(0, 1), st.booleans())
def test_whatever_answer_we_forward_reads_back_strictly_with_the_same_payload(
    message: bytes, method: str, minor: int, keep_alive: bool
) -> None:
    try:
        end = find_head_end(message, 0, LIMITS)
        if end < 0:
            return
        head: ResponseHead = parse_response_head(message[:end], LIMITS)
        payload, _, complete = body_of(response_body(head, method.encode(), LIMITS), message[end:], eof=True)
    except BadMessage:
        return
    if not complete:
        return
    answer = forward_response(head, client_minor=minor, client_keep_alive=keep_alive, request_method=method.encode(), via=b"lab")
    data = answer.head
    match answer.framing:
        case Framing.CHUNKED:
            data += chunk(payload) + end_of_chunks(())
        case Framing.LENGTH | Framing.CLOSE:
            data += payload
        case Framing.NONE:
            assert payload == b""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    theirs, their_payload, ended = events_of(connection, data)
    assert isinstance(theirs, h11.Response)
    assert their_payload == payload
    if answer.framing is not Framing.CLOSE:
        assert ended is not None
        assert connection.trailing_data[0] == b""
        assert (connection.their_state is h11.DONE) == answer.keep_alive


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), REQUESTS, ANSWERS))
def test_no_bytes_raise_anything_but_a_bad_message(data: bytes) -> None:
    refusals = []
    for parse in (lambda: ours(data), lambda: parse_request_head(data, LIMITS), lambda: parse_response_head(data, LIMITS)):
        try:
            parse()
        except BadMessage as error:
            refusals.append(error)
    for refusal in refusals:
        assert 400 <= refusal.status <= 505
        assert str(refusal)[0].isupper()
        assert str(refusal).endswith(".")


@settings(max_examples=300)
@given(REQUESTS)
def test_a_request_means_the_same_however_it_arrives(message: bytes) -> None:
    """Byte by byte, heads and bodies give the same verdict as in one piece."""
    whole = ours(message)
    try:
        buffer = bytearray()
        end = -1
        taken = 0
        for taken in range(1, len(message) + 1):
            buffer += message[taken - 1 : taken]
            end = find_head_end(buffer, 0, LIMITS, scanned=taken - 1)
            if end >= 0:
                break
        if end < 0:
            assert whole is None
            return
        head = parse_request_head(bytes(buffer), LIMITS)
        reader = request_body(head, LIMITS)
        payload = rest = b""
        for at in range(taken, len(message)):
            more, after = reader.feed(message[at : at + 1])
            payload += more
            rest += after
    except BadMessage:
        assert whole is None
        return
    assert whole is not None
    assert whole[0].fields == head.fields
    assert whole[1:] == (payload, rest, reader.complete)
