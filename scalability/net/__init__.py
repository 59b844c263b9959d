"""Transports, the HTTP/1.1 server and client, connection pools, relays with backpressure, listeners."""
