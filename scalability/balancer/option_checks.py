"""What options of scalelab-lb must not say together, and whether the files that they name can be used."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import fields

from scalability.api.admin_token import read_token
from scalability.balancer.values import RetryReason, UpgradeName
from scalability.config import Address
from scalability.config.named_file import read_named
from scalability.config.written import check_appended, check_written
from scalability.errors import ConfigError
from scalability.upstream.discovery import DNSName, ServerFile, check_resolver, read_servers
from scalability.upstream.spec import ServerSpec, check_shares
from scalability.upstream.stickiness import read_keys

if TYPE_CHECKING:
    from scalability.balancer.config import BalancerOptions

MAX_KEY_FILE_BYTES = 64 << 10

SHORTEST_S = 0.01
"""Checks that came faster, in seconds, would be nothing but load."""


def check_options(options: "BalancerOptions") -> None:
    """Raise ValueError, ``key: why``, when options contradict each other."""
    if options.max_connections < options.workers:
        raise ValueError(f"max_connections: {options.workers} workers cannot share {options.max_connections}; each needs 1 at least")
    if 0 < options.max_queue < options.workers:
        raise ValueError(f"max_queue: {options.workers} workers cannot share {options.max_queue}; each needs 1 at least")
    if 0 < options.max_connections_per_client < options.workers:
        raise ValueError(
            f"max_connections_per_client: {options.workers} workers cannot share {options.max_connections_per_client}; "
            "each needs 1 at least"
        )
    if options.admin is not None and options.admin_token_file is None and not options.admin.loopback:
        raise ValueError(f"admin: {options.admin} can be reached from other machines; give it --admin-token-file, or a loopback address")
    if options.resolver is not None:
        check_resolver(options.resolver)
    if options.backend_insecure and options.backend_ca is not None:
        raise ValueError("backend_insecure: with --backend-ca certificates are verified")
    if options.tls_listen is not None and not options.tls_cert:
        raise ValueError("tls_cert: --tls-listen needs a certificate")
    if options.tls_cert and options.tls_listen is None:
        raise ValueError("tls_listen: --tls-cert names certificates, and no listener serves them")
    if options.max_target_bytes >= options.max_header_bytes:
        raise ValueError(f"max_target_bytes: a head of {options.max_header_bytes} bytes has no place for such a target")
    if len(options.retry_on) > 1 and RetryReason("none") in options.retry_on:
        raise ValueError("retry_on: none stands alone")
    if options.sticky_key_file is not None and options.sticky == "off":
        raise ValueError("sticky: --sticky-key-file names keys, and nothing is signed with them; add --sticky cookie")
    if options.sticky != "off" and options.sticky_key_file is None and options.workers > 1:
        raise ValueError("sticky_key_file: workers need a file of keys in common; openssl rand -hex 32 makes a key")
    if len(options.upgrade) > 1 and UpgradeName("none") in options.upgrade:
        raise ValueError("upgrade: none stands alone")
    listeners: dict[Address, str] = {}
    for key, address in (("listen", options.listen), ("tls_listen", options.tls_listen), ("admin", options.admin)):
        if address is not None and address.port:
            other = listeners.setdefault(address, key)
            if other != key:
                raise ValueError(f"{key}: {address} is what --{other.replace('_', '-')} listens on already")
    seen: set[str] = set()
    for backend in options.backend:
        if backend.place in seen:
            raise ValueError(f"backend: {backend.place} is named twice; give it a weight instead")
        seen.add(backend.place)
        if isinstance(backend.source, ServerSpec) and backend.source.address in listeners:
            raise ValueError(f"backend: {backend.source.address} is this balancer itself")
        limits = backend.source.spec if isinstance(backend.source, DNSName) else backend.source
        if not isinstance(limits, ServerFile):
            try:
                check_shares(backend.place, options.workers, max_active=limits.max_active, max_connections=limits.max_connections)
            except ValueError as error:
                raise ValueError(f"backend: {error}") from None
    _check_checks(options)


def _check_checks(options: "BalancerOptions") -> None:
    """Raise ValueError when checks are told to do what does not go together."""
    if options.health_timeout_s > options.health_interval_s:
        raise ValueError(f"health_timeout: a check must end before the next one begins, within {options.health_interval_s:g} s")
    for key in ("health_timeout", "health_fast_interval", "health_down_interval"):
        if 0 < getattr(options, f"{key}_s") < SHORTEST_S:
            raise ValueError(f"{key}: it is shorter than {SHORTEST_S} s")
    if options.health_fast_interval_s > options.health_interval_s:
        raise ValueError(f"health_fast_interval: it is longer than the interval of {options.health_interval_s:g} s")
    if options.health_body is not None and options.health_method == "HEAD":
        raise ValueError("health_body: an answer to HEAD has no body")
    if sum(field.name.lower() == "host" for field in options.health_header) > 1:
        raise ValueError("health_header: a request has one Host")
    if options.health_mode == "tcp":
        defaults = {field.name: field.default for field in fields(options)}
        for key in ("health_path", "health_method", "health_header", "health_status", "health_body"):
            if getattr(options, key) != defaults[key]:
                raise ValueError(f"{key}: with --health-mode tcp nothing is asked")


def check_files(options: "BalancerOptions") -> None:
    """Raise ConfigError when access log or state could not be written, a certificate not be served, or a file of servers not be read."""
    if options.admin_token_file is not None:
        read_token(options.admin_token_file)
    if options.sticky_key_file is not None:
        keys_of(options.sticky_key_file)
    if options.tls_cert:
        from scalability.net.certificates import read_certificates  # loads OpenSSL, which most do without

        for source in options.tls_cert:
            read_certificates(source)
    if options.backend_ca is not None:
        from scalability.net.tls import Authorities  # likewise

        Authorities(options.backend_ca)
    for backend in options.backend:
        if isinstance(backend.source, ServerFile):
            read_servers(backend.source.path, options.workers)
    if options.access_log is not None:
        check_appended("--access-log", options.access_log)
    if options.state_file is not None:
        # another file is put in its place
        check_written("--state-file", options.state_file, options.state_file.absolute().parent)


def keys_of(file: Path) -> tuple[bytes, ...]:
    """The keys in ``file``. Raises ConfigError."""
    text = read_named("--sticky-key-file", file, MAX_KEY_FILE_BYTES)
    try:
        return read_keys(text.decode("ascii"))
    except UnicodeError as error:
        raise ConfigError("--sticky-key-file", f"{file} is not ASCII") from error
    except ValueError as error:
        raise ConfigError("--sticky-key-file", f"{file}: {error}") from error
