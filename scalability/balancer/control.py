"""``tools/lbctl.py``: a running balancer from the shell, with HAProxy's verbs, through its admin listener.

Exit status: 0 when it is done, 1 when the balancer refused (its sentence says why), 4 when nobody answers there, 64 for a mistake on the
command line, 130 when it was interrupted.
"""

import argparse
import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO
from urllib.parse import quote

from scalability.api.admin_token import read_token
from scalability.balancer.tables import decisions_table, errors_table, info_lines, servers_table, stat_csv
from scalability.config import Address
from scalability.errors import ConfigError
from scalability.upstream.spec import MAX_WEIGHT

FINE, REFUSED, UNREACHABLE, USAGE, INTERRUPTED = 0, 1, 4, 64, 130

ADMIN = Address("127.0.0.1", 18000)
"""The lab's."""
TOKEN_FILE = "SCALELAB_LB_ADMIN_TOKEN_FILE"
"""As the balancer itself is told where the token is."""
TIMEOUT_S = 15.0
"""A reload may take 10."""
LARGEST_BYTES = 64 << 20
"""Some thousand servers with their checks are a few megabytes."""

CHANGES = frozenset(("PUT", "POST"))


class Failed(Exception):
    """It is not done; ``status`` is the process's."""

    def __init__(self, message: str, status: int = REFUSED) -> None:
        super().__init__(message)
        self.status = status


class Admin:
    """The admin listener at ``address``."""

    def __init__(self, address: Address, token_file: Path | None) -> None:
        self._address = address
        self._token_file = token_file

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises Failed."""
        fields = {"Content-Type": "application/json"} if body is not None else {}
        if method in CHANGES and self._token_file is not None:
            try:
                fields["Authorization"] = f"Bearer {read_token(self._token_file).decode('ascii')}"
            except ConfigError as error:
                raise Failed(error.why, USAGE) from error
        connection = http.client.HTTPConnection(self._address.host, self._address.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, fields)
            answer = connection.getresponse()
            content = answer.read(LARGEST_BYTES)
        except TimeoutError as error:
            raise Failed(f"no answer from {self._address} within {TIMEOUT_S:g} s", UNREACHABLE) from error
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or repr(error)
            raise Failed(f"no balancer answers at {self._address}: {why}; give its --admin address", UNREACHABLE) from error
        finally:
            connection.close()
        try:
            told = json.loads(content)
        except ValueError as error:
            raise Failed(f"what listens at {self._address} is not a balancer's admin listener", UNREACHABLE) from error
        if answer.status != 200:
            why = str(told.get("message", answer.reason)) if isinstance(told, dict) else answer.reason
            if method in CHANGES and answer.status in (401, 403) and self._token_file is None:
                why += "; give --token-file the balancer's --admin-token-file"
            raise Failed(why)
        return told


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and ends with 64."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"lbctl: {message}; --help says more\n")


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _weight(text: str) -> int | None:
    if text == "default":
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_WEIGHT:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 0 to {MAX_WEIGHT} nor default, the configured weight")
    return int(text)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        type=lambda text: text.rpartition("/")[2],
        metavar="NAME",
        help="HOST:PORT, as show servers names it; HAProxy's BACKEND/ may stand before it",
    )


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line."""
    made = _Parser(
        prog="lbctl.py",
        description="Look at a running scalelab-lb, and change it, through its admin listener.",
        epilog="Exit status: 0 done, 1 refused by the balancer, 4 nobody answers there, 64 a mistake in these arguments, 130 interrupted.",
    )
    made.add_argument(
        "--admin", type=_address, default=ADMIN, metavar="HOST:PORT", help="its --admin address (default %(default)s, the lab's)"
    )
    made.add_argument(
        "--token-file",
        type=Path,
        default=Path(environ[TOKEN_FILE]) if environ.get(TOKEN_FILE) else None,
        metavar="FILE",
        help=f"its --admin-token-file, without which nothing can be changed (default ${TOKEN_FILE})",
    )
    made.add_argument("--json", action="store_true", help="print the balancer's answer as it is")
    verbs = made.add_subparsers(dest="verb", required=True, metavar="VERB")
    shows = verbs.add_parser("show", help="show servers|stat|info|errors; show why REQUEST-ID").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    servers = shows.add_parser("servers", help="every server: state, weight, requests, checks")
    servers.add_argument("state", nargs="?", choices=("state",), help="may be said, as HAProxy has it")
    shows.add_parser("stat", help="the same as CSV, with HAProxy's names of columns")
    shows.add_parser("info", help="the balancer as a whole, a line each")
    shows.add_parser("errors", help="what failed at each server, and the last check that did")
    why = shows.add_parser("why", help="why a request went where it went")
    why.add_argument("request_id", metavar="REQUEST-ID", help="the X-Request-Id of its answer")
    changes = verbs.add_parser("set", help="set server NAME state ready|drain|maint; set weight NAME N")
    sets = changes.add_subparsers(dest="what", required=True, metavar="server|weight")
    server = sets.add_parser("server", help="change a server")
    _add_name(server)
    keys = server.add_subparsers(dest="key", required=True, metavar="state|weight")
    state = keys.add_parser("state", help="ready: takes requests; drain: finishes what it has; maint: gets none at all")
    state.add_argument("value", choices=("ready", "drain", "maint"))
    weight = keys.add_parser("weight", help="its share of the requests")
    weight.add_argument("value", type=_weight, metavar="N", help=f"0 to {MAX_WEIGHT}, or default: the configured one again")
    heavy = sets.add_parser("weight", help="set weight NAME N: the same as set server NAME weight N")
    _add_name(heavy)
    heavy.add_argument("value", type=_weight, metavar="N", help=f"0 to {MAX_WEIGHT}, or default: the configured one again")
    for verb, mode, what in (("enable", "ready", "takes requests again"), ("disable", "maint", "gets no request at all")):
        one = verbs.add_parser(verb, help=f"{verb} server NAME: it {what} (set server NAME state {mode})")
        _add_name(one.add_subparsers(dest="what", required=True, metavar="server").add_parser("server", help=f"it {what}"))
    verbs.add_parser("reload", help="read the configuration anew")
    return made


