"""The description is one."""

from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.operations import operations
from scalability.testing.api_document import SHOP


def test_it_can_be_used() -> None:
    assert operations(Document(SHOP)).match(b"/orders") is not None
