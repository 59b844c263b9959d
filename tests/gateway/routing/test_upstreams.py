"""A route's servers."""

from scalability.gateway.access.config import CorsOptions
from scalability.gateway.http_cache.config import CacheOptions
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.upstream_options import HealthOptions, UpstreamOptions
from scalability.gateway.routing.upstreams import check_of
from scalability.testing.gateway_routes import MemoryGateway
from scalability.upstream.check import HTTPCheck, TCPCheck

UNCACHED = CacheOptions(enabled=False)
TWO = RouteOptions(prefix="/a", servers=("10.0.0.1:80,weight=3", "10.0.0.2:80"), cache=UNCACHED)


def test_requests_are_spread_by_weight() -> None:
    gateway = MemoryGateway(TWO)
    for _ in range(8):
        gateway.client = gateway.connect()
        gateway.ask()
    hosts = [attempt.host for attempt in gateway.network.attempts]
    assert (hosts.count("10.0.0.1"), hosts.count("10.0.0.2")) == (6, 2)


def test_a_refused_connection_is_tried_on_another_server() -> None:
    gateway = MemoryGateway(TWO)
    gateway.ask(method=b"POST", fields=b"Content-Length: 4\r\n", body=b"body")
    gateway.network.refuse()
    assert gateway.answer().endswith(b"\r\n\r\nbody")
    assert gateway.client.taken().endswith(b"hi")


def test_a_server_that_fails_again_and_again_is_ejected() -> None:
    options = UpstreamOptions(retries=0, eject_failures=3, breaker_percent=100)
    gateway = MemoryGateway(RouteOptions(prefix="/a", servers=("10.0.0.1:80", "10.0.0.2:80"), cache=UNCACHED, upstream=options))
    bad = b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    statuses = []
    for _ in range(12):
        gateway.ask()
        gateway.answer(bad if gateway.network.attempts[-1].host == "10.0.0.1" else good)
        statuses.append(gateway.client.taken()[9:12])
    assert statuses.count(b"503") == 3
    assert statuses[-6:] == [b"200"] * 6
    (upstream,) = [known.upstream for known in gateway.routes.upstreams.values()]
    assert [server.ejected for server in upstream] == [True, False]


def test_a_route_without_a_healthy_server_says_so() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1", health=HealthOptions(initial="mandatory")))
    gateway.ask()
    assert gateway.client.taken().startswith(b"HTTP/1.1 503 ")


def test_servers_have_no_more_requests_than_they_may_and_the_rest_waits() -> None:
    gateway = MemoryGateway(
        RouteOptions(prefix="/a", servers=("10.0.0.1:80,maxconn=1",), upstream=UpstreamOptions(max_queue=1), cache=UNCACHED)
    )
    clients = [gateway.connect() for _ in range(3)]
    for gateway.client in clients:
        gateway.ask()
    assert len(gateway.network.attempts) == 1
    assert clients[2].taken().startswith(b"HTTP/1.1 503 ")
    gateway.answer()
    gateway.network.advance(0)
    assert clients[0].taken().endswith(b"hi")


def test_where_the_gateway_says_which_pages_may_read_a_server_does_not() -> None:
    said = b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\nContent-Length: 2\r\n\r\nhi"
    for cors, passed in ((None, 2), (CorsOptions(origins=("https://app.example",)), 0)):
        gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1", cache=UNCACHED, cors=cors))
        gateway.ask(fields=b"Origin: https://evil.example\r\n")
        gateway.answer(said)
        assert gateway.client.taken().lower().count(b"access-control-") == passed


def test_a_check_asks_for_a_path_or_makes_a_connection_alone() -> None:
    gateway = MemoryGateway(TWO)
    server = next(iter(gateway.routes.upstreams["/a"].upstream))
    plain = check_of(gateway.network, HealthOptions(), gateway.wheel, lambda name: None, timeout_s=1.0)(server)
    assert type(plain) is TCPCheck
    asking = check_of(gateway.network, HealthOptions(path="/up"), gateway.wheel, lambda name: None, timeout_s=1.0)(server)
    assert isinstance(asking, HTTPCheck)
    assert asking.request.startswith(b"GET /up HTTP/1.1\r\nHost: 10.0.0.1:80\r\n")


def test_one_client_goes_to_one_server_where_it_is_hashed() -> None:
    gateway = MemoryGateway(RouteOptions(prefix="/a", servers=("10.0.0.1:80", "10.0.0.2:80"), upstream=UpstreamOptions(algorithm="maglev")))
    upstream = gateway.routes.upstreams["/a"].upstream
    while upstream.step():
        pass
    hosts = set()
    for _ in range(6):
        gateway.ask()
        hosts.add(gateway.network.attempts[0].host)
        gateway.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        gateway.network.advance(0)
    assert len(hosts) == 1


def test_an_answer_with_two_framings_is_passed_on_with_one_and_its_connection_ends() -> None:
    """RFC 9112 section 6.3: Transfer-Encoding counts, Content-Length is removed, and the connection to that server is closed."""
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    for options in (UNCACHED, CacheOptions()):
        gateway = MemoryGateway(RouteOptions(prefix="/a", url="http://10.0.0.1", cache=options))
        for method in (b"GET", b"POST"):
            gateway.ask(method=method)
            server = gateway.network.accept()
            server.deliver(both)
            said = gateway.client.taken()
            head, _, body = said.partition(b"\r\n\r\n")
            assert b"Transfer-Encoding: chunked" in head
            assert b"content-length" not in head.lower()
            assert body == b"5\r\nhello\r\n0\r\n\r\n"
            assert server.ended == "closed"
            gateway.network.advance(0)
