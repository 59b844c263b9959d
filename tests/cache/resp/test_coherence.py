"""Clients that keep what they read, and forget what they are told to, never have an outdated value."""

from random import Random
from typing import Any

import hiredis
import pytest

from scalability.testing.redis_process import request
from scalability.testing.resp_network import RespNetwork

KEYS = [f"{letter}{number}" for letter in "ab" for number in range(6)]

Words = tuple[str | int, ...]


class CachingClient:
    """Keeps the answers of GET, as a client-side cache does. ``mode``: the options of CLIENT TRACKING."""

    def __init__(self, network: RespNetwork, *mode: str) -> None:
        self._client = network.client(resp3=True)
        self._noloop = "NOLOOP" in mode
        assert self._client.run("CLIENT", "TRACKING", "ON", *mode) == b"+OK\r\n"
        self.kept: dict[str, str | None] = {}
        self.messages = 0

    def say(self, *requests: Words) -> None:
        """Send all at once; take in answers and messages in their order."""
        data = self._client.send(b"".join(request(*words) for words in requests))
        asked = iter(requests)
        put_off: list[Words] = []
        for item in self._items(data):
            if isinstance(item, hiredis.PushNotification):
                self._forget(item)
                continue
            words = next(asked)
            if item == "QUEUED":
                put_off.append(words)
            elif words[0] == "EXEC":
                for one, answer in zip(put_off, item, strict=True):
                    self._answered(one, answer)
                put_off = []
            else:
                self._answered(words, item)
        assert next(asked, None) is None, "each request has an answer"

    def listen(self) -> None:
        """Take in messages."""
        for item in self._items(self._client.received()):
            self._forget(item)

    def _items(self, data: bytes) -> list[Any]:
        reader: Any = hiredis.Reader(encoding="utf-8")
        reader.feed(data)
        items = []
        while (item := reader.gets()) is not False:
            items.append(item)
        return items

    def _forget(self, message: list[Any]) -> None:
        kind, keys = message
        assert kind == "invalidate"
        self.messages += 1
        for key in list(self.kept) if keys is None else keys:
            self.kept.pop(key, None)

    def _answered(self, words: Words, answer: Any) -> None:
        if words[0] == "GET":
            self.kept[str(words[1])] = answer
        elif self._noloop and len(words) > 1:
            self.kept.pop(str(words[1]), None)  # its own change: it is not told
        elif self._noloop and words[0] == "FLUSHALL":
            self.kept.clear()


def requests(random: Random) -> list[Words]:
    def one() -> Words:
        key = random.choice(KEYS)
        write: Words = random.choice([("SET", key, random.randrange(9)), ("INCR", key), ("DEL", key), ("SET", key, 7, "PX", 1500)])
        return random.choice([("GET", key), ("GET", key), write])

    some = [one() for _ in range(random.randrange(1, 6))]
    return [("MULTI",), *some, ("EXEC",)] if random.random() < 0.3 else some


@pytest.mark.parametrize("seed", range(8))
def test_nothing_that_is_kept_is_outdated(seed: int) -> None:
    random = Random(seed)
    network = RespNetwork(max_entries=7)
    clients = [CachingClient(network, *mode) for mode in ((), ("NOLOOP",), ("BCAST",), ("BCAST", "NOLOOP"), ())]
    checked = 0
    for _ in range(1500):
        event = random.random()
        if event < 0.9:
            random.choice(clients).say(*requests(random))
        elif event < 0.93:
            network.entries.set(random.choice(KEYS).encode(), b"3", network.entries.now(), 60.0)
        elif event < 0.98:
            network.advance(random.random())
        else:
            random.choice(clients).say(("FLUSHALL",))
        network.expire()
        now = network.entries.now()
        for client in clients:
            client.listen()
            for key, value in client.kept.items():
                found = network.cache.peek(key.encode(), now)
                assert value == (None if found is None else found.decode()), key
                checked += 1
    assert checked > 10_000
    assert all(client.messages > 100 for client in clients)
    assert network.cache.stats.evicted_entries > 30
    assert network.cache.stats.expired > 10
