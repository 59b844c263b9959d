"""The options of the whole lab."""

from typing import Annotated, ClassVar

import msgspec

from scalability.config import Address, Flag, Options


class LabOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``scalelab`` itself is told. What each server is told stands in the server's own table of the same file."""

    component: ClassVar[str] = "lab"

    gateways: Annotated[
        int,
        msgspec.Meta(ge=1, le=64),
        Flag("Number of gateways, 1 to 64; they listen on 5000, 5003, and from 5006 upward.", "N"),
    ] = 2
    data_dir: Annotated[
        str,
        msgspec.Meta(min_length=1),
        Flag("Folder for the stores of the database and the worker; made when it is not there.", "DIR"),
    ] = "./.scalelab"
    admin: Annotated[
        Address | None,
        Flag("HOST:PORT of the lab's own admin listener: /metrics, /healthz, and /readyz: 200 once every server is ready.", "HOST:PORT"),
    ] = None
