"""The bounded TTL cache: a pure engine and the LoopingCall that sweeps it."""
