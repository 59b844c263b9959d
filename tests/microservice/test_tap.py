"""The command line of the microservice."""

import pytest
from twisted.python.usage import Options as TwistdOptions

from scalability.config import Address
from scalability.microservice.config import Kind, MicroserviceOptions
from scalability.microservice.tap import Options


def test_flags_become_the_configuration() -> None:
    options = Options()
    options.parent = TwistdOptions()
    options.parseOptions(["--listen", ":7001", "--service-time", "0.5", "--kind", "spin", "--concurrency", "4"])
    assert options.config == MicroserviceOptions(listen=Address("127.0.0.1", 7001), service_time_s=0.5, kind=Kind.SPIN, concurrency=4)


@pytest.mark.parametrize("argv", [["--kind", "walk"], ["--concurrency", "many"], ["--nonsense"], ["left-over"]])
def test_a_bad_command_line_ends_with_one_line(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        Options().parseOptions(argv)
    assert str(end.value).startswith("scalelab-microservice: ")
    assert "\n" not in str(end.value)


def test_check_config_prints_what_is_in_effect_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        Options().parseOptions(["--check-config", "--service-time", "2"])
    assert end.value.code == 0
    assert "service_time = 2.0" in capsys.readouterr().out
