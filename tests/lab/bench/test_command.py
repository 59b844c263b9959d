"""The benchmark's command line."""

import json
from pathlib import Path

import pytest

from scalability.lab.bench import command
from scalability.lab.bench.rounds import NoFigure, Sample


def test_absurd_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--rounds", "0"])
    assert "--rounds is 1 to 100" in capsys.readouterr().err


def test_an_unknown_benchmark_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["ballancer"])
    assert "there is no benchmark 'ballancer'; there are balancer, " in capsys.readouterr().err


def test_a_run_that_means_nothing_fails_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(rounds: int, seconds: float, report: object) -> dict[str, object]:
        raise NoFigure("flask: 12 failed of 38 requests; the run says nothing")

    monkeypatch.setitem(command.BENCHMARKS, "lab", (run, ()))
    assert command.main(["lab"]) == 1
    assert capsys.readouterr().out == "lab: no figure: flask: 12 failed of 38 requests; the run says nothing\n"


def test_an_absent_program_is_named_and_fails_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(command.BENCHMARKS, "lab", (lambda rounds, seconds, report: {}, ("no-such-program-here",)))
    assert command.main(["lab"]) == 1
    assert "no-such-program-here cannot be found" in capsys.readouterr().out


def test_samples_are_written_as_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    samples = {"ours": [Sample(10, 0, 2.0, 15.0)]}
    monkeypatch.setitem(command.BENCHMARKS, "lab", (lambda rounds, seconds, report: {"samples": command._plain(samples)}, ()))
    assert command.main(["lab", "--json", str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text())[0]["samples"]["ours"][0]["per_s"] == 5.0
