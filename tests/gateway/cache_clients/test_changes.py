"""Which copies may be kept, and which may not."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.cache_clients.changes import Changes


def watching(**bounds: int) -> Changes:
    changes = Changes(**bounds)
    changes.began()
    return changes


def test_while_nobody_watches_nothing_is_known() -> None:
    changes = Changes()
    assert changes.moment() is None
    assert not changes.unchanged("k", None)
    assert not changes.unchanged("k", 0)


def test_what_was_read_is_unchanged_until_its_change_is_heard() -> None:
    changes = watching()
    before = changes.moment()
    assert changes.unchanged("k", before)
    changes.changed(["other"])
    assert changes.unchanged("k", before)
    changes.changed(["k"])
    assert not changes.unchanged("k", before), "the news overtook the value"
    assert changes.unchanged("k", changes.moment()), "and it is read anew"


def test_news_of_everything_is_news_of_each() -> None:
    changes = watching()
    before = changes.moment()
    changes.all_changed()
    assert not changes.unchanged("k", before)
    assert changes.unchanged("k", changes.moment())


def test_no_moment_outlives_its_connection() -> None:
    changes = watching()
    before = changes.moment()
    changes.lost()
    assert changes.moment() is None
    assert not changes.unchanged("k", before)
    changes.began()
    assert not changes.unchanged("k", before)
    assert changes.unchanged("k", changes.moment())


def test_a_change_of_our_own_counts_too() -> None:
    changes = watching()
    before = changes.moment()
    changes.changed_here("k")
    assert not changes.unchanged("k", before)
    assert changes.keys == 0, "nobody told us"


def test_copies_are_given_up_as_news_come() -> None:
    changes = Changes()
    heard: list[str | None] = []
    changes.heard = heard.append
    changes.lost()
    assert heard == [], "there was nothing to lose"
    changes.began()
    changes.changed(["a", "b"])
    changes.all_changed()
    changes.lost()
    changes.lost()
    assert heard == ["a", "b", None, None]
    assert (changes.keys, changes.clears) == (2, 2)


def test_what_is_remembered_is_bounded_and_forgetting_is_on_the_safe_side() -> None:
    changes = watching(max_remembered=3)
    before = changes.moment()
    changes.changed(["k"])
    after = changes.moment()
    changes.changed(["a", "b", "c"])
    assert len(changes._last) == 3
    assert not changes.unchanged("k", before)
    assert not changes.unchanged("quiet", before), "nobody knows any more"
    assert changes.unchanged("k", after)


@given(st.lists(st.sampled_from([*"abcdefgh", "all", "lost", "began"]), max_size=60), st.sampled_from("abcdefgh"))
def test_nothing_that_has_changed_is_ever_taken_to_be_unchanged(events: list[str], key: str) -> None:
    changes = watching(max_remembered=3)
    moments: list[tuple[int | None, bool]] = []
    for event in events:
        if event == "all":
            changes.all_changed()
        elif event == "lost":
            changes.lost()
        elif event == "began":
            if not changes.watching:
                changes.began()
        else:
            changes.changed([event])
        touched = event in (key, "all", "lost")
        moments = [(moment, dirty or touched) for moment, dirty in moments]
        moments.append((changes.moment(), not changes.watching))
        for moment, dirty in moments:
            assert not (dirty and moment is not None and changes.unchanged(key, moment))
        if changes.watching:
            assert changes.unchanged(key, changes.moment())
