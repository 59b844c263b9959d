"""Requests are the same however they are cut; nothing is kept that was not sent; what is wrong ends the reading."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scalability.resp.requests import MAX_INLINE_BYTES, NO_SHAPE, OrdinaryReader, RequestParser

READER = OrdinaryReader()


def encode(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments)


def read(data: bytes, *cuts: int, **limits: int) -> tuple[list[list[bytes]], str | None]:
    """The requests in ``data``, cut at ``cuts``, and why reading ended."""
    parser = RequestParser(READER, **limits)
    requests: list[list[bytes]] = []
    places = [0, *sorted(cuts), len(data)]
    for begin, end in pairwise(places):
        if begin < end:
            requests += parser.feed(data[begin:end])
    return requests, None if parser.failed is None else str(parser.failed)


def byte_by_byte(data: bytes, **limits: int) -> tuple[list[list[bytes]], str | None]:
    return read(data, *range(len(data)), **limits)


def test_one_request() -> None:
    assert read(encode(b"GET", b"key")) == ([[b"GET", b"key"]], None)


def test_many_requests_at_once() -> None:
    requests = [[b"SET", b"key:%d" % n, b"x" * n] for n in range(100)]
    assert read(b"".join(encode(*request) for request in requests)) == (requests, None)


def test_inline_commands_and_arrays_in_turn() -> None:
    data = b"PING\r\n" + encode(b"GET", b"a") + b'set a "b c"\n\r\n\n' + encode(b"GET", b"b")
    wanted = [[b"PING"], [b"GET", b"a"], [b"set", b"a", b"b c"], [b"GET", b"b"]]
    assert read(data) == byte_by_byte(data) == (wanted, None)


@pytest.mark.parametrize("nothing", [b"*0\r\n", b"*-1\r\n", b"*-10\r\n", b"\r\n", b"\n", b"   \r\n"])
def test_an_empty_request_is_none(nothing: bytes) -> None:
    data = nothing + encode(b"PING") + nothing + encode(b"PING")
    assert read(data) == byte_by_byte(data) == ([[b"PING"], [b"PING"]], None)


def test_values_that_look_like_heads() -> None:
    requests = [[b"SET", b"*5000\r\n", b"*99999999\r\n$3\r\n"], [b"SET", b"\r\n*0\r\n", b"$-1\r\n"]]
    data = b"".join(encode(*request) for request in requests)
    for cut in range(len(data)):
        assert read(data, cut) == (requests, None)


def test_a_thousand_arguments() -> None:
    request = [b"DEL", *(b"%d" % n for n in range(5000))]
    data = encode(*request)
    assert read(data) == byte_by_byte(data) == ([request], None)


@pytest.mark.parametrize("size", [0, 1, 30])
def test_as_many_arguments_as_are_allowed(size: int) -> None:
    request = [b"DEL", *(b"%0*d" % (size, n) if size else b"" for n in range(9998))]
    data = encode(*request) + encode(b"PING")
    for cuts in (range(0), range(7, len(data), 60_000), range(0, len(data), 4001)):
        assert read(data, *cuts) == ([request, [b"PING"]], None)
    assert read(encode(*request, b"one too many")) == ([], "invalid multibulk length")


def test_a_large_value_in_pieces() -> None:
    value = bytes(range(256)) * 10_000
    data = encode(b"SET", b"key", value) + encode(b"PING")
    assert read(data, *range(0, len(data), 65_536)) == ([[b"SET", b"key", value], [b"PING"]], None)


def test_a_large_pipeline_whose_pieces_end_within_requests() -> None:
    requests = [[b"SET", b"key:%d" % n, b"x" * (n % 200)] for n in range(5000)]
    data = b"".join(encode(*request) for request in requests)
    assert read(data, *range(0, len(data), 60_000)) == (requests, None)


class Counted(OrdinaryReader):
    """How many bytes it was given."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0
        super().__init__()

    def renew(self) -> None:
        super().renew()
        begin = self.begin

        def counted(data: bytes) -> None:
            self.bytes += len(data)
            begin(data)

        self.begin = counted


