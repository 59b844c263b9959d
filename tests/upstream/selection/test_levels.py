"""Lower levels serve when no higher one can."""

import random

from scalability.testing.candidates import FakeServer, Requests, built
from scalability.upstream.selection import Building, RoundRobin, Tracking
from scalability.upstream.selection.least_connections import LeastConnections
from scalability.upstream.selection.levels import Levels
from scalability.upstream.selection.maglev import Maglev


def level_of(server: FakeServer) -> int:
    return int(server.name[0])


def round_robins(*servers: FakeServer) -> Levels[FakeServer]:
    selection: Levels[FakeServer] = Levels(RoundRobin, level_of)
    selection.replace(servers)
    return selection


def names(selection: Levels[FakeServer], count: int) -> list[str]:
    return [server.name for _ in range(count) if (server := selection.choose()) is not None]


def test_a_backup_gets_nothing_while_there_is_another() -> None:
    selection = round_robins(FakeServer("1-backup"), FakeServer("0-a"), FakeServer("0-b"))
    assert names(selection, 4) == ["0-a", "0-b", "0-a", "0-b"]


def test_a_backup_serves_when_the_others_are_gone_tried_or_without_weight() -> None:
    a, backup = FakeServer("0-a"), FakeServer("1-backup")
    selection = round_robins(a, backup)
    assert selection.choose({a}) is backup
    assert selection.choose({a, backup}) is None
    selection.replace([backup])
    assert names(selection, 2) == ["1-backup", "1-backup"]
    a.weight = 0
    selection.replace([a, backup])
    assert names(selection, 1) == ["1-backup"]


def test_levels_are_numbers_and_the_least_comes_first() -> None:
    servers = [FakeServer(f"{level}-x") for level in (9, 2, 5)]
    selection = round_robins(*servers)
    assert selection.choose() is servers[1]
    assert selection.choose({servers[1]}) is servers[2]
    assert selection.choose({servers[1], servers[2]}) is servers[0]


def test_a_level_keeps_its_state_when_another_changes() -> None:
    a, b, backup = FakeServer("0-a"), FakeServer("0-b"), FakeServer("1-c")
    selection = round_robins(a, b)
    assert names(selection, 1) == ["0-a"]
    selection.replace([a, b, backup])
    assert names(selection, 1) == ["0-b"]


def test_changes_in_flight_reach_the_level_that_they_concern() -> None:
    a, b, c = FakeServer("0-a"), FakeServer("0-b"), FakeServer("1-c")
    selection: Levels[FakeServer] = Levels(LeastConnections, level_of)
    assert isinstance(selection, Tracking)
    selection.replace([a, b, c])
    requests = Requests(selection)
    for _ in range(4):
        requests.begin()
    requests.end(b)
    assert requests.begin() is b


def test_every_level_is_built() -> None:
    chance = random.Random(1)
    selection: Levels[FakeServer] = Levels(lambda: Maglev(chance.random, size=251), level_of)
    assert isinstance(selection, Building)
    built(selection, [FakeServer(f"{index % 2}-{index}") for index in range(8)])
    assert not selection.step()
