"""``/openapi.json`` and ``/docs``: the gateway's own API, for programs and for people."""

from base64 import b32encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from klein import Klein
from twisted.web.iweb import IRequest

from scalability.api.json import encoded_answer
from scalability.gateway.openapi.described import Answered, described
from scalability.gateway.openapi.page import POLICY, page

PAGE_FIELDS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def describe(app: Klein, document: Callable[[], Mapping[str, Any]]) -> None:
    """Add both routes to ``app``; ``document`` is called once, when one of them is asked for the first time."""
    made: dict[str, tuple[bytes, bytes]] = {}

    def made_once(kind: str) -> tuple[bytes, bytes]:
        if not made:
            told = document()
            for name, body in (("json", msgspec.json.encode(told)), ("page", page(told))):
                made[name] = (body, b'"%b"' % b32encode(sha256(body).digest())[:26])
        return made[kind]

    def answer(request: Any, kind: str, content_type: bytes, fields: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
        body, tag = made_once(kind)
        request.setHeader(b"cache-control", b"no-cache")
        if request.setETag(tag):  # it is what the client has: twisted.web says 304 then
            return b""
        return encoded_answer(request, body, content_type, fields=fields)

    @app.route("/openapi.json", methods=["GET"])
    @described("This description, as OpenAPI 3.1.", answers={200: Answered("The document.", types=("application/json",))})
    def openapi(request: IRequest) -> bytes:
        return answer(request, "json", b"application/json")

    @app.route("/docs", methods=["GET"])
    @described("This description, as a page to read.", answers={200: Answered("The page.", types=("text/html",))})
    def docs(request: IRequest) -> bytes:
        return answer(request, "page", b"text/html; charset=utf-8", PAGE_FIELDS)
