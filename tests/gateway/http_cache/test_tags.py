"""Keys by tag: taken in pieces, kept when nobody waits for the rest, forgotten when they are of what is gone."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.tags import SPARE, Tags


def filled(count: int, tag: bytes = b"t") -> Tags:
    tags = Tags()
    for number in range(count):
        tags.add(b"%d" % number, [tag, b"own%d" % number])
    return tags


def tidied(tags: Tags, good: set[bytes]) -> int:
    turns = 1
    while tags.tidy(lambda tag, key: key in good, 100):
        turns += 1
    return turns


def test_keys_are_taken_in_pieces_and_forgotten() -> None:
    tags = filled(250)
    pieces = list(tags.take(b"t", 100, again=False))
    assert [len(piece) for piece in pieces] == [100, 100, 50]
    assert {key for piece in pieces for key in piece} == {b"%d" % number for number in range(250)}
    assert list(tags.take(b"t", 100, again=False)) == []
    assert tags.entries == len(tags) == 250


def test_or_remembered() -> None:
    tags = filled(250)
    assert sum(map(len, tags.take(b"t", 100, again=True))) == 250
    assert sum(map(len, tags.take(b"t", 100, again=True))) == 250
    assert tags.entries == 500


def test_what_is_not_asked_for_stays() -> None:
    for again, left in ((False, 150), (True, 250)):
        tags = filled(250)
        taking = tags.take(b"t", 100, again=again)
        next(taking)
        tags.add(b"0", [b"t"])
        taking.close()
        assert left <= sum(map(len, tags.take(b"t", 100, again=True))) <= left + 1


def test_entries_of_what_is_gone_are_forgotten_in_pieces() -> None:
    tags = filled(SPARE)
    good = {b"1", b"2"}
    assert tidied(tags, good) == 2 * SPARE // 100 + 1
    assert tags.entries == 4
    assert len(tags) == 3


def test_few_are_left_alone_and_so_are_those_that_were_good_the_last_time() -> None:
    tags = filled(SPARE // 2)
    assert tidied(tags, set()) == 1
    assert tags.entries == SPARE
    tags = filled(SPARE)
    good = {b"%d" % number for number in range(SPARE)}
    tidied(tags, good)
    assert not tags.tidy(lambda tag, key: False, 100)
    assert tags.entries == 2 * SPARE


def test_everything_can_be_forgotten() -> None:
    tags = filled(10)
    tags.clear()
    assert (len(tags), tags.entries) == (0, 0)


STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 9)),
    st.tuples(st.just("take"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("soften"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("tidy"), st.integers(0, 9), st.integers(0, 5)),
)


@given(st.lists(STEP, max_size=40))
def test_entries_counts_what_is_there(steps: list[tuple[str, int, int]]) -> None:
    tags = Tags()
    tags._good = -SPARE  # so that few are many
    for what, one, other in steps:
        if what == "add":
            tags.add(b"%d" % other, [b"t%d" % one])
        elif what == "tidy":
            tags.tidy(lambda tag, key, gone=b"%d" % one: key != gone, other)  # type: ignore[misc]
        else:
            taking = tags.take(b"t%d" % one, 2, again=what == "soften")
            for _ in range(other):
                next(taking, None)
            taking.close()
        assert tags.entries == sum(map(len, tags._keys.values()))
        assert all(tags._keys.values()) or tags._pass is not None
