"""The Klein app of the benchmark answers the same on both servers."""

import json
import urllib.request

import pytest

from scalability.lab.bench.klein_app import BODY, KINDS, main
from scalability.lab.bench.programs import free_port, klein_app


@pytest.mark.parametrize("kind", KINDS)
def test_the_route_answers(kind: str) -> None:
    with klein_app(kind, free_port()) as program, urllib.request.urlopen(program.url + "/data", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert json.load(answer) == json.loads(BODY)


def test_another_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apache", "1"]) == 1
    assert "there is no 'apache'" in capsys.readouterr().err
