"""The command line of ``scalelab-cache``."""

from pathlib import Path

import pytest

from scalability.cache.tap import Options, makeService
from scalability.lifecycle import OrderedService


def test_flags_become_options() -> None:
    options = Options()
    options.parseOptions(["--ttl", "5", "--max-entries", "3", "--listen", "127.0.0.1:0"])
    assert (options.config.ttl_s, options.config.max_entries) == (5.0, 3)


def test_an_unknown_flag_is_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^scalelab-cache: .*restp"):
        Options().parseOptions(["--restp", "127.0.0.1:6380"])


def test_the_service_is_made_without_listening() -> None:
    options = Options()
    options.parseOptions(["--listen", "127.0.0.1:0"])
    service = makeService(options)
    assert isinstance(service, OrderedService)
    assert not service.running


def test_a_snapshot_needs_a_folder_that_is_there(tmp_path: Path) -> None:
    Options().parseOptions(["--snapshot", str(tmp_path / "cache")])
    for bad, why in ((tmp_path / "gone" / "cache", "there is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(SystemExit, match=f"^scalelab-cache: --snapshot: .*{why}"):
            Options().parseOptions(["--snapshot", str(bad), "--check-config"])
