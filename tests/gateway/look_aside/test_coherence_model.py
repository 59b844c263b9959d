"""Near caches of two gateways and the cache server itself, in memory: bytes arrive when and in such pieces as chance will have it.

Whatever happens on the way, when all bytes have arrived no near cache has a value that the server has not.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from scalability.config import Address
from scalability.gateway.cache_clients import Changes, RedisCache
from scalability.gateway.cache_clients.redis_server import RedisServer
from scalability.gateway.look_aside import LookAside, Policy
from scalability.lifecycle import DeadlineWheel
from scalability.resp.client import RespClient
from scalability.testing.memory import MemoryTransport
from scalability.testing.resp_network import RespNetwork

KEYS = ("a", "b")
NEAR_TTL_S = 0.001
"""What nobody watches is gone in a moment, so that what is left when the test looks was watched."""


class Gateway:
    """One gateway's look-aside cache, and the wire to the server, cut in two."""

    def __init__(self, network: RespNetwork, host: str) -> None:
        self._host = host
        self._network = network
        self._reactor = network.reactor
        self.wheel = DeadlineWheel(self._reactor)
        self.client = RespClient(
            self._reactor,
            (Address(host, 6380),),
            self.wheel,
            timeout_s=1e6,
            connect_timeout_s=1e6,
            pause_s=lambda *_: 0.01,
            draw=lambda: 0.5,
        )
        changes = Changes(max_remembered=3)
        cache = RedisCache(RedisServer("cache", self.client), changes)
        policy = Policy(ttl_s=1e5, ttl_jitter=0.0, near_ttl_s=NEAR_TTL_S, beta=0.0, lease_s=0.3)
        self.look_aside = LookAside(cache, self._reactor, policy, draw=lambda: 0.5, changes=changes)
        self._ends: tuple[MemoryTransport, MemoryTransport] | None = None
        self._on_the_way = (bytearray(), bytearray())
        for part in (self.wheel, self.client, self.look_aside):
            part.startService()

    def connect(self) -> None:
        """Accept the attempt to connect, if there is one."""
        if self._reactor.attempts and self._reactor.attempts[0].host == self._host:
            self._on_the_way = (bytearray(), bytearray())
            self._ends = (self._reactor.accept(), self._reactor.connect_to(self._network.factory))

    def move(self, to_server: bool, most: int) -> bool:
        """Let up to ``most`` bytes arrive; whether there were any."""
        if self._ends is None:
            return False
        source, sink = self._ends if to_server else self._ends[::-1]
        way = self._on_the_way[to_server]
        way += source.taken()
        piece = bytes(way[:most])
        del way[:most]
        if piece:
            sink.deliver(piece)
        return bool(piece)

    def cut(self) -> None:
        """The connection is lost; what was on the way arrives nowhere."""
        ends, self._ends = self._ends, None
        if ends is not None:
            for end in ends:
                end.finish()

    def near(self, key: str) -> bytes | None:
        entry = self.look_aside.near.get(key, self._reactor.seconds())
        return None if entry is None else entry.value

    def stop(self) -> None:
        for part in (self.look_aside, self.client, self.wheel):
            part.stopService()


