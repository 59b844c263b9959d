"""Documents are read without fetching anything, and what cannot be used is refused with its place."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scalability.gateway.openapi.document import BadDocument, Document, pointer


def document(version: str = "3.1.0", **members: Any) -> Document:
    return Document.parse(json.dumps({"openapi": version, **members}).encode(), yaml=False)


def schema(found: Document) -> Any:
    return found.at("/components/schemas/A")


def test_references_are_followed_within_the_document() -> None:
    found = document(components={"schemas": {"A": {"$ref": "#/components/schemas/B~1~0 C"}, "B/~ C": {"type": "string"}}})
    assert found.resolve(schema(found), "/x") == ({"type": "string"}, "/components/schemas/B~1~0 C")
    assert pointer("a/b", "c~d", 3) == "/a~1b/c~0d/3"


@pytest.mark.parametrize("reference", ["http://127.0.0.1/x.json", "other.yaml#/a", "file:///etc/passwd", "//host/x", ""])
def test_nothing_outside_of_it_is_ever_followed(reference: str) -> None:
    with pytest.raises(BadDocument, match=r"/components/schemas/A/\$ref: .* another document"):
        document(components={"schemas": {"A": {"$ref": reference}}})


def test_values_that_look_like_references_are_values() -> None:
    found = document(components={"schemas": {"A": {"default": {"$ref": "http://x", "nullable": True, "type": "x"}}}})
    assert schema(found)["default"]["type"] == "x"


def test_circles_and_wrong_ways_are_found() -> None:
    found = document(components={"schemas": {"A": {"$ref": "#/components/schemas/A"}}})
    with pytest.raises(BadDocument, match="circle"):
        found.resolve(schema(found), "/a")
    with pytest.raises(BadDocument, match="no such place"):
        found.at("/components/nothing")
    with pytest.raises(BadDocument, match="is no object"):
        found.resolve([], "/a")


def test_the_third_versions_nullable_becomes_a_type() -> None:
    members = {"components": {"schemas": {"A": {"type": "string", "nullable": True}}}}
    assert schema(document("3.0.3", **members))["type"] == ["string", "null"]
    assert schema(document("3.1.0", **members))["type"] == "string"


def test_what_is_read_only_is_not_required_of_requests() -> None:
    members = {"components": {"schemas": {"A": {"required": ["id"], "properties": {"id": {"readOnly": True}, "name": {}}}}}}
    assert schema(document("3.1.0", **members))["required"] == []
    assert "required" not in schema(document("3.0.0", **members))


@pytest.mark.parametrize("version", ["2.0", "3.2.0", "4.0.0", "3.1", ""])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(BadDocument, match=r"3\.0 and 3\.1"):
        document(version)


def test_other_dialects_are_refused() -> None:
    with pytest.raises(BadDocument, match="jsonSchemaDialect"):
        document(jsonSchemaDialect="http://json-schema.org/draft-07/schema#")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"openapi": 3}', b'{"a":' * 300_000, b"[" * 300_000])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    for yaml in (False, True):
        if not yaml or len(data) < 100:
            with pytest.raises(BadDocument):
                Document.parse(data, yaml=yaml)


def test_yaml_is_read_as_version_1_2_has_it(tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(
        "openapi: 3.1.0\ninfo: {version: 2020-01-01, on: yes, off: true}\npaths:\n  /a:\n    get:\n      responses: {200: {}}\n"
    )
    found = Document.read(file)
    assert found.root["info"] == {"version": "2020-01-01", "on": "yes", "off": True}
    assert found.at("/paths/~1a/get/responses/200") == {}


@pytest.mark.parametrize("text", ["a: [", "a: !!python/object/apply:os.system [ls]", "a: b: c"])
def test_broken_and_harmful_yaml_is_refused(text: str) -> None:
    with pytest.raises(BadDocument, match="not YAML"):
        Document.parse(text.encode(), yaml=True)


def test_without_its_library_yaml_is_refused_and_json_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(BadDocument, match=r"scalelab\[openapi\]"):
        Document.parse(b"openapi: 3.1.0", yaml=True)
    assert Document.parse(b'{"openapi": "3.1.0"}', yaml=False).root == {"openapi": "3.1.0"}


def test_aliases_that_stand_for_millions_are_refused() -> None:
    lines = ["openapi: 3.1.0", "a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(BadDocument, match="too large"):
        Document.parse("\n".join(lines).encode(), yaml=True)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(BadDocument, match="No such file"):
        Document.read(tmp_path / "none.json")
    with pytest.raises(BadDocument, match="cannot be read: embedded null byte"):
        Document.read(tmp_path / "a\0b.json")
    with pytest.raises(BadDocument, match="larger than"):
        Document.read(Path("/dev/zero"))  # no more of it is read
