"""``scalelab-cache --snapshot`` as a real process."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from scalability.cache.snapshot_file import read
from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]


def fill(http: HTTPClient, port: int, first: int, last: int, value: str = "x" * 100) -> None:
    for at in range(first, last, 1000):
        entries = [{"key": f"k{number}", "value": value, "ttl": 600} for number in range(at, min(at + 1000, last))]
        assert http.post(port, "/cache-batch/set", json={"entries": entries}).json()["stored"] == len(entries)


def entries(http: HTTPClient, port: int) -> int:
    found: int = http.get(port, "/health").json()["entries"]
    return found


def test_a_restart_keeps_the_entries_and_their_ends(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    file = tmp_path / "cache.snapshot"
    first = start("scalelab-cache", "--snapshot", str(file))
    port = first.wait_listening()
    fill(http, port, 0, 3000)
    http.post(port, "/cache/soon", json={"value": 1, "ttl": 0.5})
    ends = http.post(port, "/cache/later", json={"value": {"a": 1}, "ttl": 100}).json()["expires_at"]
    assert first.stop() == -signal.SIGTERM  # as twistd gives it
    time.sleep(0.6)
    second = start("scalelab-cache", "--snapshot", str(file), "--admin", "127.0.0.1:0")
    port, admin = second.wait_listening(), second.wait_admin()
    assert entries(http, port) == 3001
    later = http.get(port, "/cache/later")
    assert later.json() == {"value": {"a": 1}}
    assert float(later.headers["cache-ttl"]) == pytest.approx(ends - time.time(), abs=2.0)
    assert http.get(port, "/cache/soon").json() == {"value": None}
    assert "scalelab_cache_snapshot_loaded_entries 3001.0" in http.get(admin, "/metrics").text
    assert second.stop() == -signal.SIGTERM
    assert "Traceback" not in first.output + second.output


def test_what_was_written_over_resp_is_kept_as_it_was(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    file = tmp_path / "cache.snapshot"
    first = start("scalelab-cache", "--snapshot", str(file))
    with redis.Redis(port=first.wait_resp()) as client:
        client.set(b"\xff\x00key", b"\x00\xfe" * 1000)
        client.set("json", "[1.50]")
        client.set("short", "x", px=100_000)
        client.expire("json", 500)
    assert first.stop() == -signal.SIGTERM
    second = start("scalelab-cache", "--snapshot", str(file))
    port = second.wait_listening()
    with redis.Redis(port=second.wait_resp()) as client:
        assert client.get(b"\xff\x00key") == b"\x00\xfe" * 1000
        assert [client.ttl(key) for key in (b"\xff\x00key", "json", "short")] == [-1, pytest.approx(495, abs=6), pytest.approx(95, abs=6)]
        client.set("binary", b"\xff")
        client.set("text", "plain")
    assert http.get(port, "/cache/json").body == b'{"value":[1.50]}'
    assert http.get(port, "/cache/text").json() == {"value": "plain"}
    assert http.get(port, "/cache/text").headers["cache-ttl"] == "never"
    assert (http.get(port, "/cache/binary").status, http.get(port, "/cache/binary").json()["error"]) == (409, "conflict")
    purged = http.delete(port, "/cache?prefix=%FF")
    assert purged.json() == {"status": "ok", "deleted": 1}


def test_one_can_be_asked_for_over_resp(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "cache.snapshot"
    cache = start("scalelab-cache", "--snapshot", str(file))
    with redis.Redis(port=cache.wait_resp()) as client:
        client.set("a", "1")
        before = client.lastsave()
        time.sleep(1.1)
        assert client.bgsave()
        deadline = time.monotonic() + 10
        while client.info("persistence")["rdb_bgsave_in_progress"] or not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.lastsave() > before
        assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
    assert sum(map(len, read(file))) == 1
    cache.kill(signal.SIGKILL)


def test_killed_in_the_middle_of_a_writing_the_one_before_is_whole(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    file = tmp_path / "cache.snapshot"
    chance = random.Random(7)
    arguments = ("--snapshot", str(file), "--snapshot-interval", "0.1")
    kept = 0
    during = 0
    for round_ in range(6):
        cache = start("scalelab-cache", *arguments)
        port = cache.wait_listening()
        assert entries(http, port) >= kept
        fill(http, port, round_ * 5000, round_ * 5000 + 5000)
        deadline = time.monotonic() + 20
        while not file.exists() or sum(map(len, read(file))) < (round_ + 1) * 5000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        kept = (round_ + 1) * 5000
        # changes without end, so that another one is always being written
        until = time.monotonic() + chance.uniform(0.05, 0.3)
        while time.monotonic() < until:
            fill(http, port, 0, 1000, "y" * 100)
        temporary = Path(f"{file}.tmp")
        deadline = time.monotonic() + 1
        while not temporary.exists() and time.monotonic() < deadline:
            fill(http, port, 0, 1, "z")
        during += temporary.exists()
        cache.kill(signal.SIGKILL)
        assert cache.wait() == -signal.SIGKILL
        assert sum(map(len, read(file))) == kept
    assert during, "it was never killed while it wrote"
    assert not list(tmp_path.glob("*.bad-*"))


def test_damaged_bytes_are_set_aside_and_the_server_serves(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    file = tmp_path / "cache.snapshot"
    cache = start("scalelab-cache", "--snapshot", str(file))
    fill(http, cache.wait_listening(), 0, 100)
    cache.stop()
    good = file.read_bytes()
    file.write_bytes(good[:1000] + bytes([good[1000] ^ 0x10]) + good[1001:])
    cache = start("scalelab-cache", "--snapshot", str(file))
    port = cache.wait_listening()
    assert entries(http, port) == 0
    cache.wait_for(r"the snapshot .* cannot be read \(block 0 does not match its checksum\); it is now .*\.bad-\d+T\d+Z")
    assert len(list(tmp_path.glob("*.bad-*"))) == 1
    fill(http, port, 0, 10)
    cache.stop()
    assert sum(map(len, read(file))) == 10
    assert "Traceback" not in cache.output


def test_two_servers_do_not_share_a_file(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "cache.snapshot"
    first = start("scalelab-cache", "--snapshot", str(file))
    first.wait_listening()
    second = start("scalelab-cache", "--snapshot", str(file))
    assert second.wait() != 0
    assert f"scalelab-cache: --snapshot: {file} is in use by process {first.pid}; each server needs a file of its own" in second.output
    assert "Traceback" not in second.output
