"""Typed, frozen options from flags, environment and TOML; one loader for every component."""

from scalability.config.address import Address, port_of
from scalability.config.certificate import CertificatePath
from scalability.config.command_line import CommandLine, command_line, fail
from scalability.config.common import ServerOptions
from scalability.config.load import Flag, Options, load, render
from scalability.config.network import Network
from scalability.config.url import ServiceURL

__all__ = [
    "Address",
    "CertificatePath",
    "CommandLine",
    "Flag",
    "Network",
    "Options",
    "ServerOptions",
    "ServiceURL",
    "command_line",
    "fail",
    "load",
    "port_of",
    "render",
]
