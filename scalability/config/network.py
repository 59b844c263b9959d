"""A network of IP addresses, as flags write it."""

from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import NamedTuple, Self


class Network(NamedTuple):
    """The addresses that one CIDR covers."""

    addresses: IPv4Network | IPv6Network

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``10.0.0.0/8``, ``fd00::/8``, or one address. Raises ValueError, saying what is wrong."""
        try:
            return cls(ip_network(text))
        except ValueError:
            pass
        try:
            meant = ip_interface(text).network
        except ValueError:
            raise ValueError(f"{text!r} is neither an IP address nor a network as 10.0.0.0/8") from None
        raise ValueError(f"{text!r} has bits beyond its mask; is {meant} meant?")

    def __str__(self) -> str:
        network = self.addresses
        return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
