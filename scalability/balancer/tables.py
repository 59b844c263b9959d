"""What the admin listener tells as JSON, as text for people and for scripts that read HAProxy's. PURE."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any


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


STAT = (
    "pxname",
    "svname",
    "qcur",
    "qmax",
    "scur",
    "slim",
    "stot",
    "econ",
    "eresp",
    "wretr",
    "status",
    "weight",
    "act",
    "bck",
    "chkfail",
    "chkdown",
    "rtime",
)
"""Names of columns of HAProxy's ``show stat`` (management guide, section 9.1): those whose meaning is the same here."""

NOT_CONNECTED = frozenset(("connect_failed", "connect_timeout", "tls_failed"))


def stat_csv(told: Mapping[str, Any]) -> str:
    """``GET /servers`` as HAProxy's ``show stat`` prints it: a line of names behind a ``#``, a line for each server, one for all of them.

    ``rtime`` is in milliseconds; a server that finishes its last requests is ``MAINT (leaving)``.
    """
    out = StringIO()
    lines = csv.writer(out, lineterminator="\n")
    out.write("# ")
    lines.writerow(STAT)
    queue = told["queue"]
    sums = dict.fromkeys(("scur", "stot", "econ", "eresp", "act", "bck"), 0)
    for server in told["servers"]:
        line = stat_of(server)
        for key in sums:
            sums[key] += int(line[key])
        lines.writerow([line.get(name, "") for name in STAT])
    takes = any(status_of(server) in ("UP", "no check") for server in told["servers"])
    whole = {
        "pxname": "lb",
        "svname": "BACKEND",
        "qcur": queue["length"],
        "qmax": queue["greatest"],
        "wretr": told["retries"]["attempts"],
        "status": "UP" if takes else "DOWN",
        **sums,
    }
    lines.writerow([whole.get(name, "") for name in STAT])
    return out.getvalue().rstrip("\n")


def stat_of(server: Mapping[str, Any]) -> dict[str, Any]:
    """One server under HAProxy's names."""
    failures, answers, checks = server["failures"], server["answers"], server.get("checks", {})
    econ = sum(count for code, count in failures.items() if code in NOT_CONNECTED)
    seconds = server["ewma_s"] if server["ewma_s"] is not None else answers["seconds"] / answers["count"] if answers["count"] else 0.0
    backup = bool(server.get("level"))
    return {
        "pxname": "lb",
        "svname": server["name"],
        "scur": server["active"],
        "slim": server.get("max_active") or "",
        "stot": server["requests"],
        "econ": econ,
        "eresp": sum(failures.values()) - econ,
        "status": status_of(server),
        "weight": server.get("weight", 0),
        "act": int(not backup),
        "bck": int(backup),
        "chkfail": checks.get("failed", 0),
        "chkdown": checks.get("went_down", 0),
        "rtime": round(seconds * 1e3),
    }


def status_of(server: Mapping[str, Any]) -> str:
    """HAProxy's word for where a server stands."""
    if server["state"] == "leaving":
        return "MAINT (leaving)"
    if server["mode"] != "ready":
        return str(server["mode"]).upper()
    if server["state"] in ("up", "falling"):
        return "UP"
    return "no check" if server["state"] == "unchecked" else "DOWN"


def info_lines(told: Mapping[str, Any]) -> str:
    """``GET /servers`` as HAProxy's ``show info``: all but the servers, ``Name: value``, a line each."""
    states = [server["state"] for server in told["servers"]]
    lines = {"Name": "scalelab-lb", "Servers": len(states), "Servers_up": states.count("up") + states.count("falling")}

    def flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from flat(f"{key}_{name}", inner)
        else:
            yield key.capitalize(), value

    for key, value in told.items():
        if key != "servers":
            lines.update(flat(key, value))
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def errors_table(told: Mapping[str, Any]) -> str:
    """``GET /servers`` as what went wrong: requests by reason, and the last check that failed."""
    rows = [("SERVER", "FAILED REQUESTS", "EJECTED", "LAST FAILED CHECK")]
    for server in told["servers"]:
        failed = " ".join(f"{code}={count}" for code, count in sorted(server["failures"].items()))
        check = server.get("checks", {}).get("last_failure")
        rows.append(
            (
                server["name"],
                failed or "-",
                server["ejected"]["cause"] if server.get("ejected") else "-",
                "-" if check is None else f"{told['at'] - check['at']:.0f} s ago: {check['what']}",
            )
        )
    return aligned(rows, right=set())
