"""The example of docs/gateway.md is a configuration."""

import re
from pathlib import Path

from scalability.config.load import load
from scalability.gateway.config import GatewayOptions
from scalability.gateway.routing.upstream_options import HealthOptions, UpstreamOptions

PAGE = Path(__file__).parents[3] / "docs" / "gateway.md"


def test_the_example_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    file = tmp_path / "lab.toml"
    file.write_text(example)
    options = load(GatewayOptions, flags={}, environ={}, file=file)
    assert [route.path for route in options.routes] == ["/shop", "/shop/admin"]


def test_every_key_of_the_tables_is_named() -> None:
    page = PAGE.read_text()
    for kind in (HealthOptions, UpstreamOptions):
        for key in kind.__struct_encode_fields__:
            assert f"`{key}`" in page, key
