"""Where servers come from: the configuration, a watched file, the addresses of a DNS name, its SRV records.

Each source tells ``Upstream.name_servers`` which servers it names. One that cannot be read or asked changes nothing: its last good
set stays, and the log says why, once. New servers take traffic after one passed check; those that are gone drain.
"""

from scalability.upstream.discovery.backend import Backend, DNSName, ServerFile, ServiceName
from scalability.upstream.discovery.dns import INTERVAL_S, DNSDiscovery, Find, addresses_of, check_resolver
from scalability.upstream.discovery.file import FileDiscovery, FileReading, read_file, read_servers
from scalability.upstream.discovery.srv import ServiceTargets
from scalability.upstream.discovery.static import name_static

__all__ = [
    "INTERVAL_S",
    "Backend",
    "DNSDiscovery",
    "DNSName",
    "FileDiscovery",
    "FileReading",
    "Find",
    "ServerFile",
    "ServiceName",
    "ServiceTargets",
    "addresses_of",
    "check_resolver",
    "name_static",
    "read_file",
    "read_servers",
]
