"""The options of scalelab-lb."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from scalability.balancer.hashing import KINDS, HashKey
from scalability.balancer.option_checks import check_files, check_options
from scalability.balancer.values import Algorithm, CheckField, PathOfURL, RetryReason, UpgradeName
from scalability.config import Address, CertificatePath, Flag, Network, ServerOptions
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.net.http_server import Timeouts
from scalability.proxy.retrying import USUAL, RetryPolicy
from scalability.upstream.discovery import INTERVAL_S, Backend
from scalability.upstream.expected import BodyPattern, Statuses
from scalability.upstream.pace import Pace
from scalability.upstream.rules import UpstreamRules, rules_of
from scalability.upstream.selection import ALGORITHMS


class BalancerOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``twistd scalelab-lb --help`` lists."""

    component: ClassVar[str] = "lb"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 8000)
    backend: Annotated[
        tuple[Backend, ...],
        Flag(
            "A server to forward to, HOST:PORT, or several: dns:NAME:PORT, each address of a name; dns+srv:NAME, the targets of its SRV "
            "records; file:PATH, one a line, read anew when it changes. HOST:PORT and dns: may have ,weight=N (0 to 256) for the share of "
            "the requests, ,backup or ,level=N (0 to 127) for servers that stand by for those of lower levels; these and dns+srv: may have "
            ",maxconn=N for the requests and ,max_connections=N for the connections that one server gets at once, and ,tls where it speaks "
            "TLS; ,tls=NAME if its certificate has another name than it is reached by.",
            "HOST:PORT",
        ),
    ] = (Backend.parse("127.0.0.1:5000"), Backend.parse("127.0.0.1:5003"))
    algorithm: Annotated[Algorithm, Flag(f"How the next server is chosen: {', '.join(ALGORITHMS)}.", "NAME")] = Algorithm("round_robin")
    health_mode: Annotated[
        Literal["http", "tcp"],
        Flag("How servers are checked: with a request, or by a connection alone, TLS handshake included.", "http|tcp"),
    ] = "http"
    health_path: Annotated[PathOfURL, Flag("Path that a check asks for.", "PATH")] = PathOfURL("/health")
    health_method: Annotated[
        Literal["GET", "HEAD", "OPTIONS", "POST"], Flag("Method that a check asks with; never with a body.", "GET|HEAD|OPTIONS|POST")
    ] = "GET"
    health_header: Annotated[
        tuple[CheckField, ...],
        Flag("A header field that a check is sent with; Host and User-Agent take the place of the usual ones.", "NAME:VALUE"),
    ] = ()
    health_status: Annotated[
        Statuses, Flag("Statuses, and ranges of them, that pass a check: 200,204,300-399 for instance.", "STATUSES")
    ] = Statuses()
    health_body: Annotated[
        BodyPattern | None,
        Flag("Regular expression that must have a match in the first 262144 bytes of the answer's body for a check to pass.", "PATTERN"),
    ] = None
    health_interval_s: Annotated[float, Meta(ge=0.05, le=3600), Flag("Seconds from one check of a server that is up to the next.", "S")] = (
        Pace().interval_s
    )
    health_timeout_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag("Seconds that a check may take, connecting included, at most the interval; 0: the interval.", "S"),
    ] = 0.0
    health_fast_interval_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag("Seconds between checks while a server is about to go down or to come back; 0: a quarter of the interval.", "S"),
    ] = 0.0
    health_down_interval_s: Annotated[
        float, Meta(ge=0, le=3600), Flag("Seconds between checks of a server that is down; 0: as long as the fast interval.", "S")
    ] = 0.0
    health_jitter: Annotated[
        float, Meta(ge=0, le=50), Flag("Percent by which each of these intervals is longer or shorter, by chance.", "PERCENT")
    ] = 100 * Pace().jitter
    health_rise: Annotated[int, Meta(ge=1, le=100), Flag("Passed checks in a row that bring a server back that was down.", "N")] = 2
    health_fall: Annotated[
        int, Meta(ge=1, le=100), Flag("Failed checks in a row, refused connections included, that take a server out.", "N")
    ] = 3
    health_initial: Annotated[
        Literal["up", "mandatory"],
        Flag("Whether a server of the configuration takes traffic before its first check (up), or once that has passed.", "up|mandatory"),
    ] = "up"
    panic_percent: Annotated[
        int,
        Meta(ge=0, le=100),
        Flag(
            "Percent of the servers that must be healthy; with fewer, all that can be connected to are used, since checks that fail "
            "everywhere may say more of the checks. 0: only healthy ones are ever used.",
            "PERCENT",
        ),
    ] = 50
    slow_start_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag(
            "Seconds in which a server that has come back is given more and more requests, from a tenth of its share on; 0: all at once.",
            "S",
        ),
    ] = 0.0
    max_queue: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        Flag("Requests that may wait when every server has as many as its ,maxconn; further ones are answered 503.", "N"),
    ] = 1024
    queue_timeout_s: Annotated[
        float,
        Meta(gt=0, le=3600),
        Flag(
            "Seconds that a request may wait for a server with a free place, or for its turn to be retried, before it is answered 503.", "S"
        ),
    ] = 5.0
    eject_failures: Annotated[
        int,
        Meta(ge=0, le=10_000),
        Flag("Requests in a row that end with 502, 503, 504, a reset or a timeout, and so eject their server for a time; 0: none do.", "N"),
    ] = 5
    eject_time_s: Annotated[
        float,
        Meta(gt=0, le=86400),
        Flag("Seconds that a first ejection lasts; the second lasts twice as long, and so on up to 300 or as many seconds.", "S"),
    ] = 30.0
    eject_percent: Annotated[
        int, Meta(ge=0, le=100), Flag("Percent of the servers that may be ejected at once; never the last one.", "PERCENT")
    ] = 50
    breaker_percent: Annotated[
        int,
        Meta(ge=0, le=100),
        Flag(
            "Percent of a server's requests, of at least 20 in 10 seconds, that fail and so open its circuit breaker: "
            "for 10 seconds it gets none, then 3 to try. 0: no breaker.",
            "PERCENT",
        ),
    ] = 50
    retries: Annotated[
        int,
        Meta(ge=0, le=100),
        Flag(
            "How often an idempotent request that got no good answer is sent once more, to another server. "
            "A refused connection is no retry.",
            "N",
        ),
    ] = 2
    retry_on: Annotated[
        tuple[RetryReason, ...],
        Flag(
            "What is retried: no_answer (the connection broke), bad_answer (no HTTP), answer_timeout, gateway_error (502, 503, 504), "
            "server_error (every 5xx); none: nothing.",
            "REASON",
        ),
    ] = tuple(RetryReason(reason) for reason in sorted(USUAL))
    retry_budget: Annotated[
        int,
        Meta(ge=0, le=100),
        Flag("Percent of the requests in flight that may be retries, but always 3; further ones wait for their turn.", "PERCENT"),
    ] = 20
    retry_body_bytes: Annotated[
        int, Meta(ge=0, le=16 << 20), Flag("Bytes of a request's body that are kept, so that it can be sent again.", "N")
    ] = 65536
    hedge_after_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Flag(
            "Seconds after which a GET or HEAD without an answer is sent to a second server, too; the first answer counts. 0: never.", "S"
        ),
    ] = 0.0
    sticky: Annotated[
        Literal["off", "cookie"],
        Flag("Bind each client to the server of its first request, by a signed cookie.", "off|cookie"),
    ] = "off"
    sticky_key_file: Annotated[
        Path | None,
        Flag(
            "File with the keys that sign this cookie, one a line of 32 characters or more, the first of which signs. Without it a key "
            "is made at the start, and clients are bound anew after each.",
            "FILE",
        ),
    ] = None
    hash_key: Annotated[HashKey, Flag(f"What the algorithm maglev hashes: {', '.join(KINDS)}.", "KEY")] = HashKey("client")
    shed_lag_s: Annotated[
        float,
        Meta(ge=0, le=60),
        Flag("Seconds that the event loop may be late all the time, before a part of the requests is answered 503; 0: none ever is.", "S"),
    ] = 0.5
    admin_token_file: Annotated[
        Path | None,
        Flag(
            "File with a token of 16 characters or more: whoever sends it as Authorization: Bearer TOKEN to the admin listener may drain "
            "servers, set their weights and reload. Without it nobody may, and --admin must be a loopback address.",
            "FILE",
        ),
    ] = None
    state_file: Annotated[
        Path | None,
        Flag(
            "File in which modes and weights that an operator has set outlive the process: written at each change, read at the start. "
            "Without it they end with the process.",
            "FILE",
        ),
    ] = None
    explained_requests: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        Flag("How many of the last decisions for a server are remembered, for /why/REQUEST-ID on the admin listener.", "N"),
    ] = 1000
    access_log: Annotated[
        Path | None,
        Flag(
            "File that gets one line for each request, in batches of up to a second. Opened anew on SIGUSR1 and after it was renamed.",
            "FILE",
        ),
    ] = None
    backend_ca: Annotated[
        Path | None, Flag("PEM file with the authorities whose word counts about ,tls backends, instead of the system's.", "FILE")
    ] = None
    backend_insecure: Annotated[
        bool, Flag("Accept any certificate of ,tls backends. Whoever sits in between can read and change everything.")
    ] = False
    send_proxy: Annotated[
        Literal["off", "v1", "v2"],
        Flag(
            "Begin each connection to a server with a PROXY protocol header of this version that tells the client's address. Such a "
            "connection is used for that client alone.",
            "off|v1|v2",
        ),
    ] = "off"
    tls_listen: Annotated[Address | None, Flag("HOST:PORT to accept requests over TLS (1.2 and 1.3) on, beside --listen.", "HOST:PORT")] = (
        None
    )
    tls_cert: Annotated[
        tuple[CertificatePath, ...],
        Flag(
            "A certificate for --tls-listen: a PEM file with its chain and its key, CERT,KEY, or a folder of such files. A client gets "
            "the one that names the host it asks for, else the first. Read anew when a file changes.",
            "FILE",
        ),
    ] = ()
    proxy_protocol_from: Annotated[
        tuple[Network, ...],
        Flag(
            "A network (CIDR) or address of proxies that begin each connection with a PROXY protocol header, version 1 or 2. From them it "
            "is required, within --header-timeout; from nobody else it is read.",
            "CIDR",
        ),
    ] = ()
    access_log_format: Annotated[
        Literal["json", "common"],
        Flag("How the lines of the access log look: JSON with phase times, or the Common Log Format.", "json|common"),
    ] = "json"
    trusted_proxy: Annotated[
        tuple[Network, ...],
        Flag(
            "A network (CIDR) or address of proxies in front of this one, whose X-Forwarded-*, Forwarded, X-Real-IP, X-Request-Id and "
            "traceparent are believed. Those of everybody else are replaced.",
            "CIDR",
        ),
    ] = ()
    forwarded: Annotated[bool, Flag("Tell servers about the client in Forwarded (RFC 7239) too, beside X-Forwarded-*.")] = False
    request_ids: Annotated[
        Literal["on", "off"],
        Flag("Whether each request gets an X-Request-Id, which its answer and the access log say too, and a W3C traceparent.", "on|off"),
    ] = "on"
    resolver: Annotated[
        Address | None,
        Flag(
            "IP:PORT of the name server to ask for dns: and dns+srv: backends, instead of /etc/hosts and the servers in /etc/resolv.conf.",
            "IP:PORT",
        ),
    ] = None
    resolve_interval_s: Annotated[
        float, Meta(ge=0.1, le=3600), Flag("Seconds between two questions for the servers of a dns: or dns+srv: backend.", "S")
    ] = INTERVAL_S
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=3600), Flag("Seconds that a connection to a server may take; then another server is tried.", "S")
    ] = 3.0
    header_timeout_s: Annotated[
        float,
        Meta(gt=0, le=3600),
        Flag("Seconds from the first byte of a request to the end of its head; then the client is answered 408.", "S"),
    ] = 10.0
    body_timeout_s: Annotated[
        float,
        Meta(gt=0, le=86400),
        Flag("Seconds between two pieces of a request's body; then the client is answered 408. Also what a slow reader has.", "S"),
    ] = 30.0
    min_body_rate: Annotated[
        int,
        Meta(ge=0, le=1 << 30),
        Flag("Bytes a second that a request's body must bring on average after its first 10 seconds, else 408; 0: any rate.", "N"),
    ] = 1024
    answer_timeout_s: Annotated[
        float,
        Meta(gt=0, le=86400),
        Flag("Seconds to the first byte of a server's answer, and between two pieces of it; then the client is answered 504.", "S"),
    ] = 60.0
    total_timeout_s: Annotated[
        float,
        Meta(ge=0, le=86400),
        Flag(
            "Seconds from a request's head to the last byte of its answer, retries and waiting included; then 504, or a reset where an "
            "answer has begun. Tunnels have no such limit. 0: none has.",
            "S",
        ),
    ] = 0.0
    idle_timeout_s: Annotated[
        float, Meta(gt=0, le=86400), Flag("Seconds that a client's connection may lie idle between two requests, before it is closed.", "S")
    ] = 75.0
    upgrade: Annotated[
        tuple[UpgradeName, ...],
        Flag("A protocol that clients may switch to with Upgrade, as a tunnel of bytes to the server; none: no such thing.", "NAME"),
    ] = (UpgradeName("websocket"),)
    tunnel_timeout_s: Annotated[
        float, Meta(gt=0, le=604800), Flag("Seconds in which nothing passes through a tunnel either way, before it is closed.", "S")
    ] = 3600.0
    grace_s: Annotated[
        float, Meta(ge=0, le=3600), Flag("Seconds that requests in flight have to finish after SIGTERM, before they are cut.", "S")
    ] = 30.0
    max_header_bytes: Annotated[
        int,
        Meta(ge=1024, le=1 << 20),
        Flag("Bytes of a head, start line included: a larger request is answered 431, a larger answer 502.", "N"),
    ] = DEFAULT_LIMITS.max_head_bytes
    max_headers: Annotated[
        int, Meta(ge=1, le=10_000), Flag("Fields of a head: more of them in a request are answered 431, in an answer 502.", "N")
    ] = DEFAULT_LIMITS.max_fields
    max_target_bytes: Annotated[
        int, Meta(ge=64, le=1 << 20), Flag("Bytes of a request's target, path and query: a longer one is answered 414.", "N")
    ] = DEFAULT_LIMITS.max_target_bytes
    max_body_bytes: Annotated[
        int, Meta(ge=0, le=1 << 50), Flag("Bytes of a request's body: a larger one is answered 413. Answers have no limit.", "N")
    ] = DEFAULT_LIMITS.max_body_bytes
    underscore_names: Annotated[
        Literal["drop", "pass"],
        Flag(
            "What becomes of a request's fields with _ in their names. CGI-like servers take X_Forwarded_For for X-Forwarded-For, "
            "which clients could make up then.",
            "drop|pass",
        ),
    ] = "drop"
    abort_on_close: Annotated[
        bool,
        Flag(
            "Take a client's FIN for its end and cancel what its server works on. A client that only says that it has no further request, "
            "as HTTP lets it, gets no answer then."
        ),
    ] = False
    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000), Flag("Clients that may be connected at once; further ones wait to be accepted.", "N")
    ] = 10_000
    max_connections_per_client: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        Flag("Connections that one IPv4 address, or IPv6 /64, may have; further ones are closed at once. 0: no limit.", "N"),
    ] = 0
    workers: Annotated[
        int,
        Meta(ge=1, le=256),
        Flag("Processes that share the port and its clients, 1 to 256: as many as there are cores; one more watches over them.", "N"),
    ] = 1

    def limits(self) -> Limits:
        """What heads and bodies may measure."""
        return Limits(
            max_target_bytes=self.max_target_bytes,
            max_head_bytes=self.max_header_bytes,
            max_fields=self.max_headers,
            max_body_bytes=self.max_body_bytes,
            underscore_names=self.underscore_names == "pass",
        )

    @property
    def pace(self) -> Pace:
        """How often servers are checked, with what follows from the interval."""
        interval_s = self.health_interval_s
        fast_s = self.health_fast_interval_s or interval_s / 4
        return Pace(interval_s, fast_s, self.health_down_interval_s or fast_s, self.health_jitter / 100)

    @property
    def check_timeout_s(self) -> float:
        """How long a check may take."""
        return self.health_timeout_s or self.health_interval_s

    def rules(self) -> UpstreamRules:
        """What is believed of servers, and when."""
        return rules_of(self, rise=self.health_rise, fall=self.health_fall)

    def retry_policy(self) -> RetryPolicy:
        """When a request is sent once more."""
        reasons = frozenset(reason.name for reason in self.retry_on) - {"none"}
        return RetryPolicy(retries=self.retries, reasons=reasons, max_body_bytes=self.retry_body_bytes)

    def upgrades(self) -> frozenset[bytes]:
        """The protocols that may be switched to, in lower case."""
        return frozenset(protocol.name.encode() for protocol in self.upgrade if protocol.name != "none")

    def timeouts(self) -> Timeouts:
        """How long clients may keep us waiting."""
        return Timeouts(
            head_s=self.header_timeout_s,
            idle_s=self.idle_timeout_s,
            body_s=self.body_timeout_s,
            min_body_bytes_per_s=self.min_body_rate,
        )

    @property
    def send_proxy_version(self) -> int:
        """1 or 2, or 0 for none."""
        return {"off": 0, "v1": 1, "v2": 2}[self.send_proxy]

    def __post_init__(self) -> None:
        check_options(self)

    def check_files(self) -> None:
        """Raise ConfigError when the access log could not be written, a certificate not be served, or a file of servers not be read."""
        check_files(self)
