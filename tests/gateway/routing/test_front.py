"""Where requests go: the gateway's own paths, then routes, then nowhere."""

from pathlib import Path

import pytest
from msgspec import structs

from scalability.gateway.access.config import JWTOptions
from scalability.gateway.routing.config import RouteOptions
from scalability.http1.making import make_request_head
from scalability.proxy.inner import InnerConnection, InnerExchange
from scalability.testing.gateway_routes import MemoryGateway
from tests.proxy.test_inner import Asker

SHOP = RouteOptions(prefix="/shop", url="http://10.0.0.1")
ADMIN = RouteOptions(prefix="/shop/admin", url="http://10.0.0.2")
DATA = RouteOptions(prefix="/data", url="http://10.0.0.3")
ALL = RouteOptions(prefix="/", url="http://10.0.0.4")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/shop", "10.0.0.1"),
        (b"/shop?/shop/admin", "10.0.0.1"),
        (b"/shop/administer", "10.0.0.1"),
        (b"/shop/admin/x", "10.0.0.2"),
        (b"/shop/%61dmin", "10.0.0.2"),
        (b"//shop//admin", "10.0.0.2"),
        (b"/data/x", "10.0.0.3"),
        (b"/shopping", "10.0.0.4"),
        (b"/", "10.0.0.4"),
    ],
)
def test_the_longest_prefix_of_whole_segments_gets_the_request(target: bytes, host: str) -> None:
    gateway = MemoryGateway(SHOP, ADMIN, DATA, ALL)
    gateway.ask(target)
    assert [attempt.host for attempt in gateway.network.attempts] == [host]
    assert gateway.answer().startswith(b"GET " + target + b" HTTP/1.1\r\n")


@pytest.mark.parametrize(("target", "body"), [(b"/data", b"own"), (b"/data?x", b"own"), (b"/tasks/1", b"own 1")])
def test_the_gateways_own_paths_come_first(target: bytes, body: bytes) -> None:
    gateway = MemoryGateway(DATA, ALL, RouteOptions(prefix="/tasks", url="http://10.0.0.5"))
    gateway.ask(target)
    assert gateway.client.taken().endswith(b"\r\n\r\n" + body)
    assert gateway.network.attempts == []


def test_what_is_nowhere_is_404() -> None:
    gateway = MemoryGateway(SHOP)
    gateway.ask(b"/elsewhere")
    assert gateway.client.taken().startswith(b"HTTP/1.1 404 ")


def test_a_path_that_could_mean_another_one_is_refused() -> None:
    gateway = MemoryGateway(SHOP, ADMIN)
    for target in (b"/shop/../admin", b"/shop/x/%2e%2e/admin", b"/shop/."):
        gateway.ask(target)
        assert gateway.client.taken().startswith(b"HTTP/1.1 400 ")
    assert gateway.network.attempts == []


def test_requests_of_one_connection_may_go_to_several_routes_and_own_paths() -> None:
    gateway = MemoryGateway(SHOP, ADMIN)
    for _ in range(3):
        gateway.ask(b"/shop")
        gateway.ask(b"/data")
        gateway.ask(b"/shop/admin", fields=b"X-Forwarded-For: me\r\n")
        while gateway.network.attempts:
            asked = gateway.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
            assert b"X-Forwarded-For: 192.0.2.1\r\n" in asked
    sent = gateway.client.taken()
    assert sent.count(b"HTTP/1.1 200 ") == 9
    assert sent.count(b"own") == 3


def test_a_client_that_half_closes_gets_the_answer_of_a_route_and_ends_what_a_route_in_code_does() -> None:
    gateway = MemoryGateway(SHOP)
    gateway.ask(b"/shop")
    gateway.client.finish()
    gateway.answer()
    assert gateway.client.taken().endswith(b"hi")


def test_many_different_targets_are_not_all_remembered() -> None:
    gateway = MemoryGateway(SHOP)
    for number in range(3000):
        gateway.ask(b"/elsewhere/%d" % number, method=b"HEAD")
    front = gateway.server.application
    assert len(front._known) <= 1024  # type: ignore[attr-defined]


