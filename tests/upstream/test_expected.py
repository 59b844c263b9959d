"""Statuses and bodies that let a check pass, and how each is written."""

from collections.abc import Callable

import pytest

from scalability.upstream.expected import FIRST_PART_CHARS, BodyPattern, PatternTooSlow, Statuses


@pytest.mark.parametrize(
    ("text", "passing", "failing"),
    [
        ("200-399", (200, 204, 301, 399), (400, 404, 500, 503)),
        ("200,204,300-399", (200, 204, 300, 399), (201, 203, 205, 299, 400)),
        ("401", (401,), (200, 400, 402)),
        ("200-200", (200,), (201,)),
    ],
)
def test_statuses_are_single_ones_and_ranges(text: str, passing: tuple[int, ...], failing: tuple[int, ...]) -> None:
    statuses = Statuses.parse(text)
    assert all(map(statuses.include, passing))
    assert not any(map(statuses.include, failing))


def test_without_a_word_statuses_from_200_to_399_pass() -> None:
    assert Statuses() == Statuses.parse("200-399")


@pytest.mark.parametrize(("text", "written"), [("200-399", "200-399"), ("200,204,300-399", "200,204,300-399"), ("200-200", "200")])
def test_statuses_are_written_as_they_are_read(text: str, written: str) -> None:
    assert str(Statuses.parse(text)) == written


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither a status"),
        ("ok", "neither a status"),
        ("200,", "neither a status"),
        ("2xx", "neither a status"),
        ("100", "neither a status"),
        ("200-600", "neither a status"),
        ("200-", "neither a status"),
        ("-300", "neither a status"),
        ("200 204", "neither a status"),
        ("200-300-400", "neither a status"),
        ("\u0662\u0660\u0660", "neither a status"),
        ("300-200", "no status in it"),
    ],
)
def test_other_words_are_no_statuses(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Statuses.parse(text)


def still() -> float:
    return 0.0


@pytest.mark.parametrize(
    ("pattern", "body", "found"),
    [
        ("ok", b'{"status": "ok"}', True),
        ("^ok$", b'{"status": "ok"}', False),
        ('"status": *"(ok|fine)"', b'{"status":  "fine"}', True),
        ("ok", b"", False),
        ("gr\u00fc[\u00df]", "ein gr\u00fc\u00df".encode(), True),
        ("ok", b"\xff\xfe ok", True),
        ("^(?!.*error)", b"all is well", True),
        ("^(?!.*error)", b"an error", False),
    ],
)
def test_a_pattern_is_searched_in_the_whole_body(pattern: str, body: bytes, found: bool) -> None:
    assert BodyPattern.parse(pattern).found_in(body, still) is found


def test_a_match_may_stand_anywhere_in_a_long_body() -> None:
    body = b"." * (60 * FIRST_PART_CHARS) + b"ok"
    assert BodyPattern.parse("ok$").found_in(body, still)
    assert not BodyPattern.parse("^ok").found_in(body, still)


def clock_of(*passing_s: float) -> Callable[[], float]:
    """A clock by which the searches take so long."""
    times = [0.0]
    for taken_s in passing_s:
        times += [times[-1], times[-1] + taken_s]
    return iter(times[1:]).__next__


def test_a_search_that_is_slow_in_a_part_is_not_tried_on_the_rest() -> None:
    body = b"x" * (20 * FIRST_PART_CHARS)
    pattern = BodyPattern.parse("ok")
    assert not pattern.found_in(body, clock_of(0.004, 0.004, 0.004))
    with pytest.raises(PatternTooSlow):
        pattern.found_in(body, clock_of(0.001, 0.006))


@pytest.mark.parametrize("text", ["(a+)+b", "(a*)*", "(?:x(?:a|b+)*)+", "((a{2,})b)+", "(?=a+)*", r"(\d+\.)+", "(a+?)*?"])
def test_a_repeat_within_a_repeat_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="repeat within a repeat"):
        BodyPattern.parse(text)


@pytest.mark.parametrize("text", ["a+b+", "(ab)+", "(a{1,9})+", "(a?b)*", "(?>a+)+", "(a++b)+", r"(\d++\.)+", "(x|y)(z+)", "(?i)OK"])
def test_other_repeats_are_taken(text: str) -> None:
    assert str(BodyPattern.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "why"), [("(", "not a regular expression"), ("[z-a]", "bad character range"), ("a" * 1001, "1000 characters")]
)
def test_what_is_no_pattern_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        BodyPattern.parse(text)
