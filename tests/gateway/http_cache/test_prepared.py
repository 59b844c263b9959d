"""Answers that are ready to be sent: how long they hold, and how many there may be."""

from scalability.gateway.http_cache.outside import Outside
from scalability.gateway.http_cache.prepared import OVERHEAD_BYTES, Prepared, PreparedAnswers, changes_after
from scalability.gateway.http_cache.stored import StoredAnswer

NOW = 1e9


def test_what_is_prepared_holds_until_its_age_or_its_rest_changes() -> None:
    stored = StoredAnswer(status=200, reason=b"OK", fields=(), body=b"", response_time_s=NOW, initial_age_s=0.25, lifetime_s=10.5)
    prepared = Prepared.of(200, b"x", stored, NOW)
    # the age is 0.25 and turns 1 in 0.75 s; what is left is 10.25 and turns 9.99 in 0.25 s
    assert abs(prepared.until_s - (NOW + 0.25)) < 0.001
    assert changes_after(stored, NOW + 0.3) < NOW + 0.75


def test_beyond_the_bound_the_oldest_are_emptied_wherever_they_are_known() -> None:
    outside = Outside(0)
    answers = PreparedAnswers(outside, 3 * (OVERHEAD_BYTES + 10))
    made = [Prepared(200, b"x" * 10, NOW, NOW + 1) for _ in range(5)]
    for prepared in made:
        answers.keep(prepared, NOW)
        assert outside.prepared_bytes <= answers.max_bytes
    assert [prepared.block for prepared in made] == [b"", b"", *[b"x" * 10] * 3]
    assert not made[0].from_s <= NOW < made[0].until_s
    assert len(answers) == 3


def test_one_that_is_larger_than_the_bound_is_sent_and_then_goes() -> None:
    outside = Outside(0)
    answers = PreparedAnswers(outside, 100)
    large, other = [Prepared(200, b"x" * 1000, NOW, NOW + 1) for _ in range(2)]
    answers.keep(large, NOW)
    assert large.block
    answers.keep(other, NOW)
    assert (large.block, len(answers)) == (b"", 1)
    assert outside.prepared_bytes == 1000 + OVERHEAD_BYTES


def test_what_holds_no_more_goes_and_so_it_does_when_the_clock_was_set_back() -> None:
    outside = Outside(0)
    answers = PreparedAnswers(outside, 1_000_000)
    answers.keep(Prepared(200, b"x", NOW, NOW + 0.5), NOW)
    answers.sweep(NOW + 0.4)
    assert len(answers) == 1
    answers.keep(Prepared(200, b"x", NOW + 0.6, NOW + 1.5), NOW + 0.6)
    assert len(answers) == 1
    answers.sweep(NOW - 3600)
    assert (len(answers), outside.prepared_bytes) == (0, 0)
