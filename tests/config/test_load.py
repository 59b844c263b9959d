"""One value from four places, and errors that name the key as its writer did."""

import tomllib
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest
from msgspec import Meta

from scalability.config.address import Address
from scalability.config.load import Flag, Options, check_tables, dump, fields_of, key_of, load, render, restore, to_toml
from scalability.errors import ConfigError


class Example(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    component: ClassVar[str] = "cache"

    listen: Annotated[Address, Flag("Where.", "HOST:PORT")] = Address("127.0.0.1", 80)
    admin: Annotated[Address | None, Flag("Where else.")] = None
    ttl_s: Annotated[float, Meta(gt=0), Flag("Seconds.", "S")] = 30.0
    max_entries: Annotated[int, Meta(ge=1, le=64), Flag("Number.")] = 10
    ratio: Annotated[float, Meta(ge=0.5, lt=2), Flag("Ratio.")] = 1.0
    peers: Annotated[tuple[Address, ...], Flag("Others.")] = (Address("a", 1),)
    names: Annotated[tuple[str, ...], Flag("Names.")] = ()
    log: Annotated[Path | None, Flag("File.")] = None
    verbose: Annotated[bool, Flag("More.")] = False
    kind: Annotated[Literal["sleep", "spin", "nap"], Flag("Kind.")] = "sleep"
    title: Annotated[str, Meta(min_length=1), Flag("Text.")] = "x"
    code: Annotated[str, Meta(min_length=3), Flag("Text.")] = "abc"
    weights: Annotated[dict[str, int], Flag("Weights.", flag=False)] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_entries == 13:
            raise ValueError("max-entries: 13 brings bad luck")
        if self.title == "odd":
            raise ValueError("the whole is odd")


def read(*, flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None, file: Path | None = None) -> Example:
    return load(Example, flags=flags or {}, environ=environ or {}, file=file)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "lab.toml"


def refusal(**places: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(**places)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


# Where a value comes from


def test_without_anything_the_defaults_hold() -> None:
    assert read() == Example()


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(toml: Path) -> None:
    toml.write_text("[cache]\nttl = 1\nmax_entries = 2\nratio = 1.5\n")
    options = read(flags={"ttl": "3"}, environ={"SCALELAB_CACHE_TTL": "4", "SCALELAB_CACHE_MAX_ENTRIES": "5"}, file=toml)
    assert (options.ttl_s, options.max_entries, options.ratio, options.title) == (3.0, 5, 1.5, "x")


def test_every_kind_of_value_is_read_from_text() -> None:
    environ = {
        "LISTEN": "[::1]:1",
        "ADMIN": ":2",
        "TTL": "0.5",
        "MAX_ENTRIES": "3",
        "PEERS": "a:1  b:2",
        "NAMES": "x,weight=2 y",
        "LOG": "/tmp/log",
        "VERBOSE": "true",
        "KIND": "nap",
        "TITLE": "a title",
    }
    options = read(environ={f"SCALELAB_CACHE_{name}": value for name, value in environ.items()})
    assert options == Example(
        listen=Address("::1", 1),
        admin=Address("127.0.0.1", 2),
        ttl_s=0.5,
        max_entries=3,
        peers=(Address("a", 1), Address("b", 2)),
        names=("x,weight=2", "y"),
        log=Path("/tmp/log"),
        verbose=True,
        kind="nap",
        title="a title",
    )


def test_every_kind_of_value_is_read_from_toml(toml: Path) -> None:
    toml.write_text(
        '[cache]\nlisten = "b:1"\nadmin = "b:2"\nttl = 2\nmax_entries = 3\npeers = ["c:4"]\nnames = []\nlog = "log"\nverbose = true\n'
        'kind = "spin"\ntitle = "t"\nweights = {a = 1}\n[lb]\nanything = 1\n'
    )
    options = read(file=toml)
    assert (options.listen, options.admin, options.ttl_s, options.max_entries) == (Address("b", 1), Address("b", 2), 2.0, 3)
    assert (options.peers, options.names, options.log, options.verbose) == ((Address("c", 4),), (), Path("log"), True)
    assert (options.kind, options.title, options.weights) == ("spin", "t", {"a": 1})


def test_a_given_list_replaces_the_default_and_does_not_add_to_it() -> None:
    assert read(flags={"peers": ["b:2"]}).peers == (Address("b", 2),)
    assert read(environ={"SCALELAB_CACHE_PEERS": ""}).peers == ()


def test_variables_of_other_names_are_passed_over() -> None:
    # Kubernetes sets the first two beside a service that is called scalelab-cache
    environ = {"SCALELAB_CACHE_PORT": "tcp://10.0.0.1:5004", "SCALELAB_CACHE_SERVICE_HOST": "10.0.0.1", "SCALELAB_LB_TTL": "x", "TTL": "y"}
    assert read(environ=environ) == Example()


def test_what_only_the_file_can_say_is_not_read_from_the_environment() -> None:
    assert read(environ={"SCALELAB_CACHE_WEIGHTS": "x"}) == Example()


# Errors


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("ttl", "x", "--ttl: expected a number above 0, got 'x'"),
        ("ttl", "0", "--ttl: expected a number above 0, got '0'"),
        ("ttl", "-1", "--ttl: expected a number above 0, got '-1'"),
        ("ttl", "", "--ttl: expected a number above 0, got ''"),
        ("ttl", "nan", "--ttl: expected a number above 0, got 'nan'"),
        ("ttl", "inf", "--ttl: expected a number above 0, got 'inf'"),
        ("ttl", "1e999", "--ttl: expected a number above 0, got '1e999'"),
        ("ttl", "1_0", "--ttl: expected a number above 0, got '1_0'"),
        ("max_entries", "many", "--max-entries: expected a whole number from 1 to 64, got 'many'"),
        ("max_entries", "1.5", "--max-entries: expected a whole number from 1 to 64, got '1.5'"),
        ("max_entries", "65", "--max-entries: expected a whole number from 1 to 64, got '65'"),
        ("ratio", "2", "--ratio: expected a number of at least 0.5 and below 2, got '2'"),
        ("listen", "nonsense", "--listen: 'nonsense' is not HOST:PORT"),
        ("listen", "", "--listen: expected a value, got nothing"),
        ("admin", "a:x", "--admin: the port 'x' is not a number"),
        ("peers", ["a:1", "b"], "--peers: 'b' is not HOST:PORT"),
        ("kind", "dance", "--kind: expected sleep, spin or nap, got 'dance'"),
        ("verbose", "perhaps", "--verbose: expected true or false, got 'perhaps'"),
        ("title", "", "--title: expected text that is not empty, got ''"),
        ("code", "ab", "--code: expected text of at least 3 characters, got 'ab'"),
        ("log", "", "--log: expected a value, got nothing"),
    ],
)
def test_a_bad_value_is_named_with_what_is_expected_instead(flag: str, value: Any, message: str) -> None:
    assert str(refusal(flags={flag: value})) == message


