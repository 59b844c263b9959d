"""What a memo answers is what parsing anew does, whatever came before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import BadMessage
from scalability.http1.head_end import find_head_end
from scalability.http1.head_memo import MEMO_BYTES, RequestHeadMemo, ResponseHeadMemo
from scalability.http1.known_heads import KnownHeads
from scalability.http1.request_head import parse_request_head
from scalability.http1.response_head import parse_response_head
from scalability.testing.heads import LIMITS

HEAD = b"GET /path HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"
LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET /b HTTP/1.1",
        b"GET / HTTP/1.0",
        b"HEAD http://x/y HTTP/1.1",
        b"POST / HTTP/2.0",
        b"CONNECT a:1 HTTP/1.1",
        b"\r\nGET /c HTTP/1.1",
    ]
)
FIELDS = st.lists(
    st.sampled_from(
        [
            b"Host: a",
            b"Host: b",
            b"Connection: close",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"X: y",
            b"X_Y: z",
            b"A:b ",
            b"bad",
            b"Expect: 100-continue",
        ]
    ),
    max_size=4,
)
NAMES = st.sampled_from(
    [
        [],
        [b"X-Request-Id: " + b"0a" * 16, b"traceparent: 00-" + b"0a" * 16 + b"-" + b"1" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0b" * 16, b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0B" * 16, b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0c" * 15, b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0d" * 16 + b"\n", b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
    ]
)
"""What a balancer in front of us puts at the end, and what resembles it."""
BLOCKS = st.builds(lambda line, fields, names: b"\r\n".join([line, *fields, *names]) + b"\r\n\r\n", LINES, FIELDS, NAMES)


def meaning(parse: object, block: bytes) -> object:
    try:
        head = parse(block)  # type: ignore[operator]  # any of the four ways to parse
    except BadMessage as error:
        return error.status, error.code, str(error)
    names = {name for kind in type(head).__mro__ for name, value in vars(kind).items() if not callable(value) and name[0] != "_"}
    return {name: getattr(head, name) for name in names - {"shared"}}


@given(st.lists(BLOCKS, max_size=8))
def test_a_memo_answers_what_parsing_anew_does(blocks: list[bytes]) -> None:
    memo = RequestHeadMemo(LIMITS)
    for block in blocks:
        assert meaning(memo.parse, block) == meaning(lambda b: parse_request_head(b, LIMITS), block)


@given(st.lists(st.tuples(st.integers(0, 2), BLOCKS), max_size=12))
def test_memos_that_share_what_is_known_answer_what_parsing_anew_does(turns: list[tuple[int, bytes]]) -> None:
    known = KnownHeads()
    memos = [RequestHeadMemo(LIMITS, known) for _ in range(3)]
    for which, block in turns:
        memo = memos[which]
        wanted = meaning(lambda b: parse_request_head(b, LIMITS), block)
        end = memo.find(block) if isinstance(wanted, dict) else 0
        assert end in (0, len(block))
        assert meaning(memo.parse, block) == wanted
        if end:
            assert meaning(lambda _, head=memo.head: head, b"") == wanted


def test_another_connections_request_line_does_not_move_where_this_ones_fields_begin() -> None:
    known = KnownHeads()
    one, other = RequestHeadMemo(LIMITS, known), RequestHeadMemo(LIMITS, known)
    for memo in (one, other):
        memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
    longer = b"GET /a/much/longer HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
    assert other.find(longer) == len(longer)
    # with the other's place, the last field alone would be compared
    assert one.find(b"GET /b HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n") == 0
    assert one.find(b"GET /b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n") > 0
    assert [memo.head.fields for memo in (one, other)] == [((b"Host", b"a"), (b"X", b"y"))] * 2


def test_connections_that_send_the_same_head_keep_it_once() -> None:
    known = KnownHeads()
    one, other = RequestHeadMemo(LIMITS, known), RequestHeadMemo(LIMITS, known)
    first = one.parse(bytes(bytearray(HEAD)))
    assert other.parse(bytes(bytearray(HEAD))) is first
    assert other.block is one.block
    # of another version nothing is taken
    assert RequestHeadMemo(LIMITS, known).parse(HEAD.replace(b"1.1", b"1.0")).shared is not first.shared
    # and with the names that our balancer gives, nothing is kept: nobody sends them again
    named_head = named(b"/a", 1)
    assert one.parse(named_head).shared is not other.parse(named_head).shared


@given(st.lists(BLOCKS, max_size=8), st.binary(max_size=8))
def test_what_a_memo_finds_is_what_a_search_and_parsing_anew_find(blocks: list[bytes], following: bytes) -> None:
    memo = RequestHeadMemo(LIMITS)

    def found(data: bytes) -> object:
        end = memo.find(data)
        if not end:
            end = find_head_end(data, 0, LIMITS)
            return meaning(memo.parse, data[:end]), end
        return meaning(lambda _: memo.head, data), end

    for block in blocks:
        data = block + following
        try:
            end = find_head_end(data, 0, LIMITS)
        except BadMessage:
            assert not memo.find(data)
            continue
        wanted = meaning(lambda b: parse_request_head(b, LIMITS), data[:end])
        if isinstance(wanted, tuple):
            # refused: by the memo itself, or by parsing what it does not find
            with pytest.raises(BadMessage) as refused:
                memo.parse(data[: memo.find(data) or end])
            assert (refused.value.status, refused.value.code, str(refused.value)) == wanted
        else:
            assert found(data) == (wanted, end)


def test_a_memo_finds_a_head_with_another_request_line_and_what_follows_stays() -> None:
    memo = RequestHeadMemo(LIMITS)
    assert memo.find(HEAD) == 0
    memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    data = b"POST /b HTTP/1.1\r\nHost: a\r\n\r\nGET /"
    assert memo.find(data) == len(data) - 5
    assert (memo.head.method, memo.head.target) == (b"POST", b"/b")
    for other in (b"GET /a HTTP/1.0", b"GET /a HTTP/2.0", b"GET  /a HTTP/1.1", b"", b"\r", b"GET /" + b"a" * 9000 + b" HTTP/1.1"):
        assert memo.find(other + b"\r\nHost: a\r\n\r\n") == 0
    for cut in range(len(data) - 5):
        assert memo.find(data[:cut]) == 0


def test_a_memo_hands_out_the_same_fields_while_only_the_request_line_changes() -> None:
    memo = RequestHeadMemo(LIMITS)
    first = memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    second = memo.parse(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
    assert second.target == b"/b"
    assert second.fields is first.fields
    assert memo.parse(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n") is second


def named(target: bytes, number: int, *fields: bytes) -> bytes:
    names = [b"X-Request-Id: %032x" % number, b"traceparent: 00-%032x-%016x-01" % (number, number)]
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: a", *fields, *names, b"", b""])


def test_a_memo_finds_a_head_with_other_names_at_its_end_and_parses_it_when_asked() -> None:
    memo = RequestHeadMemo(LIMITS)
    first = memo.parse(named(b"/a", 1))
    for number, fields in ((2, ()), (3, (b"X-Request-Id: mine", b"traceparent: mine"))):
        memo.parse(named(b"/a", 1, *fields))
        data = named(b"/a", number, *fields)
        assert memo.find(data + b"GET") == len(data)
        assert memo.head.shared is not first.shared
        assert meaning(lambda _: memo.head, b"") == meaning(lambda b: parse_request_head(b, LIMITS), data)
    # and after another request line too
    assert memo.find(named(b"/b/longer", 3, b"X-Request-Id: mine", b"traceparent: mine")) > 0
    data = named(b"/b/longer", 4, b"X-Request-Id: mine", b"traceparent: mine")
    assert memo.find(data) == len(data)
    assert memo.head.get_all(b"x-request-id") == [b"mine", b"%032x" % 4]
    assert first.get(b"x-request-id") == b"%032x" % 1
    for cut in range(len(data)):
        assert memo.find(data[:cut]) == 0


def test_fields_that_were_forgotten_are_read_again_from_the_bytes() -> None:
    memo = RequestHeadMemo(LIMITS)
    first = memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\n")
    before = meaning(lambda _: first, b"")
    first.shared.forget()
    memo.parse(b"GET /a/longer/one HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\n")
    assert meaning(lambda _: first, b"") == before
    assert first.get_all(b"x") == [b"1", b"2"]


def test_a_head_of_unusual_size_is_parsed_and_not_remembered() -> None:
    memo = RequestHeadMemo(LIMITS)
    small = memo.parse(HEAD)
    large = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"x" * MEMO_BYTES + b"\r\n\r\n"
    assert memo.parse(large) is not memo.parse(large)
    assert memo.parse(large).get(b"cookie") == b"x" * MEMO_BYTES
    assert memo.parse(HEAD) is small
    answers = ResponseHeadMemo(LIMITS)
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"x" * MEMO_BYTES + b"\r\n\r\n"
    assert answers.parse(answer) is not answers.parse(answer)


ANSWERS = st.builds(
    lambda line, fields: b"\r\n".join([line, *fields]) + b"\r\n\r\n",
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.0 200 OK", b"HTTP/3.0 200 OK"]),
    st.lists(
        st.sampled_from([b"Content-Length: 5", b"Connection: close", b"Transfer-Encoding: chunked", b"X: y", b" z", b"bad", b"Date : now"]),
        max_size=4,
    ),
)


@given(st.lists(ANSWERS, max_size=8))
def test_a_memo_of_answers_answers_what_parsing_anew_does(blocks: list[bytes]) -> None:
    memo = ResponseHeadMemo(LIMITS)
    for block in [twice for one in blocks for twice in (one, one)]:
        assert meaning(memo.parse, block) == meaning(lambda b: parse_response_head(b, LIMITS), block)
        if memo.find(block + b"rest"):
            assert memo.find(block + b"rest") == len(block)
            assert meaning(lambda _: memo.head, block) == meaning(lambda b: parse_response_head(b, LIMITS), block)
            assert memo.find(block[:-1]) == 0
