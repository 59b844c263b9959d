"""Large stored bodies that clients are reading: memory that evicting them does not free. PURE.

stored    the store has the body, too, and counts it
pinned    it was evicted, replaced or purged: what its readers hold counts as ``Outside.pinned_bytes``, once, until the last has read it
"""

from collections.abc import Collection

from scalability.gateway.http_cache.outside import Outside


class Pin:
    """``body``, which is stored under ``key`` as long as ``stored``, and how many clients read it."""

    __slots__ = ("body", "key", "readers", "stored")

    def __init__(self, key: bytes, body: bytes, stored: bool) -> None:
        self.key = key
        self.body = body
        self.stored = stored
        self.readers = 0


class Pins:
    """Every body that is being read, by its key. The store tells what becomes of them."""

    def __init__(self, outside: Outside) -> None:
        self.stored_bytes = 0
        """Of bodies that are being read and are stored."""
        self._outside = outside
        self._pins: dict[bytes, dict[int, Pin]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._pins.values()))

    def take(self, key: bytes, body: bytes, *, stored: bool) -> Pin:
        """One more client reads ``body``. To be given back with ``drop``."""
        pins = self._pins.setdefault(key, {})
        pin = pins.get(id(body))
        if pin is None:
            pin = pins[id(body)] = Pin(key, body, stored)
            self._count(pin, 1)
        pin.readers += 1
        return pin

    def drop(self, pin: Pin) -> None:
        """One client has read it, or has left."""
        pin.readers -= 1
        if pin.readers:
            return
        pins = self._pins[pin.key]
        del pins[id(pin.body)]
        if not pins:
            del self._pins[pin.key]
        self._count(pin, -1)

    def changed(self, key: bytes, bodies: Collection[bytes] = ()) -> None:
        """Nothing but ``bodies`` is stored under ``key`` from now on."""
        pins = self._pins.get(key)
        if pins is None:
            return
        kept = {id(body) for body in bodies}
        for pin in pins.values():
            stored = id(pin.body) in kept
            if stored is not pin.stored:
                self._count(pin, -1)
                pin.stored = stored
                self._count(pin, 1)

    def cleared(self) -> None:
        """Nothing at all is stored any more."""
        for key in self._pins:
            self.changed(key)

    def _count(self, pin: Pin, times: int) -> None:
        if pin.stored:
            self.stored_bytes += times * len(pin.body)
        else:
            self._outside.pinned_bytes += times * len(pin.body)
