"""The options of scalelab-microservice."""

from enum import Enum
from typing import Annotated, ClassVar, Self

import msgspec

from scalability.config import Address, Flag, ServerOptions


class Kind(Enum):
    """What a request costs: time, or a processor."""

    SLEEP = "sleep"
    SPIN = "spin"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name. Raises ValueError, saying which there are."""
        for kind in cls:
            if kind.value == text:
                return kind
        raise ValueError(f"there are {' and '.join(kind.value for kind in cls)}, not {text!r}")

    def __str__(self) -> str:
        return self.value


class MicroserviceOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``twistd scalelab-microservice --help`` lists."""

    component: ClassVar[str] = "microservice"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 5001)
    service_time_s: Annotated[
        float,
        msgspec.Meta(ge=0, le=3600),
        Flag("Seconds that the work of one request takes, from 0 to 3600.", "S"),
    ] = 0.0
    kind: Annotated[
        Kind,
        Flag(
            "What the work does with its seconds: sleep waits, spin burns that much processor time in a process of its own.", "sleep|spin"
        ),
    ] = Kind.SLEEP
    concurrency: Annotated[
        int,
        msgspec.Meta(ge=1, le=100_000),
        Flag("Requests that are worked on at once; 1,000 more wait in line, and further ones are answered 503.", "N"),
    ] = 100
