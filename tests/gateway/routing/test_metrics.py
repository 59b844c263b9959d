"""What is told of routes' servers."""

from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.metrics import upstream_metrics
from scalability.testing.gateway_routes import MemoryGateway


def test_each_server_of_each_route_is_told_of() -> None:
    gateway = MemoryGateway(
        RouteOptions(prefix="/a", servers=("10.0.0.1:80", "10.0.0.2:80")), RouteOptions(prefix="/b", url="http://10.0.0.1")
    )
    gateway.ask(b"/b/c")
    gateway.answer()
    told = {
        (sample.name, sample.labels["route"], sample.labels.get("server", "")): sample.value
        for family in upstream_metrics(gateway.routes.upstreams).collect()
        for sample in family.samples
    }
    assert told["scalelab_upstream_requests_total", "/b", "10.0.0.1:80"] == 1
    assert told["scalelab_upstream_requests_total", "/a", "10.0.0.1:80"] == 0
    assert told["scalelab_upstream_healthy", "/a", ""] == 2
    assert told["scalelab_upstream_retries_total", "/b", ""] == 0
