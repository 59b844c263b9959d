"""The lab's own options."""

import pytest

from scalability.config import Address, load
from scalability.errors import ConfigError
from scalability.lab.config import LabOptions


def test_the_defaults_are_the_contracts() -> None:
    options = load(LabOptions, flags={}, environ={}, file=None)
    assert (options.gateways, options.data_dir, options.admin) == (2, "./.scalelab", None)


def test_each_can_be_given() -> None:
    environ = {"SCALELAB_LAB_GATEWAYS": "3", "SCALELAB_LAB_DATA_DIR": "/var/x", "SCALELAB_LAB_ADMIN": ":9"}
    options = load(LabOptions, flags={"gateways": "4"}, environ=environ, file=None)
    assert (options.gateways, options.data_dir, options.admin) == (4, "/var/x", Address("127.0.0.1", 9))


@pytest.mark.parametrize("gateways", ["0", "65", "-1", "many", "1.5"])
def test_a_senseless_number_of_gateways_is_refused(gateways: str) -> None:
    with pytest.raises(ConfigError, match="--gateways"):
        load(LabOptions, flags={"gateways": gateways}, environ={}, file=None)


def test_an_empty_data_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="--data-dir"):
        load(LabOptions, flags={"data_dir": ""}, environ={}, file=None)
