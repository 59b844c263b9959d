"""What is wrong with a body."""

import pytest

from scalability.gateway.openapi.bodies import judged


@pytest.mark.parametrize(
    ("body", "not_json", "problems"),
    [
        (b"[1]", "", [("/0", "[1]")]),
        (b"[1", "Expecting ',' delimiter (character 2)", []),
        (b"[[[1]]]", "it is nested more than 2 deep", []),
        (b'{"a": 1, "a": 2}', "an object has the name 'a' twice", []),
    ],
)
def test_it_is_read_strictly_and_then_checked(body: bytes, not_json: str, problems: list[tuple[str, str]]) -> None:
    assert judged(body, lambda value: [("/0", str(value))], 2) == (not_json, problems)
