"""Figures of the features that a route has."""

import json
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock

from scalability.gateway.openapi.checkers import Checkers
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.shape_metrics import add_checkers, shape_metrics
from scalability.gateway.routing.shaping import Shape
from scalability.telemetry import MetricSet
from scalability.telemetry.exposition import exposition
from scalability.testing.api_document import SHOP
from scalability.testing.played_application import PlayedApplication


def test_every_feature_counts_for_its_routes_alone(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SHOP))
    tables: list[dict[str, Any]] = [
        {"prefix": "/plain", "url": "http://127.0.0.1:1"},
        {"prefix": "/files", "url": "http://127.0.0.1:1", "compression": {}},
        {"prefix": "/shop", "url": "http://127.0.0.1:1", "validate": {"file": str(tmp_path / "shop.json")}},
        {"prefix": "/pages", "compose": {"path": "/pages", "parts": [{"name": "a", "target": "/plain"}]}},
    ]
    shapes = {
        table["prefix"]: Shape(msgspec.convert(table, RouteOptions), PlayedApplication(), PlayedApplication(), Clock()) for table in tables
    }
    compression, validating, composing = shapes["/files"].compression, shapes["/shop"].validating, shapes["/pages"].composing
    assert compression is not None
    assert validating is not None
    assert composing is not None
    compression.encoded, compression.passed_over, compression.at_once = 1, 2, 3
    validating.refused, validating.held_bytes = 4, 5
    composing.composed, composing.incomplete, composing.failed, composing.at_once = 6, 7, 8, 9
    _, body = exposition([shape_metrics(shapes)], "")
    found = {
        (sample.name, sample.labels["route"]): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert found == {
        ("scalelab_compression_encoded_total", "/files"): 1,
        ("scalelab_compression_passed_over_total", "/files"): 2,
        ("scalelab_compression_running", "/files"): 3,
        ("scalelab_validation_refused_total", "/shop"): 4,
        ("scalelab_validation_held_bytes", "/shop"): 5,
        ("scalelab_composition_complete_total", "/pages"): 6,
        ("scalelab_composition_incomplete_total", "/pages"): 7,
        ("scalelab_composition_failed_total", "/pages"): 8,
        ("scalelab_composition_running", "/pages"): 9,
    }


def test_the_processes_that_check_large_bodies_are_counted_for_all_routes() -> None:
    metrics = MetricSet()
    checkers = Checkers(Clock())
    checkers.given_up = 3
    add_checkers(metrics, checkers)
    _, body = exposition([metrics], "")
    families = text_string_to_metric_families(body.decode())
    found = {sample.name: sample.value for family in families for sample in family.samples}
    assert (found["scalelab_validation_waiting"], found["scalelab_validation_given_up_total"]) == (0, 3)
