"""Memory of the HTTP cache beside what is stored, in bytes: it counts against the same bound. PURE."""


class Outside:
    """One for each ``AnswerStore``; whoever holds such memory counts it here.

    ``share_bytes`` is how much may arrive at once to be stored, and how much may be held for clients that have not taken it yet.
    """

    __slots__ = ("arriving_bytes", "held_bytes", "pinned_bytes", "prepared_bytes", "share_bytes")

    def __init__(self, share_bytes: int) -> None:
        self.share_bytes = share_bytes
        self.arriving_bytes = 0
        """Of bodies that are being received to be stored. What arrives beyond the share is passed on and not stored."""
        self.held_bytes = 0
        """Of bodies that have arrived, for clients that have not taken them yet. Beyond the share slow clients hold up their origins, for
        as long as that lasts, also where the answer is being stored."""
        self.pinned_bytes = 0
        """Of bodies that are stored no more, and that clients still read (``pins``)."""
        self.prepared_bytes = 0
        """Of answers that are ready to be sent (``prepared``)."""

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.arriving_bytes + self.held_bytes + self.pinned_bytes + self.prepared_bytes
