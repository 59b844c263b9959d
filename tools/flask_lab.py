"""The lab as it is commonly built: small threaded Flask programs that call each other with requests.

Written for comparison only, in the shape of the course's reference (balancer, gateways, cache, database, each a
process of its own), and needed by nothing but the benchmark. ``python tools/flask_lab.py ROLE PORT [URL ...]``.
"""

import argparse
import itertools
import logging
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

if __name__ == "__main__":
    import _bootstrap

    _bootstrap.ensure("bench")

import requests
from flask import Flask, Response, jsonify, request


def balancer(gateways: list[str]) -> Flask:
    """Round robin over ``gateways``, without health checks; each thread keeps its connections."""
    app, turn = Flask("balancer"), itertools.cycle(gateways)

    @app.route("/<path:path>", methods=["GET", "POST"])
    def forward(path: str) -> Response:
        answer = requests.request(request.method, f"{next(turn)}/{path}", data=request.get_data(), timeout=10)
        return Response(answer.content, answer.status_code, content_type=answer.headers.get("Content-Type"))

    return app


def gateway(cache: str, database: str) -> Flask:
    """``/data`` from the cache, else from the database."""
    app = Flask("gateway")

    @app.route("/data")
    def data() -> Response:
        found: Any = requests.get(f"{cache}/cache/data", timeout=10).json()["value"]
        if found is not None:
            return jsonify(data=found, cached=True)
        fresh = requests.get(f"{database}/db", timeout=10).json()["message"]
        requests.post(f"{cache}/cache/data", json={"value": fresh}, timeout=10)
        return jsonify(data=fresh, cached=False)

    return app


def cache() -> Flask:
    """Entries of 30 s in a dictionary under a lock."""
    app, lock = Flask("cache"), threading.Lock()
    entries: dict[str, tuple[Any, float]] = {}

    @app.route("/cache/<key>", methods=["GET"])
    def get(key: str) -> Response:
        with lock:
            value, expires_at = entries.get(key, (None, 0.0))
        return jsonify(value=value if expires_at > time.time() else None)

    @app.route("/cache/<key>", methods=["POST"])
    def put(key: str) -> Response:
        with lock:
            entries[key] = (request.get_json()["value"], time.time() + 30)
        return jsonify(status="ok")

    return app


def database() -> Flask:
    """One constant row."""
    app = Flask("database")

    @app.route("/db")
    def read() -> Response:
        return jsonify(message="Fetched fresh data from DB")

    return app


URLS = {"balancer": "the gateways", "gateway": "the cache and the database", "cache": "", "database": ""}
"""The roles, and which URLs each needs."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=URLS, metavar="ROLE", help=", ".join(URLS))
    parser.add_argument("port", type=int, metavar="PORT", help="port on 127.0.0.1 to listen on")
    parser.add_argument("urls", nargs="*", metavar="URL", help="the balancer's gateways; the gateway's cache and database")
    given = parser.parse_args(arguments)
    role, urls = given.role, given.urls
    if (role == "gateway" and len(urls) != 2) or (role == "balancer" and not urls):
        parser.error(f"the {role} needs the URLs of {URLS[role]}")
    app = {
        "balancer": lambda: balancer(urls),
        "gateway": lambda: gateway(*urls),
        "cache": cache,
        "database": database,
    }[role]()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request would be measured too
    app.run("127.0.0.1", given.port, threaded=True)


if __name__ == "__main__":
    main(sys.argv[1:])
