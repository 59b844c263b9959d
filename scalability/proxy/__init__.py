"""One exchange: choose a server, connect, forward, retry, account."""
