"""Bodies that clients are reading, counted while nothing else counts them."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.outside import Outside
from scalability.gateway.http_cache.pins import Pin, Pins

BODIES = [b"a" * 3, b"b" * 50, b"c" * 700]
KEYS = [b"k", b"l"]


def test_a_body_counts_once_however_many_read_it() -> None:
    outside = Outside(0)
    pins = Pins(outside)
    readers = [pins.take(b"k", BODIES[1], stored=True) for _ in range(3)]
    assert (len(pins), outside.pinned_bytes) == (1, 0)
    pins.changed(b"k")
    assert outside.pinned_bytes == 50
    pins.changed(b"k", [BODIES[1]])
    assert outside.pinned_bytes == 0
    pins.cleared()
    assert outside.pinned_bytes == 50
    for reader in readers:
        pins.drop(reader)
    assert (len(pins), outside.pinned_bytes) == (0, 0)


def test_what_is_under_another_key_is_another() -> None:
    outside = Outside(0)
    pins = Pins(outside)
    pins.take(b"k", BODIES[0], stored=True)
    pins.changed(b"l")
    assert outside.pinned_bytes == 0


STEPS = st.lists(st.tuples(st.sampled_from(["take", "drop", "store", "forget"]), st.integers(0, 1), st.integers(0, 2)), max_size=40)


@given(STEPS)
def test_what_is_read_and_not_stored_is_counted_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    outside = Outside(0)
    pins = Pins(outside)
    stored: dict[bytes, list[bytes]] = {key: [] for key in KEYS}
    reading: list[Pin] = []
    for step, key_number, number in steps:
        key, body = KEYS[key_number], BODIES[number]
        if step == "take":
            reading.append(pins.take(key, body, stored=body in stored[key]))
        elif step == "drop" and reading:
            pins.drop(reading.pop(number % len(reading)))
        elif step in ("store", "forget"):
            stored[key] = [*stored[key], body] if step == "store" else []
            pins.changed(key, stored[key])
        counted = {(pin.key, pin.body) for pin in reading if pin.body not in stored[pin.key]}
        assert outside.pinned_bytes == sum(len(body) for _, body in counted)
        assert pins.stored_bytes + outside.pinned_bytes == sum(len(body) for _, body in {(pin.key, pin.body) for pin in reading})
        assert len(pins) == len({(pin.key, pin.body) for pin in reading})
