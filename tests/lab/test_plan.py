"""Which processes the lab is made of, and how they are wired."""

import socket
import sys
from pathlib import Path

import pytest

from scalability.config import Address, load
from scalability.errors import ConfigError
from scalability.lab.config import LabOptions
from scalability.lab.plan import LabPlan, Planner, gateway_offset, reachable, taken


def plan(file: Path | None = None, text: str = "", *, environ: dict[str, str] | None = None, **options: object) -> LabPlan:
    if file is not None:
        file.write_text(text)
    return Planner(LabOptions(**options), environ=environ or {}, file=file).plan()  # type: ignore[arg-type]  # of any type


def flags(made: LabPlan, name: str) -> dict[str, str]:
    [child] = [child for child in made.children if child.name == name]
    return dict(child.flags)


def test_by_default_it_is_the_contracts_lab() -> None:
    made = plan(data_dir="/var/lab")
    assert {child.name: str(child.listen) for child in made.children} == {
        "cache": "127.0.0.1:5004",
        "database": "127.0.0.1:5002",
        "microservice": "127.0.0.1:5001",
        "worker": "127.0.0.1:5005",
        "gateway-1": "127.0.0.1:5000",
        "gateway-2": "127.0.0.1:5003",
        "lb": "127.0.0.1:8000",
    }
    assert all(child.admin == Address("127.0.0.1", child.listen.port + 10_000) for child in made.children)
    assert flags(made, "database")["store"] == "sqlite:/var/lab/database.sqlite3"
    assert flags(made, "worker")["store"] == "sqlite:/var/lab/tasks.sqlite3"
    assert flags(made, "gateway-2")["cache"] == "http://127.0.0.1:5004"
    [lb] = made.of("lb")
    assert [value for name, value in lb.flags if name == "backend"] == ["127.0.0.1:5000", "127.0.0.1:5003"]


def test_gateways_beyond_two_listen_on_5006_upward() -> None:
    assert [5000 + gateway_offset(index) for index in range(5)] == [5000, 5003, 5006, 5007, 5008]
    made = plan(gateways=4)
    assert [(child.name, child.listen.port, child.admin.port) for child in made.of("gateway")] == [
        ("gateway-1", 5000, 15000),
        ("gateway-2", 5003, 15003),
        ("gateway-3", 5006, 15006),
        ("gateway-4", 5007, 15007),
    ]
    assert len(made.of("lb")[0].options.backend) == 4  # type: ignore[attr-defined]  # the balancer's


def test_one_gateway_is_a_lab_too() -> None:
    made = plan(gateways=1)
    assert [child.name for child in made.of("gateway")] == ["gateway-1"]


def test_neighbours_follow_each_others_addresses(tmp_path: Path) -> None:
    text = "[cache]\nlisten = '127.0.0.1:6004'\n[gateway]\nlisten = '0.0.0.0:6000'\n[lb]\nadmin = '127.0.0.1:9'\n"
    made = plan(tmp_path / "lab.toml", text)
    for name in ("gateway-1", "gateway-2"):
        assert flags(made, name)["cache"] == "http://127.0.0.1:6004"
    assert [str(child.listen) for child in made.of("gateway")] == ["0.0.0.0:6000", "0.0.0.0:6003"]
    assert [str(child.admin) for child in made.of("gateway")] == ["127.0.0.1:16000", "127.0.0.1:16003"]
    assert dict(made.of("lb")[0].flags)["backend"] == "127.0.0.1:6003"
    assert made.of("lb")[0].admin == Address("127.0.0.1", 9)


def test_what_the_user_has_set_is_left_alone(tmp_path: Path) -> None:
    made = plan(
        tmp_path / "lab.toml",
        "[gateway]\ncache = 'http://127.0.0.1:9999'\nadmin = '127.0.0.1:7000'\n[database]\nstore = 'sqlite:mine.sqlite3'\n",
        environ={"SCALELAB_LB_BACKEND": "127.0.0.1:1 127.0.0.1:2", "SCALELAB_WORKER_STORE": "sqlite:theirs.sqlite3"},
    )
    assert "cache" not in flags(made, "gateway-1")
    assert "database" in flags(made, "gateway-1")
    assert [child.admin.port for child in made.of("gateway")] == [7000, 7003]
    assert "store" not in flags(made, "database")
    assert "store" not in flags(made, "worker")
    assert "backend" not in flags(made, "lb")


def test_a_child_is_this_interpreter_with_the_file_and_the_flags(tmp_path: Path) -> None:
    made = plan(tmp_path / "my lab.toml", "")
    spec = made.of("gateway")[1].spec()
    assert spec.name == "gateway-2"
    assert spec.argv[:5] == [sys.executable, "-u", "-m", "scalability.lab.child", "-n"]
    assert spec.argv[6:9] == ["scalelab-gateway", "--config", str(tmp_path / "my lab.toml")]
    assert spec.argv[-4:] == ["--listen", "127.0.0.1:5003", "--admin", "127.0.0.1:15003"]
    ranks = {child.name: child.spec().rank for child in made.children}
    assert ranks["cache"] == ranks["worker"] < ranks["gateway-1"] == ranks["gateway-2"] < ranks["lb"]
    assert "--config" not in plan().of("cache")[0].spec().argv


def test_what_is_printed_is_read_again_as_the_same(tmp_path: Path) -> None:
    printed = plan(data_dir=str(tmp_path)).render()
    again = tmp_path / "again.toml"
    again.write_text(printed)
    options = load(LabOptions, flags={}, environ={}, file=again)
    assert Planner(options, environ={}, file=again).plan().render() == printed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[cache]\nlisten = '127.0.0.1:5002'", "database: 127.0.0.1:5002: cache listens there"),
        ("[cache]\nlisten = '127.0.0.1:15002'", "database's admin listener: 127.0.0.1:15002: cache listens there"),
        ("[cache]\nlisten = '127.0.0.1:0'", "127.0.0.1:0"),
        ("[cache]\nlisten = '127.0.0.1:60000'", "[cache] admin: 60000 + 10000 is above 65535"),
        ("[gateway]\nlisten = '127.0.0.1:65534'\nadmin = '127.0.0.1:1'", "[gateway] listen: 65534 + 3 is above 65535"),
        ("[cache]\nttl = 'soon'", "[cache] ttl"),
        ("[worker]\nbogus = 1", "[worker] bogus"),
        ("cache = 3", "is not a table"),
        ("gateway = 3", "is not a table"),
    ],
)
def test_a_mistake_in_any_table_is_found_before_anything_starts(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as raised:
        plan(tmp_path / "lab.toml", text)
    assert named in str(raised.value)


def test_the_labs_own_admin_listener_takes_part_in_the_check() -> None:
    with pytest.raises(ConfigError, match="the lab's admin listener listens there"):
        plan(admin=Address("127.0.0.1", 5004))


def test_a_listener_on_every_address_is_reached_on_this_machine() -> None:
    assert reachable(Address("0.0.0.0", 1)) == Address("127.0.0.1", 1)
    assert reachable(Address("::", 1)) == Address("::1", 1)
    assert reachable(Address("10.0.0.1", 1)) == Address("10.0.0.1", 1)


def test_a_taken_address_is_named_with_who_wanted_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert taken([("x", Address("127.0.0.1", port))]) is None
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen(1)
        assert taken([("x", Address("127.0.0.1", port))]) == (
            f"cannot listen on 127.0.0.1:{port} for x: Address already in use; is the lab running already?"
        )
    assert "cannot listen on 192.0.2.1:1" in str(taken([("x", Address("192.0.2.1", 1))]))