class World:
    """Two gateways, one server, and somebody else who writes."""

    def __init__(self) -> None:
        self.network = RespNetwork()
        self.other = self.network.client()
        self.source = dict.fromkeys(KEYS, 0)
        self.gateways = [Gateway(self.network, host) for host in ("192.0.2.1", "192.0.2.2")]
        for gateway in self.gateways:
            gateway.connect()
        self.settle()
        assert all(gateway.look_aside.changes.watching for gateway in self.gateways)

    def settle(self) -> None:
        """Let everything arrive, and whatever waits end."""
        for _ in range(200):
            self.network.reactor.advance(0.02)
            for gateway in self.gateways:
                gateway.connect()
            moved = [gateway.move(to_server, 1 << 20) for gateway in self.gateways for to_server in (True, False)]
            if not any(moved) and not any(gateway.look_aside.under_way for gateway in self.gateways):
                return
        raise AssertionError("it never comes to rest")

    def kept(self, key: str) -> bytes | None:
        """What the server has."""
        reply = self.other.run("GET", key)
        return None if reply == b"$-1\r\n" else reply.split(b"\r\n", 2)[1]

    def get(self, gateway: Gateway, key: str) -> None:
        async def load() -> bytes:
            return b"%d" % self.source[key]

        gateway.look_aside.get(key, load).addErrback(lambda _: None)

    def forget(self, gateway: Gateway, key: str) -> None:
        self.source[key] += 1
        Deferred.fromCoroutine(gateway.look_aside.forget(key)).addErrback(lambda _: None)

    def write(self, key: str) -> None:
        self.source[key] += 1
        self.other.run("SET", key, self.source[key])

    def stop(self) -> None:
        for gateway in self.gateways:
            gateway.stop()
            gateway.cut()
        self.other.leave()
        self.network.reactor.advance(0)


GATEWAY = st.integers(0, 1)
KEY = st.sampled_from(KEYS)
Step = Callable[[World], Any]


def moves(gateway: int, to_server: bool, most: int) -> Step:
    return lambda world: world.gateways[gateway].move(to_server, most)


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(moves, GATEWAY, st.booleans(), st.integers(1, 200)),
    st.builds(moves, GATEWAY, st.booleans(), st.just(1 << 20)),
    st.builds(lambda number, key: lambda world: world.get(world.gateways[number], key), GATEWAY, KEY),
    st.builds(lambda number, key: lambda world: world.forget(world.gateways[number], key), GATEWAY, KEY),
    st.builds(lambda key: lambda world: world.write(key), KEY),
    st.builds(lambda key: lambda world: world.other.run("DEL", key), KEY),
    st.just(lambda world: world.other.run("FLUSHALL")),
    st.just(World.settle),
    st.just(World.settle),
    st.builds(lambda number: lambda world: world.gateways[number].cut(), GATEWAY),
    st.builds(lambda seconds: lambda world: world.network.reactor.advance(seconds), st.sampled_from([0.0, 0.0005, 0.02, 0.5])),
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40))
def test_no_near_cache_has_what_the_server_has_not(steps: list[Step]) -> None:
    world = World()
    try:
        for step in steps:
            step(world)
        world.settle()
        world.network.reactor.advance(2 * NEAR_TTL_S)
        for key in KEYS:
            kept = world.kept(key)
            for gateway in world.gateways:
                assert gateway.near(key) in (None, kept)
    finally:
        world.stop()


def test_in_this_world_values_are_kept_near() -> None:
    world = World()
    for gateway in world.gateways:
        world.get(gateway, "a")
    world.settle()
    world.network.reactor.advance(100)
    world.settle()
    assert [gateway.near("a") for gateway in world.gateways] == [b"0", b"0"]
    world.write("a")
    world.settle()
    assert [gateway.near("a") for gateway in world.gateways] == [None, None]
    world.stop()


def test_wherever_anothers_write_falls_into_a_look_the_old_value_is_not_kept() -> None:
    bytes_of_a_look = 0
    while True:
        world = World()
        gateway = world.gateways[0]
        world.get(gateway, "a")
        left = bytes_of_a_look
        for _ in range(3):  # what is written now is sent a turn later
            world.network.reactor.advance(0)
            gateway.move(False, 1 << 20)
            while left and gateway.move(True, 1):
                left -= 1
                world.network.reactor.advance(0)
                gateway.move(False, 1 << 20)
                world.network.reactor.advance(0)
        over = left > 0
        world.write("a")
        world.settle()
        world.network.reactor.advance(2 * NEAR_TTL_S)
        assert gateway.near("a") in (None, world.kept("a")), bytes_of_a_look
        world.stop()
        if over:
            break
        bytes_of_a_look += 1
    assert bytes_of_a_look > 150, "a read, a lease, a read, a write in a transaction, the lease given back"
