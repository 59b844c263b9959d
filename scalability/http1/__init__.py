"""HTTP/1.1 on bytes: heads, body framing, forwarding rules. Pure (RFC 9110, RFC 9112)."""
