"""What the HTTP cache has done, in plain numbers, read when metrics are asked for."""


class CacheCounts:
    """Requests are counted once, by what they were answered with."""

    __slots__ = (
        "abandoned",
        "bypassed",
        "collapsed",
        "fetches",
        "hits",
        "misses",
        "refused",
        "revalidated",
        "stale",
        "stored",
        "uncacheable",
    )

    def __init__(self) -> None:
        self.hits = 0
        """Answered from memory, fresh."""
        self.stale = 0
        """Answered from memory, stale: while it is validated, because the origin failed, or because the client said that it may be."""
        self.revalidated = 0
        """Answered from memory after the origin said that it is still good."""
        self.misses = 0
        """Answered by the origin, to a request that a stored answer could have served."""
        self.collapsed = 0
        """Of the misses and the revalidated: those that waited for another request's answer."""
        self.bypassed = 0
        """Answered by the origin, since no stored answer can serve such a request (its method, a body, an upgrade)."""
        self.refused = 0
        """Answered 504: the client wanted a stored answer or none, or what is stored must not be used without the origin's word."""
        self.fetches = 0
        """Requests to the origin, validations behind the clients' backs included."""
        self.stored = 0
        """Answers that were stored."""
        self.uncacheable = 0
        """Answers to a GET that were not stored: they forbid it, or are too large."""
        self.abandoned = 0
        """Answers that would have been stored and broke off."""
