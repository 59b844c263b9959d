"""docs/metrics.md says what the servers really show."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from scalability.testing.client import HTTPClient
from scalability.testing.processes import CHECKOUT, Process

PAGE = (CHECKOUT / "docs" / "metrics.md").read_text()
TABLES = dict(re.findall(r"^\| `((?:scalelab|http)_\w+)` \| (\w+) \|", PAGE, re.MULTILINE))


@pytest.mark.parametrize("component", ["lb", "gateway", "cache", "database", "microservice", "worker"])
def test_every_metric_of_a_server_stands_on_the_page_with_its_kind(
    start: Callable[..., Process], http: HTTPClient, tmp_path: Path, component: str
) -> None:
    admin = start(f"scalelab-{component}", "--admin", "127.0.0.1:0", cwd=tmp_path).wait_admin()
    answer = http.get(admin, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    shown = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(answer.text)
        if not family.name.startswith(("process_", "python_"))
    }
    assert shown
    assert {name: TABLES.get(name, "not on the page") for name in shown} == shown


def test_every_metric_on_the_page_stands_in_the_source() -> None:
    source = "".join(path.read_text() for path in (CHECKOUT / "scalability").rglob("*.py"))
    assert [name for name in TABLES if f'"{name}"' not in source and f'"{name.removesuffix("_total")}"' not in source] == []
