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
            raise Failed(str(told.get("message", answer.reason)) if isinstance(told, dict) else answer.reason)
        return told


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and ends with 64."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"lbctl: {message}\n")


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
    shows = verbs.add_parser("show", help="show servers; show why REQUEST-ID").add_subparsers(dest="what", required=True, metavar="WHAT")
    shows.add_parser("servers", help="every server: state, weight, requests, checks")
    why = shows.add_parser("why", help="why a request went where it went")
    why.add_argument("request_id", metavar="REQUEST-ID", help="the X-Request-Id of its answer")
    changes = verbs.add_parser("set", help="set server NAME state ready|drain|maint; set server NAME weight N")
    sets = changes.add_subparsers(dest="what", required=True, metavar="server")
    server = sets.add_parser("server", help="change a server")
    server.add_argument("name", metavar="NAME", help="HOST:PORT, as show servers names it")
    keys = server.add_subparsers(dest="key", required=True, metavar="state|weight")
    state = keys.add_parser("state", help="ready: takes requests; drain: finishes what it has; maint: gets none at all")
    state.add_argument("value", choices=("ready", "drain", "maint"))
    weight = keys.add_parser("weight", help="its share of the requests")
    weight.add_argument("value", type=_weight, metavar="N", help=f"0 to {MAX_WEIGHT}, or default: the configured one again")
    verbs.add_parser("reload", help="read the configuration anew")
    return made


def run(arguments: argparse.Namespace, admin: Admin) -> tuple[Any, str]:
    """What the balancer answered, and the same for people. Raises Failed."""
    match arguments.verb, getattr(arguments, "what", None):
        case "show", "servers":
            told = admin.ask("GET", "/servers")
            return told, servers_table(told)
        case "show", _:
            told = admin.ask("GET", f"/why/{quote(arguments.request_id, safe='')}")
            return told, decisions_table(told)
        case "set", _:
            key = arguments.key
            told = admin.ask("PUT", f"/servers/{quote(arguments.name, safe='')}/{key}", {key: arguments.value})
            return told, f"{told['name']}: {told['mode']}, weight {told['weight']} (configured {told['configured_weight']})"
        case _:
            told = admin.ask("POST", "/reload")
            return told, f"{told['result']}: {told['what']}"


def servers_table(told: Mapping[str, Any]) -> str:
    """``GET /servers`` for people."""
    rows = [("SERVER", "STATE", "MODE", "WEIGHT", "ACTIVE", "REQUESTS", "FAILED", "ANSWER", "BREAKER", "LAST CHECK")]
    for server in told["servers"]:
        checks = server.get("checks", {})
        state = server["state"] + (", ejected" if server.get("ejected") else "")
        most = f"/{server['max_active']}" if server.get("max_active") else ""
        rows.append(
            (
                server["name"],
                state,
                server.get("mode", "-"),
                weight_of(server),
                f"{server['active']}{most}",
                str(server["requests"]),
                str(sum(server["failures"].values())),
                answer_time(server),
                server["breaker"]["state"],
                checks.get("last", "-"),
            )
        )
    queue, retries, shedding = told["queue"], told["retries"], told["shedding"]
    sums = (
        f"{told['algorithm']}{', PANIC' if told['panic'] else ''}; "
        f"queue {queue['length']} of {queue['limit']}, refused {queue['refused']}, expired {queue['expired']}; "
        f"retries {retries['attempts']}, denied {retries['denied']}; turned away {shedding['shed']}"
    )
    return f"{aligned(rows, right={3, 4, 5, 6, 7})}\n{sums}"


def weight_of(server: Mapping[str, Any]) -> str:
    """``0 (1)``: the weight, and the configured one where that is another."""
    if "weight" not in server:
        return "-"
    return (
        str(server["weight"]) if server["weight"] == server["configured_weight"] else f"{server['weight']} ({server['configured_weight']})"
    )


def answer_time(server: Mapping[str, Any]) -> str:
    """What an answer takes: what was learned lately, else the mean since the start."""
    if server["ewma_s"] is not None:
        return f"{server['ewma_s'] * 1e3:.1f}ms"
    answers = server["answers"]
    return f"{answers['seconds'] / answers['count'] * 1e3:.1f}ms" if answers["count"] else "-"


def decisions_table(told: Mapping[str, Any]) -> str:
    """``GET /why/REQUEST-ID`` for people."""
    lines = []
    for number, decision in enumerate(told["decisions"], 1):
        where = f", in worker {decision['worker']}" if "worker" in decision else ""
        lines.append(f"attempt {number}: {decision['server']}, {REASONS.get(decision['reason'], decision['reason'])}{where}")
        if decision.get("tried"):
            lines.append(f"  tried before: {' '.join(decision['tried'])}")
        if "drawn" in decision:
            drawn = [("  DRAWN", "WEIGHT", "ACTIVE", "EWMA", "SCORE")]
            drawn += [
                (f"  {each['server']}", str(each["weight"]), str(each["active"]), ewma(each), score(each)) for each in decision["drawn"]
            ]
            lines.append(aligned(drawn, right={1, 2, 3, 4}))
        rows = [("  CANDIDATE", "WEIGHT", "ACTIVE")]
        rows += [(f"  {each['server']}", str(each["weight"]), str(each.get("active", "-"))) for each in decision["candidates"]]
        lines.append(aligned(rows, right={1, 2}))
        if decision["candidates_in_all"] > len(decision["candidates"]):
            lines.append(f"  and {decision['candidates_in_all'] - len(decision['candidates'])} more")
    return "\n".join(lines)


def ewma(drawn: Mapping[str, Any]) -> str:
    """The average that ``peak_ewma`` went by."""
    return f"{drawn['ewma_s'] * 1e3:.3f}ms" if drawn.get("ewma_s") is not None else "-"


def score(drawn: Mapping[str, Any]) -> str:
    """What the algorithm compared; the lower one won."""
    return f"{drawn['score']:.4g}" if drawn.get("score") is not None else "-"


REASONS = {
    "chosen": "chosen by the algorithm",
    "bound": "the client is bound to it by its cookie",
    "queued": "the first with a free place, after a wait in the queue",
    "status": "the answer before was an error's (a retry)",
    "connect_failed": "the connection before was refused",
    "connect_timeout": "the connection before was not made in time",
    "went_down": "the server before went down while it was connected to",
    "hedged": "asked too, as the first one took long (a hedge)",
    "no_answer": "the connection before broke without an answer (a retry)",
    "bad_answer": "what came before was no HTTP/1.1 (a retry)",
    "answer_timeout": "no answer came in time before (a retry)",
}


def aligned(rows: Sequence[Sequence[str]], *, right: set[int]) -> str:
    """``rows`` as columns; those in ``right`` stand at their right edge."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


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
