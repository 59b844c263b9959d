"""How large the parts of a message may be; whoever stores bytes of a peer stores no more than this."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a peer may send, all inclusive, in bytes unless the name says otherwise (docs/http_rules.md, rule 27)."""

    max_target_bytes: int = 8192
    """Of the request target as received; beyond: 414."""
    max_head_bytes: int = 32768
    """Of a whole head, start line and final empty line included; beyond: 431."""
    max_fields: int = 100
    """Number of field lines in a head or in a trailer section; beyond: 431."""
    max_chunk_line_bytes: int = 4096
    """Of one chunk-size line with its extensions and CRLF; beyond: 400."""
    max_trailer_bytes: int = 8192
    """Of a trailer section with its final empty line; beyond: 431."""
    max_body_bytes: int = 1 << 30
    """Of a request's decoded body; beyond: 413. Bodies of answers are streamed without a limit of their own."""
    underscore_names: bool = False
    """False: request fields such as ``X_Forwarded_For`` are dropped, since CGI-like servers confuse ``_`` with ``-`` (rule 29)."""


DEFAULT_LIMITS = Limits()
