"""The command line of a component, as twistd uses it."""

import io
import sys
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from msgspec import Meta
from twisted.logger import Logger, LoggingFile
from twisted.python import usage

from scalability.config.address import Address
from scalability.config.command_line import CommandLine, command_line, fail
from scalability.config.common import ServerOptions
from scalability.config.load import Flag
from scalability.errors import ConfigError


class ExampleOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    component: ClassVar[str] = "cache"

    ttl_s: Annotated[float, Meta(gt=0), Flag("Seconds that an entry lives.", "S")] = 30.0
    max_bytes: Annotated[int, Flag("Bytes in all.", "N")] = 10
    peer: Annotated[tuple[Address, ...], Flag("Another server.", "HOST:PORT")] = (Address("a", 1), Address("b", 2))
    tag: Annotated[tuple[str, ...], Flag("A word.", "WORD")] = ()
    verbose: Annotated[bool, Flag("Says more.")] = False
    hidden: Annotated[int, Flag("Only in the file.", flag=False)] = 0


Options = command_line("scalelab-example", ExampleOptions, "Example server: an example.")


def parse(*arguments: str) -> ExampleOptions:
    options = Options()
    options.parseOptions(arguments)
    return options.config


def refusal(*arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert isinstance(caught.value.code, str)
    assert len(caught.value.code.splitlines()) == 1
    return caught.value.code


@pytest.fixture(autouse=True)
def _the_real_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)


def test_without_arguments_the_defaults_hold() -> None:
    assert parse() == ExampleOptions()


def test_flags_have_dashes_and_no_units() -> None:
    options = parse("--ttl", "2", "--max-bytes=5", "--verbose", "--listen", ":7", "--admin", ":8")
    assert (options.ttl_s, options.max_bytes, options.verbose) == (2.0, 5, True)
    assert (options.listen, options.admin) == (Address("127.0.0.1", 7), Address("127.0.0.1", 8))


def test_the_last_of_a_repeated_flag_counts_and_a_repeatable_one_collects() -> None:
    options = parse("--ttl", "2", "--ttl", "3", "--peer", "c:3", "--peer", "d:4", "--tag", "x")
    assert (options.ttl_s, options.peer, options.tag) == (3.0, (Address("c", 3), Address("d", 4)), ("x",))


def test_two_command_lines_share_nothing() -> None:
    parse("--tag", "x")
    assert parse().tag == ()


def test_the_environment_and_the_file_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[cache]\nttl = 5\nmax_bytes = 6\nhidden = 7\n[lb]\n")
    monkeypatch.setenv("SCALELAB_CACHE_TTL", "8")
    options = parse("--config", str(file))
    assert (options.ttl_s, options.max_bytes, options.hidden) == (8.0, 6, 7)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--ttl", "x"], "scalelab-example: --ttl: expected a number above 0, got 'x'"),
        (["--listen", "x"], "scalelab-example: --listen: 'x' is not HOST:PORT"),
        (["--bogus"], "scalelab-example: option --bogus not recognized; twistd -n scalelab-example --help lists the flags"),
        (["--ttl"], "scalelab-example: option --ttl requires argument; twistd -n scalelab-example --help lists the flags"),
        (
            ["--verbose=1"],
            "scalelab-example: option --verbose must not have an argument; twistd -n scalelab-example --help lists the flags",
        ),
        (["--hidden", "1"], "scalelab-example: option --hidden not recognized; twistd -n scalelab-example --help lists the flags"),
        (["left"], "scalelab-example: unexpected argument 'left'; twistd -n scalelab-example --help lists the flags"),
        (["--config", "/none.toml"], "scalelab-example: --config: cannot read /none.toml: No such file or directory"),
    ],
)
def test_a_mistake_ends_the_process_with_one_line_that_names_it(arguments: list[str], line: str) -> None:
    assert refusal(*arguments) == line


def test_a_table_of_an_unknown_component_ends_the_process(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[cash]\n")
    assert refusal("--config", str(file)).startswith(f"scalelab-example: {file}: [cash]: no component has this name")


def test_what_only_the_machine_can_tell_is_checked_by_the_component() -> None:
    class Checked(Options):  # type: ignore[misc, valid-type]  # made at run time
        def check(self, config: ExampleOptions) -> None:
            raise ConfigError("--ttl", "this machine is too slow")

    with pytest.raises(SystemExit, match="scalelab-example: --ttl: this machine is too slow"):
        Checked().parseOptions([])


def test_check_config_prints_what_holds_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--check-config", "--ttl", "2")
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("[cache]\n")
    assert "ttl = 2.0\n" in out
    assert 'peer = ["a:1","b:2"]\n' in out


def test_check_config_reports_mistakes_like_a_start_does() -> None:
    assert refusal("--check-config", "--ttl", "0") == "scalelab-example: --ttl: expected a number above 0, got '0'"


def test_help_explains_every_flag_with_its_default() -> None:
    words = " ".join(str(Options()).split())
    for flag in ("--listen=", "--admin=", "--ttl=", "--max-bytes=", "--peer=", "--tag=", "--verbose", "--config=", "--check-config"):
        assert flag in words
    assert "--hidden" not in words
    assert "Seconds that an entry lives. (S, default 30.0)" in words
    assert "Another server. (HOST:PORT, repeatable, default a:1 b:2)" in words
    assert "Bytes in all. (N, default 10)" in words
    assert "A word. (WORD, repeatable)" in words
    assert "this component's admin calls. (HOST:PORT, default off)" in words
    assert "Example server: an example." in words
    assert "SCALELAB_CACHE_<NAME>" in words


def test_two_plugins_can_run_in_one_folder() -> None:
    class Twistd(usage.Options):
        optParameters: ClassVar = [["pidfile", "", "twistd.pid", "Name of the pidfile"]]

    for given, kept in (("twistd.pid", ""), ("mine.pid", "mine.pid")):
        twistd = Twistd()
        twistd["pidfile"] = given
        options = Options()
        options.parent = twistd
        options.parseOptions([])
        assert twistd["pidfile"] == kept


def test_the_made_class_is_typed_and_named() -> None:
    assert issubclass(Options, CommandLine)
    assert (Options.plugin, Options.options_class) == ("scalelab-example", ExampleOptions)


def test_a_fatal_problem_is_one_line_on_the_real_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    real = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", real)
    monkeypatch.setattr(sys, "stderr", LoggingFile(Logger()))
    with pytest.raises(SystemExit, match=r"^scalelab-x: the port is taken$"):
        fail("scalelab-x", "the port is taken")
    assert sys.stderr is real


def test_it_is_read_again_with_the_same_flags_and_the_file_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[cache]\nttl = 2\nmax_bytes = 3\n")
    monkeypatch.chdir(tmp_path)
    options = Options()
    options.parseOptions(["--config", "a.toml", "--max-bytes", "5"])
    monkeypatch.chdir("/")
    monkeypatch.setenv("SCALELAB_CACHE_TAG", "b c")
    file.write_text("[cache]\nttl = 4\nmax_bytes = 9\n")
    again = options.reread()
    assert (again.ttl_s, again.max_bytes, again.tag) == (4.0, 5, ("b", "c"))
    assert options.config.ttl_s == 2.0
    file.write_text("[cache]\nttl = 0\n")
    with pytest.raises(ConfigError, match=r"a\.toml: \[cache\] ttl: expected a number above 0, got 0"):
        options.reread()
    file.unlink()
    with pytest.raises(ConfigError, match="--config: cannot read"):
        options.reread()
