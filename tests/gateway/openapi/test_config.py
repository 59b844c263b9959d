"""The table, and the file that it names."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scalability.gateway.openapi.config import ValidateOptions
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import parse_request_head
from scalability.testing.api_document import SHOP


def options(file: Path, **more: Any) -> ValidateOptions:
    return msgspec.convert({"file": str(file), **more}, ValidateOptions)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SHOP))
    return file


def found(given: ValidateOptions, target: bytes) -> bool:
    return given.validation().find(parse_request_head(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target, DEFAULT_LIMITS)) is not None


def test_paths_begin_where_the_document_or_the_table_says(file: Path) -> None:
    assert found(options(file), b"/v1/orders")
    assert found(options(file, base="/shop/"), b"/shop/orders")
    assert found(options(file, base="/"), b"/orders")
    assert not found(options(file, base="/", unknown="pass"), b"/v1/orders")


@pytest.mark.parametrize(
    "table", [{"base": "shop"}, {"unknown": "maybe"}, {"max_body": -1}, {"max_nesting": 0}, {"max_nesting": 201}, {"fil": "x"}]
)
def test_bad_values_are_refused(file: Path, table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        options(file, **table)


def test_what_is_wrong_in_the_file_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json: cannot be read"):
        options(tmp_path / "none.json").validation()
    file = tmp_path / "old.yaml"
    file.write_text("swagger: '2.0'\n")
    with pytest.raises(ValueError, match=r"old\.yaml: openapi: only the versions"):
        options(file).validation()
