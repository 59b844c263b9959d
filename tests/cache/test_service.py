"""The cache server as a whole, on a clock and a reactor in memory."""

from pathlib import Path
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.internet.testing import MemoryReactorClock

from scalability.cache.config import CacheOptions
from scalability.cache.service import cache_service
from scalability.cache.snapshots import Snapshots
from scalability.config import Address
from scalability.ttlcache import Sweeper


def test_the_sweeper_starts_before_the_listener_and_stops_after_it() -> None:
    reactor: Any = MemoryReactorClock()
    service: Any = cache_service(reactor, CacheOptions(listen=Address("127.0.0.1", 5004), sweep_interval_s=2.0))
    names = [type(part).__name__ for part in IServiceCollection(service)]
    assert names.index("Sweeper") < names.index("Listener")
    assert any(isinstance(part, Sweeper) for part in service)


def test_the_snapshot_is_loaded_before_anything_is_answered_and_written_when_nothing_is_any_more(tmp_path: Path) -> None:
    service: Any = cache_service(MemoryReactorClock(), CacheOptions(snapshot=tmp_path / "cache"))
    names = [type(part).__name__ for part in IServiceCollection(service)]
    assert names.index("Snapshots") < names.index("Sweeper") < names.index("Listener")


def test_entries_end_by_the_wall_clock_whatever_the_reactor_counts(tmp_path: Path) -> None:
    reactor: Any = MemoryReactorClock()
    now = 1.7e9
    service: Any = cache_service(reactor, CacheOptions(sweep_interval_s=2.0, snapshot=tmp_path / "cache"), wall=lambda: now)
    (kept,) = [part for part in service if isinstance(part, Snapshots)]
    (sweeper,) = [part for part in service if isinstance(part, Sweeper)]
    cache = kept._cache
    cache.put(b"a", b"1", now, now + 10, 2)
    sweeper.startService()
    reactor.advance(60)
    assert len(cache) == 1, "the reactor's clock does not matter"
    now += 20
    reactor.advance(4)
    assert len(cache) == 0, "the sweeper goes by the wall clock"
    sweeper.stopService()


def test_an_admin_listener_is_opened_only_when_asked_for() -> None:
    def listeners(options: CacheOptions) -> int:
        service: Any = cache_service(MemoryReactorClock(), options)
        return sum(type(part).__name__ == "Listener" for part in service)

    assert listeners(CacheOptions(no_resp=True)) == 1
    assert listeners(CacheOptions()) == 2
    assert listeners(CacheOptions(admin=Address("127.0.0.1", 15004))) == 3