def test_a_long_bad_value_is_shown_in_part() -> None:
    assert len(str(refusal(flags={"max_entries": "1" * 5000}))) < 200


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('ttl = "2"', "[cache] ttl: expected a number above 0, got '2'"),
        ("ttl = true", "[cache] ttl: expected a number above 0, got true"),
        ("ttl = inf", "[cache] ttl: expected a number above 0, got inf"),
        ("ttl = nan", "[cache] ttl: expected a number above 0, got nan"),
        ("ttl = [1]", "[cache] ttl: expected a number above 0, got [1]"),
        ("ttl = 2026-01-01", "[cache] ttl: expected a number above 0, got 2026-01-01"),
        ("max_entries = 2.0", "[cache] max_entries: expected a whole number from 1 to 64, got 2.0"),
        ("verbose = 1", "[cache] verbose: expected true or false, got 1"),
        ("title = 1", "[cache] title: expected text that is not empty, got 1"),
        ("listen = 8000", "[cache] listen: expected text, got 8000"),
        ('peers = "a:1"', "[cache] peers: expected a list, got 'a:1'"),
        ("peers = [1]", "[cache] peers: expected text, got 1"),
        ("names = [1]", "[cache] names: expected text, got 1"),
        ("weights = 1", "[cache] weights: Expected object, got int"),
        ("ttll = 1", "[cache] ttll: there is no such key; is ttl meant?"),
        ("max-entries = 1", "[cache] max-entries: there is no such key; is max_entries meant?"),
        ("ttl_s = 1", "[cache] ttl_s: there is no such key; is ttl meant?"),
        ("zzz = 1", "[cache] zzz: there is no such key"),
    ],
)
def test_a_bad_line_in_the_file_is_named_with_file_table_and_key(toml: Path, line: str, message: str) -> None:
    toml.write_text(f"[cache]\n{line}\n")
    assert str(refusal(file=toml)) == f"{toml}: {message}"


def test_a_bad_variable_is_named() -> None:
    assert str(refusal(environ={"SCALELAB_CACHE_TTL": "x"})) == "SCALELAB_CACHE_TTL: expected a number above 0, got 'x'"
    assert refusal(environ={"SCALELAB_CACHE_PEERS": "a:1 b"}).key == "SCALELAB_CACHE_PEERS"


def test_a_check_across_fields_names_the_key_as_its_writer_did(toml: Path) -> None:
    toml.write_text("[cache]\nmax_entries = 13\n")
    assert str(refusal(file=toml)) == f"{toml}: [cache] max_entries: 13 brings bad luck"
    assert str(refusal(environ={"SCALELAB_CACHE_MAX_ENTRIES": "13"})) == "SCALELAB_CACHE_MAX_ENTRIES: 13 brings bad luck"
    assert str(refusal(flags={"max_entries": "13"})) == "--max-entries: 13 brings bad luck"
    assert str(refusal(flags={"title": "odd"})) == "cache: the whole is odd"


