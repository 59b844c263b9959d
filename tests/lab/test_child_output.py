"""Children's output in lines."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.lab.child_output import Lines


def test_each_line_comes_out_once_it_is_complete() -> None:
    lines = Lines()
    assert lines.feed(b"one\ntwo\nthr") == ["one", "two"]
    assert lines.feed(b"ee\r\n\n") == ["three", ""]
    assert lines.end() == []


def test_a_line_that_is_never_finished_comes_out_at_the_end() -> None:
    lines = Lines()
    assert lines.feed(b"half a li") == []
    assert lines.end() == ["half a li"]
    assert lines.end() == []


def test_a_very_long_line_is_cut_and_never_held_whole() -> None:
    lines = Lines(limit=10)
    assert lines.feed(b"a" * 25) == ["a" * 10 + " ...", "a" * 10 + " ..."]
    assert lines.feed(b"b\nc\n") == ["aaaaab", "c"]
    assert lines.feed(b"d" * 11 + b"\n") == ["d" * 10 + " ...", "d"]


def test_bytes_that_are_not_utf8_and_what_a_terminal_would_act_on_are_shown() -> None:
    assert Lines().feed(b"\xff caf\xc3\xa9 \x1b[2J\x00\tx\n") == ["\\xff café \\x1b[2J\\x00\tx"]


def test_a_character_split_between_two_reads_is_whole() -> None:
    lines = Lines()
    assert lines.feed(b"caf\xc3") == []
    assert lines.feed(b"\xa9\n") == ["café"]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_any_split_of_the_bytes_gives_the_same_text(data: bytes, cuts: list[int]) -> None:
    whole = Lines(limit=1000)
    expected = whole.feed(data) + whole.end()
    split, found, last = Lines(limit=1000), [], 0
    for cut in sorted(min(cut, len(data)) for cut in cuts):
        found += split.feed(data[last:cut])
        last = cut
    found += split.feed(data[last:])
    found += split.end()
    assert found == expected
