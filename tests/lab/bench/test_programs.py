"""Programs under measurement are ready when they listen, and end."""

import os
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest

from scalability.lab.bench.programs import Program, free_port, haproxy, nginx, nginx_cache, upstream, varnish


def test_a_program_is_ready_when_it_listens_and_ends_with_its_block() -> None:
    with upstream(free_port()) as program:
        with urllib.request.urlopen(program.url, timeout=5) as answer:
            assert len(answer.read()) == 60
        pid = program.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_never_listens_is_an_error_with_its_output() -> None:
    with pytest.raises(RuntimeError, match="no luck"), Program([sys.executable, "-c", "print('no luck')"], free_port(), name="mute"):
        pass


def fetched(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return len(answer.read())


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_is_configured_as_a_proxy_that_forwards(tmp_path: Path) -> None:
    with upstream(free_port()) as behind, nginx(free_port(), [behind.port], tmp_path) as program:
        assert fetched(program.url + "/bytes/70000") == 70000


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")
def test_haproxy_is_configured_as_a_proxy_that_forwards(tmp_path: Path) -> None:
    with upstream(free_port()) as behind, haproxy(free_port(), [behind.port], tmp_path) as program:
        assert fetched(program.url + "/bytes/70000") == 70000


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_answers_from_its_cache_what_it_had_once(tmp_path: Path) -> None:
    with upstream(free_port()) as behind, nginx_cache(free_port(), behind.port, tmp_path) as program:
        assert fetched(program.url + "/data") == 60
        behind.__exit__(None, None, None)
        assert fetched(program.url + "/data") == 60


@pytest.mark.skipif(shutil.which("varnishd") is None, reason="Varnish is not installed")
def test_varnish_answers_from_its_cache_what_it_had_once(tmp_path: Path) -> None:
    with upstream(free_port()) as behind, varnish(free_port(), behind.port, tmp_path) as program:
        assert fetched(program.url + "/data") == 60
        behind.__exit__(None, None, None)
        assert fetched(program.url + "/data") == 60
