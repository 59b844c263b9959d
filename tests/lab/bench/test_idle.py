"""Memory of idle connections."""

import pytest

from scalability.lab.bench.idle import bytes_per_idle_connection, request
from scalability.lab.bench.programs import Program, free_port, upstream


def test_each_client_sends_a_head_of_its_own() -> None:
    first, second = request(1), request(2)
    assert first != second
    assert len(first) == len(second)
    assert first.endswith(b"\r\n\r\n")


def test_the_connections_of_a_program_are_asked_and_its_memory_is_read() -> None:
    with upstream(free_port()) as program:
        assert abs(bytes_per_idle_connection(program, connections=20, warm_up=5)) < 1 << 20


def test_a_program_that_hangs_up_gives_no_figure() -> None:
    class Mute(Program):
        def __init__(self, port: int) -> None:
            code = f"import socket\ns = socket.create_server(('127.0.0.1', {port}))\nwhile True: s.accept()[0].close()"
            super().__init__(["python3", "-c", code], port, name="mute")

    with Mute(free_port()) as program, pytest.raises((RuntimeError, ConnectionError)):
        bytes_per_idle_connection(program, connections=1, warm_up=0)
