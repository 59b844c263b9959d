"""Near cache, shared cache, then the source; one load a key at a time, everywhere; the last good value when the source fails.

A look goes:

    near hit -> HIT; one that is due starts a refresh behind its back
    shared hit -> into the near cache -> HIT; a due one likewise
    miss -> a lease (``leases``): loaded -> written to both caches -> LOADED; written by another gateway meanwhile -> HIT
    the shared cache cannot be asked -> loaded without a lease -> LOADED; the near cache still has it for its while
    load failed -> the last good value, if it is young enough -> STALE, else the failure

While a load fails *slowly* (a database that hangs), whoever comes gets the stale value at once and the look goes on
behind their backs: waiting for the deadline again and again would help nobody.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from scalability.errors import ScalelabError
from scalability.gateway.cache_clients import Changes, LookAsideCache
from scalability.gateway.dependencies import SLOW_S
from scalability.gateway.look_aside.last_good import LastGood
from scalability.gateway.look_aside.leases import NO_LEASE, Lease, Leases
from scalability.gateway.look_aside.near import NearCache, NearEntry
from scalability.gateway.look_aside.policy import Policy, check_key
from scalability.gateway.look_aside.shared import SharedCache, SharedValue
from scalability.gateway.single_flight import SingleFlight
from scalability.ttlcache import Sweeper

NOTHING = b"null"
"""JSON's null is how "there is nothing" is kept."""


class Origin(Enum):
    """Where a value came from."""

    HIT = "hit"
    LOADED = "loaded"
    STALE = "stale"


class Found(NamedTuple):
    """A value as JSON text, and where it came from."""

    value: bytes
    origin: Origin

    @property
    def absent(self) -> bool:
        """Whether the source said that there is nothing."""
        return self.value == NOTHING


Load = Callable[[], Awaitable[bytes | None]]
"""Reads a value from its source, as JSON text; None (or JSON's null): there is nothing. Fails with a ScalelabError."""


@dataclass(slots=True)
class LookAsideCounts:
    """Counts of looks, except where it says requests: many requests may share one look."""

    near_hits: int = 0
    """Requests answered from the process's own memory."""
    negative_hits: int = 0
    """Hits, near or shared, that knew that there is nothing. Requests where near, looks where shared."""
    loads: int = 0
    load_failures: int = 0
    early_refreshes: int = 0
    """Loads that began while the value that they replace was still good."""


