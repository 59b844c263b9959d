"""What a route's table ``validate`` may say."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.operations import base_path, operations
from scalability.gateway.openapi.parameters import MAX_NESTING
from scalability.gateway.openapi.validation import Validation
from scalability.gateway.transform.paths import check_prefix


class ValidateOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``file``: the OpenAPI 3.0 or 3.1 document. Its paths begin behind ``base`` of what clients ask; without it, behind the path of its
    first server. Paths and methods that it does not have are refused (404, 405), unless ``unknown`` lets them pass.
    """

    file: Annotated[str, Meta(min_length=1)]
    base: str | None = None
    unknown: Literal["refuse", "pass"] = "refuse"
    max_body: Annotated[int, Meta(ge=0, le=64 << 20)] = 128 << 10
    """Bytes of a body that is to be checked: it is held until complete. Large ones are checked in other processes."""
    max_nesting: Annotated[int, Meta(ge=1, le=200)] = MAX_NESTING

    def __post_init__(self) -> None:
        if self.base is not None:
            check_prefix(self.base)

    def validation(self) -> Validation:
        """What checks requests. Reads the file; raises ValueError, saying what is wrong in it."""
        try:
            document = Document.read(Path(self.file))
            base = check_prefix(base_path(document) or "/") if self.base is None else check_prefix(self.base)
            return Validation(operations(document), base, max_nesting=self.max_nesting, strict=self.unknown == "refuse")
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error
