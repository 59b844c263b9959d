"""INFO: the server's state in the words of Redis, as far as tools read them and they have a meaning here. PURE.

What the server does not know is left out, not made up, except for ``avg_ttl`` of the keyspace: tools fail without it, and what
entries have left on average is not counted; it is always 0.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from scalability.cache.resp.commands import Family, Request
from scalability.cache.resp.connection_commands import REDIS_VERSION
from scalability.resp import replies

if TYPE_CHECKING:
    from scalability.cache.resp.server import ServerState
    from scalability.cache.resp.session import Session
    from scalability.ttlcache.engine import Statistics

FAMILY = Family("server")

Fields = dict[str, object]

_DAY_S = 86_400


@FAMILY.command("info", -1, "costly", summary="Tells of the server: all sections, or those named.")
def info(session: "Session", request: Request) -> bytes:
    """Sections of ``name:value`` lines. Names of no section are passed over."""
    asked = {word.lower().decode("latin-1") for word in request[1:]}
    everything = not asked or bool(asked & {"all", "default", "everything"})
    texts = [
        "\r\n".join([f"# {name}", *(f"{key}:{value}" for key, value in section(session.server, session.now).items()), ""])
        for name, section in SECTIONS.items()
        if everything or name.lower() in asked
    ]
    return replies.verbatim("\r\n".join(texts).encode(), resp3=session.resp3)


def _server(state: "ServerState", now: float) -> Fields:
    facts = state.process()
    uptime_s = max(0, int(now - state.started_at))
    return {
        "redis_version": REDIS_VERSION.decode(),
        "redis_mode": "standalone",
        "server_name": "scalelab-cache",
        "python_version": facts.python,
        "process_id": facts.pid,
        "tcp_port": state.port,
        "server_time_usec": int(now * 1_000_000),
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // _DAY_S,
        "executable": "",
        "config_file": "",
    }


def _clients(state: "ServerState", now: float) -> Fields:
    return {
        "connected_clients": len(state.sessions),
        "cluster_connections": 0,
        "maxclients": state.max_clients,
        "blocked_clients": 0,
        "tracking_clients": state.tracking.clients,
        "watching_clients": sum(session.watch is not None for session in state.sessions.values()),
        "total_watched_keys": len(state.watches),
    }


def _memory(state: "ServerState", now: float) -> Fields:
    cache, facts = state.entries.cache, state.process()
    return {
        "used_memory": cache.bytes,
        "used_memory_human": _human(cache.bytes),
        "used_memory_rss": facts.resident_bytes,
        "used_memory_rss_human": _human(facts.resident_bytes),
        "maxmemory": cache.max_bytes,
        "maxmemory_human": _human(cache.max_bytes),
        "maxmemory_policy": state.settings.get("maxmemory-policy", ""),
        "mem_clients_multi": state.queued.bytes,
    }


def _persistence(state: "ServerState", now: float) -> Fields:
    kept = state.snapshots
    fields: Fields = {"loading": 0, "aof_enabled": 0}
    if kept is not None:
        fields |= {
            "rdb_bgsave_in_progress": int(kept.writing),
            "rdb_last_save_time": int(kept.written_at or state.started_at),
            "rdb_last_bgsave_status": "err" if kept.last_failed and not kept.writing else "ok",
            "rdb_last_bgsave_time_sec": round(kept.duration_s) if kept.written_at else -1,
            "rdb_last_load_keys_loaded": kept.loaded,
        }
    return fields


def _stats(state: "ServerState", now: float) -> Fields:
    kept, counts, since = state.entries.cache.stats, state.counts, state.counted_from
    return {
        "total_connections_received": counts.connections - since.counts.connections,
        "total_commands_processed": counts.commands - since.counts.commands,
        "rejected_connections": counts.rejected_connections - since.counts.rejected_connections,
        "expired_keys": kept.expired - since.entries.expired,
        "evicted_keys": _evicted(kept) - _evicted(since.entries),
        "keyspace_hits": kept.hits - since.entries.hits,
        "keyspace_misses": kept.misses - since.entries.misses,
        "tracking_total_keys": state.tracking.keys,
        "tracking_total_items": state.tracking.pairs,
        "tracking_total_prefixes": state.tracking.prefixes,
        "total_error_replies": counts.errors - since.counts.errors,
    }


def _replication(state: "ServerState", now: float) -> Fields:
    return {"role": "master", "connected_slaves": 0, "master_failover_state": "no-failover", "master_repl_offset": 0}


def _cpu(state: "ServerState", now: float) -> Fields:
    facts = state.process()
    return {"used_cpu_sys": f"{facts.system_s:.6f}", "used_cpu_user": f"{facts.user_s:.6f}"}


def _modules(state: "ServerState", now: float) -> Fields:
    return {}


def _cluster(state: "ServerState", now: float) -> Fields:
    return {"cluster_enabled": 0}


def _keyspace(state: "ServerState", now: float) -> Fields:
    cache = state.entries.cache
    keys = len(cache)
    return {"db0": f"keys={keys},expires={cache.ending},avg_ttl=0"} if keys else {}


SECTIONS: dict[str, Callable[["ServerState", float], Fields]] = {
    "Server": _server,
    "Clients": _clients,
    "Memory": _memory,
    "Persistence": _persistence,
    "Stats": _stats,
    "Replication": _replication,
    "CPU": _cpu,
    "Modules": _modules,
    "Cluster": _cluster,
    "Keyspace": _keyspace,
}


def _evicted(kept: "Statistics") -> int:
    return kept.evicted_bytes + kept.evicted_entries


def _human(number: float) -> str:
    """As Redis writes it: ``1.50M``."""
    units = iter("BKMGT")
    unit = next(units)
    while number >= 1024 and unit != "T":
        number /= 1024
        unit = next(units)
    return f"{number:.0f}B" if unit == "B" else f"{number:.2f}{unit}"
