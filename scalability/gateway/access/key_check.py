"""A route that asks for an API key."""

from typing import Protocol

from scalability.errors import Unauthorized
from scalability.gateway.access.api_keys import KeyPlace, KeyRing
from scalability.http1.edit import HeadEditor
from scalability.http1.fields import Field
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead


class Asking(Protocol):
    """What is looked at, and changed, of a request."""

    added: list[Field]
    authenticated: bool
    consumer: bytes
    head: RequestHead


class Rings(Protocol):
    """Has the keys of now."""

    ring: KeyRing


class KeyCheck:
    """Admits requests with a key of ``rings``; tells the servers behind, in ``consumer_field``, whose it is.

    The key itself goes no further, unless ``forward``.
    """

    def __init__(self, rings: Rings, field: str, *, parameter: str = "", consumer_field: str = "", forward: bool = False) -> None:
        self._rings = rings
        self._place = KeyPlace(field, parameter)
        self._forward = forward
        self._consumer_field = consumer_field.encode()
        # not registered with IANA, and what most gateways say: RFC 9110 section 11.6.1 wants a challenge with every 401
        self._challenge = (b"WWW-Authenticate", f'ApiKey realm="scalelab", field="{field}"'.encode())
        without = {self._consumer_field.lower()} if consumer_field else set()
        self._editor = HeadEditor(frozenset(without if forward else {*without, self._place.field}), DEFAULT_LIMITS)

    def covers(self, other: "KeyCheck") -> bool:
        """Whether who passes here passes ``other``, and servers are told of him in the same field."""
        return self._consumer_field.lower() == other._consumer_field.lower() and self._rings is other._rings

    def admit(self, exchange: Asking) -> None:
        """Raise Unauthorized, with a challenge added."""
        head = exchange.head
        try:
            key = self._place.key_of(head)
            if key is None:
                raise Unauthorized("an API key is needed")
            holder = self._rings.ring.holder(key)
            if holder is None:
                raise Unauthorized("the API key is not valid")
        except Unauthorized:
            exchange.added.append(self._challenge)
            raise
        exchange.authenticated = True
        name = holder.encode()
        exchange.consumer = name
        added = ((self._consumer_field, name),) if self._consumer_field else ()
        target = None if self._forward else self._place.without_key(head.target)
        exchange.head = self._editor.edit(head, added, target)
