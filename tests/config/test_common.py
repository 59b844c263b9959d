"""What every component's options have."""

from scalability.config.address import Address
from scalability.config.common import ServerOptions
from scalability.config.load import fields_of


def test_a_server_listens_on_the_loopback_interface_and_has_no_admin_listener_unless_told() -> None:
    options = ServerOptions()
    assert options.listen == Address("127.0.0.1", 0)
    assert options.admin is None


def test_listen_and_admin_are_flags_that_explain_themselves() -> None:
    assert [field.flag_name for field in fields_of(ServerOptions)] == ["listen", "admin"]
    assert all(field.flag.help.endswith(".") for field in fields_of(ServerOptions))
