"""The options that every component has."""

from typing import Annotated

from scalability.config.address import Address
from scalability.config.load import Flag, Options


class ServerOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a component that listens. Each component overrides ``listen`` with its own default port."""

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 0)
    admin: Annotated[
        Address | None,
        Flag("HOST:PORT of the admin listener: /metrics, /healthz, /readyz and this component's admin calls.", "HOST:PORT"),
    ] = None
