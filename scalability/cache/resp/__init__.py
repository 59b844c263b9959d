"""The cache over RESP2 and RESP3: connections, sessions, and the commands by family."""