def test_a_check_across_fields_may_blame_a_key_that_nobody_gave() -> None:
    class Strict(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
        component: ClassVar[str] = "lb"
        max_rate: Annotated[int, Flag("Rate.")] = 1

        def __post_init__(self) -> None:
            raise ValueError("max_rate: is needed")

    with pytest.raises(ConfigError, match=r"^--max-rate: is needed$"):
        load(Strict, flags={}, environ={}, file=None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"ttl = = 1", "is not TOML"),
        (b"[cache]\nttl = 1\nttl = 2\n", "is not TOML"),
        (b"[cache]\ntitle = \"\xff\"", "is not UTF-8 (byte 17)"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_toml_is_refused(toml: Path, content: bytes, why: str) -> None:
    toml.write_bytes(content)
    error = refusal(file=toml)
    assert error.key == "--config"
    assert why in str(error)
    assert str(toml) in str(error)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "No such file" in str(refusal(file=tmp_path / "none.toml"))
    assert "Is a directory" in str(refusal(file=tmp_path))


@pytest.mark.parametrize("content", ["cache = 3", "[[cache]]\nttl = 1", 'cache = "x"'])
def test_a_components_table_must_be_a_table(toml: Path, content: str) -> None:
    toml.write_text(content)
    assert str(refusal(file=toml)) == f"{toml}: cache: is not a table"


def test_a_table_that_no_component_reads_is_refused(toml: Path) -> None:
    toml.write_text("[cache]\nttl = 1\n[cahce]\nttl = 2\n")
    with pytest.raises(ConfigError) as caught:
        check_tables(toml, ("cache", "lb"))
    assert str(caught.value) == f"{toml}: [cahce]: no component has this name; there are cache, lb"
    toml.write_text("[lb]\n")
    check_tables(toml, ("cache", "lb"))


# Description and effective values


def test_units_stay_out_of_the_names_that_users_write() -> None:
    assert key_of("sweep_interval_s") == "sweep_interval"
    assert key_of("max_bytes") == "max_bytes"
    assert [field.flag_name for field in fields_of(Example)][:4] == ["listen", "admin", "ttl", "max-entries"]
    assert [field.key for field in fields_of(Example) if field.repeatable] == ["peers", "names"]
    assert [field.key for field in fields_of(Example) if field.boolean] == ["verbose"]


def test_an_option_that_nobody_explained_is_a_mistake_of_ours() -> None:
    class Silent(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
        silent: int = 1

    with pytest.raises(TypeError, match=r"Silent\.silent needs one Flag"):
        fields_of(Silent)


def test_the_effective_values_are_plain() -> None:
    assert dump(Example(log=Path("/a"))) == {
        "listen": "127.0.0.1:80",
        "admin": None,
        "ttl": 30.0,
        "max_entries": 10,
        "ratio": 1.0,
        "peers": ["a:1"],
        "names": [],
        "log": "/a",
        "verbose": False,
        "kind": "sleep",
        "title": "x",
        "code": "abc",
        "weights": {},
    }


def test_what_is_rendered_can_be_read_again(toml: Path) -> None:
    options = Example(
        listen=Address("::1", 1),
        ttl_s=1e300,
        peers=(),
        names=('a "b" \\ \n \t \u00e9 \x01', "c"),
        log=Path("x y"),
        verbose=True,
        weights={"a b": 1},
    )
    toml.write_text(render(options))
    assert read(file=toml) == options
    assert "# admin is not set" in render(options)


def test_values_are_written_as_toml() -> None:
    table = {"a": "text", "b": [1, 2.5, True], "c": {"d e": "f"}}
    assert tomllib.loads("x = " + to_toml(table)) == {"x": table}


class Place(Enum):
    HERE = "here"
    THERE = "there"


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"wait_s": "wait"}):
    """A table within a table."""

    wait_s: float = 1.0
    place: Place = Place.HERE
    names: tuple[str, ...] = ()
    file: str | None = None


class Outer(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    component: ClassVar[str] = "gateway"

    inner: Annotated[Inner | None, Flag("One.", flag=False)] = None
    several: Annotated[tuple[Inner, ...], Flag("Several.", flag=False)] = ()


def test_tables_within_a_table_are_read_shown_and_read_again(toml: Path) -> None:
    toml.write_text('[gateway.inner]\nwait = 2\nplace = "there"\n[[gateway.several]]\nnames = ["a"]\nfile = "b"\n')
    outer = load(Outer, flags={}, environ={}, file=toml)
    assert outer == Outer(inner=Inner(2.0, Place.THERE), several=(Inner(names=("a",), file="b"),))
    toml.write_text(render(outer))
    assert load(Outer, flags={}, environ={}, file=toml) == outer
    assert restore(Outer, dump(outer)) == outer
    toml.write_text("[gateway.inner]\nwaits = 2\n")
    with pytest.raises(ConfigError, match=r"\[gateway\] inner: .*waits"):
        load(Outer, flags={}, environ={}, file=toml)