def test_what_follows_a_request_that_came_in_pieces_is_ordinary_again() -> None:
    data = b"".join(encode(b"GET", b"key:%d" % n) for n in range(10_000))
    reader = Counted()
    parser = RequestParser(reader)
    requests = [request for at in range(0, len(data), 60_000) for request in parser.feed(data[at : at + 60_000])]
    assert requests == [[b"GET", b"key:%d" % n] for n in range(10_000)]
    assert reader.bytes > 0.99 * len(data)


@pytest.mark.parametrize("odd", [b"*1\r\n:5\r\n", b"PING\r\n", b"*0\r\n", b"*1000\r\n$1\r\na\r\n"])
def test_what_follows_a_request_that_came_in_pieces_may_be_odd(odd: bytes) -> None:
    first = encode(b"GET", b"a")
    data = first + odd + encode(b"GET", b"b")
    assert read(data, 5) == read(data) == byte_by_byte(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"*2\r\n:5\r\n", "expected '$', got ':'"),
        (b"*2\r\n$3\r\nGET\r\n:5\r\n", "expected '$', got ':'"),
        (b"*3\r\n$3\r\nGET\r\n+OK\r\n*", "expected '$', got '+'"),
        (b"*2\r\n*2\r\n", "expected '$', got '*'"),
        (b"*1\r\n" * 10_000, "expected '$', got '*'"),
        (b"*1\r\n\x00", "expected '$', got '\\x00'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"*1\r\n$003\r\nfoo\r\n", "invalid bulk length"),
        (b"*1\r\n$+3\r\nfoo\r\n", "invalid bulk length"),
        (b"*1\r\n$ 3\r\nfoo\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$3x\r\nfoo\r\n", "invalid bulk length"),
        (b"*1\r\n$9999999999999999999999\r\n", "invalid bulk length"),
        (b"*1\r\n$1073741824\r\n", "invalid bulk length"),
        (b"*500000000\r\n", "invalid multibulk length"),
        (b"*2000000000\r\n", "invalid multibulk length"),
        (b"*10000\r\n", "invalid multibulk length"),
        (b"*65537\r\n", "invalid multibulk length"),
        (b"*abc\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*" + b"1" * 40, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 40, "too big bulk count string"),
        (b'get "a\r\n', "unbalanced quotes in request"),
        (b"a" * (MAX_INLINE_BYTES + 1), "too big inline request"),
    ],
)
def test_what_is_no_request(data: bytes, why: str) -> None:
    before = encode(b"PING")
    assert read(before + data) == ([[b"PING"]], why)
    assert byte_by_byte(before + data) == ([[b"PING"]], why)
    assert read(data, 1) == ([], why)


OTHER_TYPES = [b"%1\r\n$1\r\na\r\n$1\r\nb\r\n", b"~1\r\n$1\r\na\r\n", b"_\r\n", b"#t\r\n", b",1\r\n", b"-ERR\r\n"]


@pytest.mark.parametrize("data", [b"*1\r\n" + other for other in OTHER_TYPES])
def test_other_types_of_resp3_are_no_arguments(data: bytes) -> None:
    for whole in (data, encode(b"GET", b"a") + data):
        requests, why = read(whole)
        assert requests == ([] if whole is data else [[b"GET", b"a"]])
        assert why is not None


def test_a_map_where_a_request_should_be_is_an_inline_command() -> None:
    assert read(encode(b"PING") + b"%1\r\n$1\r\n") == ([[b"PING"], [b"%1"], [b"$1"]], None)


def test_after_a_failure_nothing_is_read() -> None:
    parser = RequestParser(READER)
    parser.feed(b"*x\r\n")
    assert parser.feed(encode(b"PING")) == []
    assert parser.held_bytes == 0


def test_limits() -> None:
    assert read(b"*11\r\n", max_arguments=10) == ([], "invalid multibulk length")
    assert read(b" ".join([b"a"] * 11) + b"\r\n", max_arguments=10) == ([], "invalid multibulk length")
    assert read(b"*2\r\n$3\r\nSET\r\n$100", 12, max_bulk_bytes=99) == ([], None)
    assert read(b"*2\r\n$3\r\nSET\r\n$100\r\n", 12, max_bulk_bytes=99) == ([], "invalid bulk length")
    several = encode(b"MSET", *([b"x" * 100] * 100))
    assert read(several, 20, max_request_bytes=10_000) == ([], "invalid bulk length")
    assert read(several, 20, max_request_bytes=20_000)[1] is None


