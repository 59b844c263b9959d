"""A Klein app of one route, on this suite's HTTP server or on twisted.web's: ``tools/bench.py klein`` compares them.

Each as its users run it: ours on the lean reactor, twisted.web's on the reactor that Twisted chooses.
"""

import sys
from collections.abc import Sequence
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

KINDS = ("ours", "twisted.web")
BODY = b'{"message": "Fetched fresh data from DB", "filler": "....."}'


def app() -> Klein:
    """The route ``/data``, which returns 60 bytes of JSON."""
    klein = Klein()

    @klein.route("/data", methods=["GET"])
    def data(request: IRequest) -> bytes:
        request.setHeader(b"Content-Type", b"application/json")
        return BODY

    return klein


def serve(reactor: Any, kind: str, port: int) -> Any:
    """Listen on ``port`` of 127.0.0.1; answers the listening port."""
    if kind == "ours":
        from scalability.api.mount import mount
        from scalability.net.transport import listen_tcp

        return listen_tcp(reactor, "127.0.0.1", port, mount(app(), reactor=reactor))
    from twisted.web.server import Site

    return reactor.listenTCP(port, Site(app().resource()), backlog=1024, interface="127.0.0.1")


def main(arguments: Sequence[str]) -> int:
    """``KIND PORT``."""
    kind, port = arguments
    if kind not in KINDS:
        sys.stderr.write(f"there is no {kind!r}; there is {' and '.join(KINDS)}\n")
        return 1
    reactor: Any
    if kind == "ours":
        from scalability.net.reactor import install

        reactor = install()
    else:
        from twisted.internet import reactor as installed

        reactor = installed
    serve(reactor, kind, int(port))
    reactor.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
