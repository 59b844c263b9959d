"""What the README says to type is typed, and gives what the README shows.

A ``console`` block holds commands after ``$ `` and what they print; ``...`` stands for whatever differs from run to run.
The lab runs on ports of its own: the README's are replaced in the commands.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalability.config.load import load
from scalability.testing.lab import ADMIN, OFFSETS, Lab, whole_lab
from scalability.testing.processes import CHECKOUT, environment

README = (CHECKOUT / "README.md").read_text()
PORTS = {"lb": 8000, "gateway": 5000, "microservice": 5001, "database": 5002, "cache": 5004, "worker": 5005}


def blocks(kind: str) -> list[str]:
    """The fenced blocks of this kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def tour() -> list[tuple[str, str]]:
    """Each command with what it is to print."""
    steps = []
    for block in blocks("console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = step.partition("\n")
            steps.append((command, shown))
    return steps


def matches(shown: str, printed: str) -> bool:
    """Line for line, with ``...`` for anything."""
    pattern = re.escape(shown.strip()).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, printed.replace("\r\n", "\n").strip(), re.DOTALL) is not None


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with whole_lab(tmp_path_factory.mktemp("readme")) as running:
        yield running


def test_the_tour_prints_what_the_readme_shows(lab: Lab) -> None:
    steps = tour()
    assert len(steps) >= 8
    for command, shown in steps:
        typed = command
        for component, port in PORTS.items():
            typed = typed.replace(f"127.0.0.1:{port}/", f"127.0.0.1:{lab.base + OFFSETS[component]}/")
        if typed.startswith("python3 tools/loadtest.py"):
            typed = typed.replace("python3 tools/loadtest.py", f"{sys.executable} tools/loadtest.py http://127.0.0.1:{lab.port('lb')}/data")
        if typed.startswith("python3 tools/lbctl.py"):
            typed = typed.replace("python3 tools/lbctl.py", f"{sys.executable} tools/lbctl.py --admin 127.0.0.1:{lab.port('lb') + ADMIN}")
        done = subprocess.run(typed, shell=True, cwd=CHECKOUT, env=environment(), capture_output=True, text=True, timeout=60)
        assert matches(shown, done.stdout), f"$ {command}\nthe README shows:\n{shown}\nbut it printed:\n{done.stdout}{done.stderr}"


def test_the_configuration_of_the_readme_is_accepted(tmp_path: Path) -> None:
    from scalability.balancer.config import BalancerOptions
    from scalability.database.config import DatabaseOptions
    from scalability.gateway.config import GatewayOptions
    from scalability.lab.config import LabOptions

    (text,) = blocks("toml")
    file = tmp_path / "lab.toml"
    file.write_text(text)
    assert load(LabOptions, flags={}, environ={}, file=file).gateways == 4
    assert load(DatabaseOptions, flags={}, environ={}, file=file).latency_s == 0.05
    assert load(GatewayOptions, flags={}, environ={}, file=file).ttl_s == 5
    assert load(BalancerOptions, flags={}, environ={}, file=file).health_interval_s == 1


def test_the_single_servers_of_the_readme_have_good_flags() -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith(".venv/bin/twistd")]
    assert len(commands) == 3
    for command in commands:
        typed = command.replace(".venv/bin/twistd", f"{sys.executable} -c 'from twisted.scripts.twistd import run; run()'")
        done = subprocess.run(f"{typed} --check-config", shell=True, cwd=CHECKOUT, env=environment(), capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (CHECKOUT / "docs").glob("*.md"))]
)
def test_every_file_that_a_page_links_to_is_there(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", (CHECKOUT / page).read_text()) if not link.startswith("http")]
    missing = [link for link in links if not (CHECKOUT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_the_readme_links_to_every_page() -> None:
    pages = {f"docs/{page.name}" for page in (CHECKOUT / "docs").glob("*.md")}
    assert pages - set(re.findall(r"\]\(([^)#]+)\)", README)) == set()


def test_no_page_is_a_promise() -> None:
    empty = [page.name for page in (CHECKOUT / "docs").glob("*.md") if len(page.read_text()) < 400]
    assert empty == []