def run(arguments: argparse.Namespace, admin: Admin) -> tuple[Any, str]:
    """What the balancer answered, and the same for people. Raises Failed."""
    match arguments.verb, getattr(arguments, "what", None):
        case "show", "why":
            told = admin.ask("GET", f"/why/{quote(arguments.request_id, safe='')}")
            return told, decisions_table(told)
        case "show", str(what):
            told = admin.ask("GET", "/servers")
            return told, TABLES[what](told)
        case "set", "weight":
            return changed(admin, arguments.name, "weight", arguments.value)
        case "set", _:
            return changed(admin, arguments.name, arguments.key, arguments.value)
        case ("enable" | "disable") as verb, _:
            return changed(admin, arguments.name, "state", "ready" if verb == "enable" else "maint")
        case _:
            told = admin.ask("POST", "/reload")
            return told, f"{told['result']}: {told['what']}"


TABLES = {"servers": servers_table, "stat": stat_csv, "info": info_lines, "errors": errors_table}
"""What is shown of the answer of ``GET /servers``."""


def changed(admin: Admin, name: str, key: str, value: Any) -> tuple[Any, str]:
    """Have the state or the weight of a server be ``value``. Raises Failed."""
    told = admin.ask("PUT", f"/servers/{quote(name, safe='')}/{key}", {key: value})
    return told, f"{told['name']}: {told['mode']}, weight {told['weight']} (configured {told['configured_weight']})"


def main(arguments: Sequence[str] | None = None, *, out: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Do what the command line says; the exit status."""
    parsed = parser(environ).parse_args(arguments)
    try:
        try:
            told, text = run(parsed, Admin(parsed.admin, parsed.token_file))
        except (KeyError, TypeError, AttributeError) as error:
            raise Failed(f"what listens at {parsed.admin} is not a balancer's admin listener of this version", UNREACHABLE) from error
    except Failed as error:
        print(f"lbctl: {error}", file=sys.stderr)  # noqa: T201 - this is the command
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    print(json.dumps(told, indent=1) if parsed.json else text, file=out or sys.stdout)
    return FINE
