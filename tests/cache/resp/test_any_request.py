"""Whatever is asked of the data commands has an answer, and what they hold stays within its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.resp.data_commands import FAMILIES
from scalability.testing.resp_session import RespSession

NAMES = sorted(name.encode() for family in FAMILIES for name in family.commands)

WORDS = [b"EX", b"px", b"EXAT", b"PXAT", b"NX", b"XX", b"GT", b"LT", b"GET", b"KEEPTTL", b"PERSIST", b"REPLACE", b"DB", b"MATCH", b"COUNT"]
WORDS += [b"TYPE", b"string", b"ENCODING", b"USAGE", b"SAMPLES", b"HELP", b"ASYNC", b"*", b"[", b"a*", b"\\", b"a", b"b", b"c"]
NUMBERS = [0, 1, -1, 10, 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, 9223372036854775, 1_700_000_000_000]
FLOATS = [b"1.5", b"-0", b"1e308", b"-1e-300", b"nan", b"inf", b"1e400", b".", b"0x1p3"]

words = st.sampled_from(WORDS + [b"%d" % number for number in NUMBERS] + FLOATS) | st.binary(max_size=3)
requests = st.tuples(st.sampled_from(NAMES), st.lists(words, max_size=6))


@given(st.lists(requests, min_size=1, max_size=30), st.booleans())
def test_every_request_has_an_answer(asked: list[tuple[bytes, list[bytes]]], resp3: bool) -> None:
    client = RespSession(*FAMILIES, max_bytes=10_000, max_object_bytes=1000)
    client.session.speak(3 if resp3 else 2)
    for name, arguments in asked:
        answer = client.run(name, *arguments)
        assert answer[:1] in b"+-:$*_"
        assert answer.endswith(b"\r\n")
        assert client.cache.bytes <= 10_000
        client.clock.advance(0.5)
