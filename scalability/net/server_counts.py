"""What an HTTP server has done, as numbers. PURE."""


class ServerCounts:
    """What a server has done, in plain numbers, read when metrics are asked for."""

    __slots__ = (
        "aborted",
        "accepted",
        "answered",
        "begun",
        "open",
        "out_of_means",
        "paused_at_cap",
        "refused",
        "rejected",
        "sent_bytes",
    )

    def __init__(self) -> None:
        self.accepted = 0
        """Connections, ever."""
        self.open = 0
        """Connections, now."""
        self.begun = 0
        """Requests, ever."""
        self.answered = 0
        """Requests whose answer was sent completely."""
        self.aborted = 0
        """Requests whose answer was not sent completely: the client left, or the server behind us broke off."""
        self.refused = 0
        """Connections that ended with a message that is not proper HTTP, or came too late."""
        self.rejected = 0
        """Connections that were closed at once, because their client had as many as one client may have."""
        self.paused_at_cap = 0
        """How often accepting paused because there were as many connections as there may be."""
        self.out_of_means = 0
        """How often accepting paused because the process had no descriptor or memory left."""
        self.sent_bytes = 0
        """Of answers to requests."""

    @property
    def active(self) -> int:
        """Requests in flight."""
        return self.begun - self.answered - self.aborted