class LookAside(MultiService):
    """Values by key, of whatever many keys: what is kept in the process is bounded by ``max_entries`` and ``max_bytes``.

    Two such bounds are taken: one for the near cache, one for the last good values. ``draw`` is the random source, evenly
    spread over [0, 1). ``changes`` is where ``cache`` tells of changes, if it does: values then stay in the near cache until they end
    or change. Stopping cancels the looks under way. See docs/caching.md.
    """

    log = Logger()

    def __init__(
        self,
        cache: LookAsideCache,
        clock: IReactorTime,
        policy: Policy,
        *,
        draw: Callable[[], float],
        max_entries: int = 10_000,
        max_bytes: int = 16 << 20,
        changes: Changes | None = None,
    ) -> None:
        super().__init__()
        self.counts = LookAsideCounts()
        self._looks: SingleFlight[str, Found] = SingleFlight()
        self._refreshes: SingleFlight[str, Found] = SingleFlight()
        self.near = NearCache(max_entries=max_entries, max_bytes=max_bytes)
        self._releases: SingleFlight[str, None] = SingleFlight()
        self._cache = SharedCache(cache, clock, changes)
        self.changes = self._cache.changes
        self.changes.heard = self._changed
        self.leases = Leases(self._cache, clock, policy, draw)
        self._clock = clock
        self._policy = policy
        self._draw = draw
        self._last_good = LastGood(
            stale_ttl_s=policy.stale_ttl_s,
            life_s=policy.ttl_s + policy.stale_ttl_s,
            max_entries=max_entries,
            max_bytes=max_bytes,
        )
        for kept in (self.near.entries, self._last_good.entries):
            Sweeper(clock, 1.0, kept).setServiceParent(self)

    @property
    def under_way(self) -> int:
        """Looks and refreshes, now."""
        return len(self._looks) + len(self._refreshes)

    @property
    def collapsed(self) -> int:
        """Requests that shared the look or the refresh of another."""
        return self._looks.joined + self._refreshes.joined

    @property
    def cache_failures(self) -> int:
        """Requests to the shared cache that failed or were skipped: each cost a load or left nothing for the next look."""
        return self._cache.failures

    def get(self, key: str, load: Load) -> Deferred[Found]:
        """The value of ``key``. Fails as ``load`` does when there is nothing else, and with ClientError when ``key`` is no good."""
        value = self.near_hit(key, load, self._clock.seconds())
        if value is not None:
            return succeed(Found(value, Origin.HIT))
        stale = self._last_good.stale_while_hanging(key, self._clock.seconds())
        if stale is not None:
            self._looks.start(key, lambda: self._look(key, load))
            return succeed(Found(stale, Origin.STALE))
        try:
            check_key(key)
        except ScalelabError as error:
            return fail(error)
        flights = self._refreshes if key in self._refreshes else self._looks
        return flights.do(key, lambda: self._look(key, load))

    def near_hit(self, key: str, load: Load, now: float) -> bytes | None:
        """The value of ``key`` if the process has it; counted. One that is due is loaded anew, for whoever comes later."""
        entry = self.near.get(key, now)
        if entry is None:
            return None
        self.counts.near_hits += 1
        if entry.value == NOTHING:
            self.counts.negative_hits += 1
        if now >= entry.refresh_at and entry.due(now):
            self._refresh_early(key, entry, load)
        return entry.value

    async def forget(self, key: str) -> None:
        """Have ``key`` loaded anew by whoever asks next: what it stands for has changed. Other gateways know within ``near_ttl_s``,
        or at once where the shared cache tells of changes.

        Fails with a ScalelabError when the shared cache cannot be told. A load that is under way may still bring the old value.
        """
        now = self._clock.seconds()
        self.changes.changed_here(key)
        self.near.forget(key, now)
        self._last_good.forget(key, now)
        await self._cache.delete(key)

    def stopService(self) -> Any:  # Twisted's type: a Deferred, or None
        self._looks.cancel()
        self._refreshes.cancel()
        self._releases.cancel()
        return super().stopService()

    async def _look(self, key: str, load: Load) -> Found:
        started = self._clock.seconds()
        try:
            shared = await self._cache.get(key)
        except ScalelabError:
            return await self._load_or_stale(key, load)  # nobody to agree with
        if shared is not None:
            return self._shared_hit(key, shared, load)
        turn = await self.leases.turn(key)
        if isinstance(turn, SharedValue):
            # about what it took the one who loaded it
            return self._shared_hit(key, turn, load, load_s=self._clock.seconds() - started)
        try:
            return await self._load_or_stale(key, load)
        finally:
            if turn is not NO_LEASE:
                self._release(turn)

    def _shared_hit(self, key: str, shared: SharedValue, load: Load, *, load_s: float | None = None) -> Found:
        value, expires_at, moment = shared
        now = self._clock.seconds()
        self._last_good.seen(key, value, now, load_s=load_s)
        if value == NOTHING:
            self.counts.negative_hits += 1
        if expires_at is not None:
            entry = self._keep_near(key, value, now, expires_at, moment)
            if entry.due(now):
                self._refresh_early(key, entry, load)
        return Found(value, Origin.HIT)

    async def _load_or_stale(self, key: str, load: Load) -> Found:
        try:
            return Found(await self._load(key, load), Origin.LOADED)
        except ScalelabError:
            stale = self._last_good.stale(key, self._clock.seconds())
            if stale is None:
                raise
            return Found(stale, Origin.STALE)

    async def _load(self, key: str, load: Load) -> bytes:
        """Load, and write to both caches."""
        self.counts.loads += 1
        started = self._clock.seconds()
        try:
            value = await load() or NOTHING
        except ScalelabError:
            self.counts.load_failures += 1
            now = self._clock.seconds()
            self._last_good.failed(key, now, slowly=now - started > SLOW_S)
            raise
        now = self._clock.seconds()
        self._last_good.seen(key, value, now, load_s=now - started)
        life_s = self._policy.life_s(self._draw(), negative=value == NOTHING)
        entry = self._keep_near(key, value, now, now + life_s, None)
        if life_s > 0:
            with suppress(ScalelabError):
                # Before the answer: whoever asks next, anywhere, must find it.
                moment = await self._cache.set(key, value, life_s)
                if self.changes.unchanged(key, moment):
                    now = self._clock.seconds()
                    self.near.put(key, entry, now, self._policy.near_life_s(now, entry.expires_at, watched=True))
        return value

    def _keep_near(self, key: str, value: bytes, now: float, expires_at: float, moment: int | None) -> NearEntry:
        """``moment`` is when ``value`` was asked for. If it has changed since, this only forgets what was known before."""
        policy = self._policy
        refresh_at = policy.refresh_at(expires_at, self._last_good.load_s(key, now), self._draw())
        entry = NearEntry(value, expires_at, refresh_at)
        watched = self.changes.unchanged(key, moment)
        if watched or moment is None:
            self.near.put(key, entry, now, policy.near_life_s(now, expires_at, watched=watched))
        else:
            self.near.forget(key, now)
        return entry

    def _changed(self, key: str | None) -> None:
        if key is None:
            self.near.clear()
        else:
            self.near.forget(key, self._clock.seconds())

    def _refresh_early(self, key: str, entry: NearEntry, load: Load) -> None:
        self._refreshes.start(key, lambda: self._refresh(key, entry, load))

    async def _refresh(self, key: str, entry: NearEntry, load: Load) -> Found:
        """Load a value that is still good, unless somebody else does or just did. Who misses the key meanwhile waits for this."""
        lease = await self.leases.try_claim(key)
        if lease is None:
            return Found(entry.value, Origin.HIT)
        try:
            with suppress(ScalelabError):
                shared = await self._cache.get(key)
                if shared is not None and self._policy.is_newer(shared.expires_at or 0.0, entry.expires_at):
                    return self._shared_hit(key, shared, load)
            self.counts.early_refreshes += 1
            return await self._load_or_stale(key, load)
        finally:
            self._release(lease)

    def _release(self, lease: Lease) -> None:
        """Nobody's answer waits for that."""
        self._releases.start(lease.key, lambda: self.leases.release(lease))
