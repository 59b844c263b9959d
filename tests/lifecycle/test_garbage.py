"""The collector's work, while a service runs and after."""

import gc
from collections.abc import Iterator

import pytest

from scalability.lifecycle.garbage import BESIDE_MUCH_MEMORY, YOUNG_OBJECTS, RareCollections


@pytest.fixture
def service() -> Iterator[RareCollections]:
    service = RareCollections()
    before = gc.get_threshold()
    yield service
    service.stopService()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_while_it_runs_what_was_there_is_not_looked_at_and_new_objects_seldom(service: RareCollections) -> None:
    service.startService()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] == YOUNG_OBJECTS


def test_how_seldom_can_be_said() -> None:
    service = RareCollections(BESIDE_MUCH_MEMORY)
    before = gc.get_threshold()
    service.startService()
    assert gc.get_threshold()[0] == BESIDE_MUCH_MEMORY < YOUNG_OBJECTS
    service.stopService()
    assert gc.get_threshold() == before


def test_garbage_is_found_nevertheless(service: RareCollections) -> None:
    service.startService()
    collections = gc.get_stats()[0]["collections"]
    kept: list[list[int]] = [[] for _ in range(2 * YOUNG_OBJECTS)]
    assert gc.get_stats()[0]["collections"] > collections
    del kept


def test_starting_or_stopping_twice_is_harmless(service: RareCollections) -> None:
    service.stopService()
    service.startService()
    service.startService()
    service.stopService()
