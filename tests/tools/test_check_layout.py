from pathlib import Path

import pytest

from tools import check_layout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("scalability/cache/engine.py", "tests/cache/test_engine.py", "scalability/cache/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("def test_it() -> None: ...\n" if "tests" in name else "")
    return tmp_path


def test_a_tree_with_a_test_for_each_module_is_fine(root: Path) -> None:
    assert check_layout.problems(root) == []


def test_a_module_without_a_mirrored_test_is_named(root: Path) -> None:
    (root / "scalability/cache/expiry.py").touch()
    assert check_layout.problems(root) == ["scalability/cache/expiry.py has no tests/cache/test_expiry.py"]


def test_a_mirrored_file_without_a_test_does_not_count(root: Path) -> None:
    (root / "tests/cache/test_engine.py").write_text("# later\n")
    assert check_layout.problems(root) == ["tests/cache/test_engine.py has no test in it"]


def test_a_private_module_is_tested_under_its_bare_name(root: Path) -> None:
    (root / "scalability/cache/_ring.py").touch()
    (root / "tests/cache/test_ring.py").write_text("class TestRing:\n    async def test_turns(self) -> None: ...\n")
    assert check_layout.problems(root) == []


@pytest.mark.parametrize("name", ["tools/utils.py", "scripts/helpers/x.py", "tools/Manager.py"])
def test_a_name_that_says_nothing_is_refused(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()
    (problem,) = check_layout.problems(root)
    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize("folder", ["work", "root", "home/ada", "Users/Ada"])
def test_a_path_of_a_machine_is_found_with_its_line(root: Path, folder: str) -> None:
    (root / "README.md").write_text(f"# x\ncd /{folder}/scalelab\n")
    (problem,) = check_layout.problems(root)
    assert problem.startswith("README.md:2: a path of a machine: cd /")


def test_the_folder_of_the_checkout_itself_is_found(root: Path) -> None:
    (root / "notes.txt").write_text(f"see {root}/x\n")
    assert len(check_layout.problems(root)) == 1


def test_a_url_or_a_relative_path_is_no_path_of_a_machine(root: Path) -> None:
    (root / "a.md").write_text("http://x/work/1 ./home/x/1 a/root/b ${HOME}/work/x $/root/x\n")
    assert check_layout.problems(root) == []
