"""The balancer's calls on its admin listener: how its servers stand, why a request went where it went, and what an operator may change.

Reading is open to whoever reaches the listener. What changes something is a POST or PUT that carries the admin token, which no web page
can make a browser send.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from klein import Klein
from twisted.web.iweb import IRequest

from scalability.api.admin_token import AdminToken
from scalability.api.json import encoded_answer, json_answer, read_json
from scalability.balancer.page import PAGE, POLICY
from scalability.balancer.status import by_server, described, status, wanted
from scalability.balancer.use import Processes
from scalability.errors import NotFound, Unprocessable
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import MAX_WEIGHT

FIELDS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

REFUSED = "refused"
FAILED = "failed"

Reload = Callable[[], Awaitable[tuple[str, str]]]
"""Reads the configuration anew. ``changed``, ``unchanged``, ``refused`` or ``failed`` (half way), and a line that says what changed, or
why nothing did."""


class WantedState(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``PUT /servers/NAME/state``."""

    state: Literal["ready", "drain", "maint"]


class WantedWeight(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``PUT /servers/NAME/weight``; None: the configured one again."""

    weight: Annotated[int, msgspec.Meta(ge=0, le=MAX_WEIGHT)] | None


def admin_calls(
    upstream: Upstream,
    processes: Processes,
    token: AdminToken,
    *,
    algorithm: str,
    wall: Callable[[], float],
    explained: int,
    reload: Reload | None = None,
) -> Klein:
    """The routes. ``upstream`` is the one that decides, ``processes`` are those that serve; ``wall`` tells Unix seconds.

    So many decisions are ``explained``, by each process. Without ``reload`` there is no ``/reload``.
    """
    app = Klein()

    def named(name: str) -> Server:
        server = upstream.server_named(name)
        if server is None:
            raise NotFound(f"there is no server {name[:100]!r}; GET /servers names them all")
        return server

    @app.route("/", methods=["GET"])
    def page(request: IRequest) -> bytes:
        fields = (*FIELDS, (b"content-security-policy", POLICY), (b"referrer-policy", b"no-referrer"))
        return encoded_answer(request, PAGE, b"text/html; charset=utf-8", fields=fields)

    @app.route("/servers", methods=["GET"])
    async def servers(request: IRequest) -> bytes:
        uses = await processes.uses()
        return json_answer(request, status(upstream, algorithm, uses, wall()), fields=FIELDS)

    @app.route("/servers/<name>", methods=["GET"])
    async def one_server(request: IRequest, name: str) -> bytes:
        named(name)  # nobody is asked about one that is not there
        uses = by_server(await processes.uses())
        return json_answer(request, described(named(name), upstream, uses.get(name, ()), wall()), fields=FIELDS)

    @app.route("/servers/<name>/state", methods=["PUT"])
    def set_state(request: IRequest, name: str) -> bytes:
        token.check(request)
        server = named(name)
        upstream.set_mode(server, Mode(read_json(request, WantedState).state))
        return changed(request, server)

    @app.route("/servers/<name>/weight", methods=["PUT"])
    def set_weight(request: IRequest, name: str) -> bytes:
        token.check(request)
        server = named(name)
        upstream.set_weight(server, read_json(request, WantedWeight).weight)
        return changed(request, server)

    def changed(request: IRequest, server: Server) -> bytes:
        return json_answer(request, {"name": server.name, **wanted(server)}, fields=FIELDS)

    @app.route("/why/<path:request_id>", methods=["GET"])
    async def why(request: IRequest, request_id: str) -> bytes:
        decisions: list[dict[str, Any]] = await processes.why(request_id)
        if not decisions:
            raise NotFound(unexplained(request_id, explained))
        return json_answer(request, {"request_id": request_id, "decisions": decisions}, fields=FIELDS)

    if reload is not None:

        @app.route("/reload", methods=["POST"])
        async def read_anew(request: IRequest) -> bytes:
            token.check(request)
            result, what = await reload()
            if result == REFUSED:
                raise Unprocessable(f"the configuration is not changed: {what}")
            if result == FAILED:
                raise Unprocessable(f"the configuration is changed in part: {what}")
            return json_answer(request, {"result": result, "what": what}, fields=FIELDS)

    return app


def unexplained(request_id: str, explained: int) -> str:
    """Why nothing is known of a request."""
    if not explained:
        return "no decision is remembered: the balancer was started with --explained-requests 0"
    return (
        f"no decision about the request {request_id[:100]!r} is remembered: only those about the last {explained} attempts are "
        "(--explained-requests), by the X-Request-Id of their answer, and there is none about a request that got no server"
    )
