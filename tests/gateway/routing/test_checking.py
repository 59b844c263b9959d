"""The files that routes name."""

from pathlib import Path

import pytest

from scalability.errors import ConfigError
from scalability.gateway.config import GatewayOptions
from scalability.gateway.routing.checking import check_routes
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.upstream_options import UpstreamOptions


def test_files_that_are_there_pass(tmp_path: Path) -> None:
    file = tmp_path / "servers"
    file.write_text("10.0.0.1:80\n")
    check_routes(GatewayOptions(routes=(RouteOptions(prefix="/a", servers=(f"file:{file}",)),)))


@pytest.mark.parametrize(
    "route",
    [
        RouteOptions(prefix="/a", servers=("file:/nowhere/servers",)),
        RouteOptions(prefix="/a", servers=("h:1,tls",), upstream=UpstreamOptions(ca="/nowhere/ca.pem")),
    ],
)
def test_a_file_that_is_missing_is_refused_with_the_route(route: RouteOptions) -> None:
    with pytest.raises(ConfigError, match=r"\[gateway\] routes /a: .*/nowhere/"):
        check_routes(GatewayOptions(routes=(route,)))
