"""What changed of late, and for how long that is known."""

from scalability.gateway.http_cache.changes import KEPT_S, MAX_CHANGES, Changes

NOW = 1e9


def test_a_change_counts_for_what_was_sent_before_it() -> None:
    changes = Changes()
    assert not changes.after(b"k", NOW - 1, NOW)
    changes.note(b"k", NOW)
    assert changes.after(b"k", NOW - 1, NOW)
    assert not changes.after(b"k", NOW, NOW)
    assert not changes.after(b"other", NOW - 1, NOW)


def test_so_does_one_of_everything() -> None:
    changes = Changes()
    changes.note_all(NOW)
    assert changes.after(b"k", NOW - 1, NOW)
    assert not changes.after(b"k", NOW, NOW)
    changes.note_all(NOW - 10)
    assert changes.after(b"k", NOW - 1, NOW)


def test_it_is_forgotten_after_a_while_and_of_many_only_some_are_known() -> None:
    changes = Changes()
    changes.note(b"k", NOW)
    assert not changes.after(b"k", NOW - 1, NOW + KEPT_S)
    for number in range(2 * MAX_CHANGES):
        changes.note(b"%d" % number, NOW)
    assert len(changes._changed) <= MAX_CHANGES
    for _ in range(100):
        changes.sweep(NOW + 2 * KEPT_S, MAX_CHANGES)
    assert len(changes._changed) == 0