def test_no_memory_for_what_is_only_announced() -> None:
    tracemalloc.start()
    parsers = [RequestParser(READER) for _ in range(100)]
    for parser in parsers:
        parser.feed(b"*65536\r\n$4\r\nMSET\r\n$536870912\r\nabc")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


CONFUSING = [b"\r\n", b"*1000\r\n", b"*0\r\n", b"$1\r\n"]
arguments = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(CONFUSING)), min_size=1, max_size=5)


@given(st.lists(arguments, min_size=1, max_size=8), st.lists(st.integers(0, 300), max_size=4))
def test_requests_come_back_however_they_are_cut(requests: list[list[bytes]], cuts: list[int]) -> None:
    data = b"".join(encode(*request) for request in requests)
    assert read(data, *(cut for cut in cuts if cut < len(data))) == (requests, None)


short = st.sampled_from([b"a", b"b", b"aa", b"\r\n", b"ab", b"$1", b"$1\r\n", b"aaaaa"])
alike = st.lists(
    st.one_of(st.tuples(st.sampled_from([b"GET", b"DEL", b"g"]), short), st.tuples(st.just(b"SET"), short, short)).map(list), max_size=12
)


@settings(max_examples=300)
@given(alike, st.data())
def test_requests_that_are_like_the_last_are_read_as_any(requests: list[list[bytes]], data: st.DataObject) -> None:
    parser = RequestParser(READER)
    for request in [request for request in requests for _ in range(2)]:
        coded = encode(*request)
        cut = data.draw(st.sampled_from([0, 0, 0, 4, len(coded) - 3]))
        assert [*(parser.feed(coded[:cut]) if cut else []), *parser.feed(coded[cut:])] == [request]


class Reluctant(OrdinaryReader):
    """Reads ``most`` chunks."""

    __slots__ = ()

    def __init__(self, most: int) -> None:
        super().__init__()
        begin, left = self.begin, iter(range(most))

        def once_more(data: bytes) -> None:
            next(left)
            begin(data)

        self.begin = once_more


def test_a_request_like_the_last_is_known() -> None:
    parser = RequestParser(Reluctant(2))
    for key in (b"aa", b"bb", b"cc", b"dd"):
        assert parser.feed(encode(b"GET", key)) == [[b"GET", key]]
    for other in (encode(b"GET", b"ccc"), encode(b"DEL", b"cc")):
        with pytest.raises(StopIteration):
            parser.feed(other)


def test_the_shape_of_the_last_request_is_no_excuse() -> None:
    parser = RequestParser(Reluctant(3))
    for key in (b"aa", b"bb", b"cc"):
        assert parser.feed(encode(b"SET", key, b"12345")) == [[b"SET", key, b"12345"]]
    other = b"*3\r\n$3\r\nSET\r\n$2\r\ncc\r\n:5\r\n12345\r\n"
    assert len(other) == len(encode(b"SET", b"cc", b"12345"))
    assert parser.feed(other) == []
    assert str(parser.failed) == "expected '$', got ':'"
    assert parser.shape is NO_SHAPE
    assert parser.feed(encode(b"SET", b"dd", b"12345")) == []


pieces = st.one_of(
    arguments.map(lambda request: encode(*request)),
    st.sampled_from([b"*0\r\n", b"*-1\r\n", b"*2\r\n", b"*1\r\n", b"$3\r\nGET\r\n", b"PING\r\n", b"$-1\r\n", b":1\r\n", b"%1\r\n"]),
    st.binary(max_size=6),
)


@settings(max_examples=300)
@given(st.lists(pieces, max_size=6).map(b"".join), st.lists(st.integers(0, 200), max_size=3))
def test_what_is_read_does_not_depend_on_the_cuts(data: bytes, cuts: list[int]) -> None:
    assume(b"+" not in data and b"=" not in data)  # see the module's own words
    assert read(data, *(cut for cut in cuts if cut < len(data))) == byte_by_byte(data)


def test_a_simple_string_in_a_whole_request_is_taken_for_a_bulk_string() -> None:
    assert read(b"*2\r\n+GET\r\n$1\r\na\r\n") == ([[b"GET", b"a"]], None)
    assert read(b"*2\r\n+GET\r\n$1\r\na\r\n*1\r\n$9\r\n") == ([], "expected '$', got '+'")