def test_requests_are_counted_by_route_and_never_by_path() -> None:
    gateway = MemoryGateway(SHOP)
    gateway.ask(b"/shop/secret")
    gateway.answer()
    text = [(sample.labels.get("http_route"), sample.value) for family in gateway.server.metrics.collect() for sample in family.samples]
    assert ("/shop", 1.0) in text
    assert not any(label is not None and "secret" in label for label, _ in text)


def test_a_part_that_asks_who_it_is_wants_the_composed_route_to_have_asked_for_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name * 20)
    one, two = [JWTOptions(secret_file=str(tmp_path / name)) for name in ("one", "two")]
    strict = structs.replace(one, require=("role=admin",))
    gateway = MemoryGateway(
        RouteOptions(prefix="/part", url="http://10.0.0.1", jwt=one),
        RouteOptions(prefix="/same", url="http://10.0.0.2", jwt=one),
        RouteOptions(prefix="/other", url="http://10.0.0.2", jwt=two),
        RouteOptions(prefix="/more", url="http://10.0.0.2", jwt=strict),
        RouteOptions(prefix="/open", url="http://10.0.0.2"),
    )
    head = make_request_head(b"GET", b"/part", [(b"Host", b"shop")])

    def told(whole: str, *, authenticated: bool = True) -> object:
        connection = InnerConnection(gateway.server)
        connection.authenticated, connection.route = authenticated, whole
        asker = Asker()
        InnerExchange(head, asker, connection).ask(gateway.routes.within)
        return asker.told[0] if asker.told else None

    assert told("/open", authenticated=False) == ("head", 401)
    assert told("/other") == ("head", 403)
    assert told("/open") == ("head", 403)
    assert gateway.network.attempts == []
    assert [told("/same"), told("/more")] == [None, None]
    # what asks for more is not covered by what asks for less
    head = make_request_head(b"GET", b"/more", [(b"Host", b"shop")])
    assert told("/part") == ("head", 403)


def test_the_gateways_own_paths_ask_a_composed_route_for_their_own_token(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name * 20)
    one, two = [JWTOptions(secret_file=str(tmp_path / name)) for name in ("one", "two")]
    gateway = MemoryGateway(
        RouteOptions(prefix="/same", url="http://10.0.0.1", jwt=one), RouteOptions(prefix="/x", url="http://h", jwt=two)
    )
    own = gateway.access.policy("own", jwt=one)
    gateway.routes.within.own_policy = lambda head: own
    said = []
    for whole in ("/same", "/x"):
        connection = InnerConnection(gateway.server)
        connection.authenticated, connection.route = True, whole
        asker = Asker()
        InnerExchange(make_request_head(b"GET", b"/data", [(b"Host", b"shop")]), asker, connection).ask(gateway.routes.within)
        said.append(asker.told[0])
    assert said == [("head", 200), ("head", 403)]


def test_a_part_of_a_composed_route_reaches_routes_and_own_paths_but_no_composed_route() -> None:
    gateway = MemoryGateway(SHOP)
    within = gateway.routes.within
    within.composed = frozenset(["/shop"])
    for target, told in ((b"/data", ("head", 200)), (b"/shop", ("failed", "loop_detected")), (b"/a/../b", ("failed", "bad_request"))):
        asker = Asker()
        head = make_request_head(b"GET", target, [(b"Host", b"shop")])
        InnerExchange(head, asker, InnerConnection(gateway.server)).ask(within)
        assert asker.told[0] == told


def test_without_routes_every_request_goes_to_the_gateways_own_application() -> None:
    gateway = MemoryGateway()
    gateway.server.serve_alone(gateway.server)
    gateway.client = gateway.connect()
    assert gateway.client.protocol.abort_on_close
    gateway.ask(b"/data")
    assert gateway.client.taken().endswith(b"\r\n\r\nown")
    gateway.ask(b"/x/../data")
    assert gateway.client.taken().startswith(b"HTTP/1.1 404 ")
