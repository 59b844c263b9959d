"""The examples of the pages about routes are configurations that the gateway takes."""

import re
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from scalability.gateway.openapi.config import ValidateOptions
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.shaping import Shape
from scalability.gateway.tap import Options
from scalability.gateway.transform.templates import VARIABLES
from scalability.testing.played_application import PlayedApplication

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("transform.md", "composition.md", "openapi.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_example_is_a_configuration(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in blocks("openapi.md", "yaml"):
        Path("shop.yaml").write_text(text)
    examples = blocks(page, "toml")
    assert examples
    for example in examples:
        Path("gateway.toml").write_text(example)
        options = Options()
        options.parseOptions(["--config", "gateway.toml"])
        assert options.config.routes
        for route in options.config.routes:
            Shape(route, PlayedApplication(), PlayedApplication(), Clock())


def test_every_variable_is_explained() -> None:
    text = (DOCS / "transform.md").read_text()
    for name in VARIABLES:
        assert f"`${{{name}}}`" in text


def test_the_features_of_routes_have_their_pages() -> None:
    for feature in ("rewrite", "compression", "validate", "compose"):
        assert feature in RouteOptions.__struct_fields__
        assert any(f"[gateway.routes.{feature}]" in (DOCS / page).read_text() for page in PAGES)


def test_the_greatest_body_that_is_checked_is_the_one_that_is_told() -> None:
    assert f"max_body = {ValidateOptions(file='x').max_body}" in (DOCS / "openapi.md").read_text()
