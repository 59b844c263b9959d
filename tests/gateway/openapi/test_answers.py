"""The promises are JSON types; that the routes keep them is tried in ``test_own`` and by the integration tests."""

import msgspec

from scalability.gateway.openapi import answers


def test_each_has_a_schema() -> None:
    types = [
        one for one in vars(answers).values() if isinstance(one, type) and one is not msgspec.Struct and issubclass(one, msgspec.Struct)
    ]
    schemas, _ = msgspec.json.schema_components(types)
    assert len(schemas) == len(types) == 7
