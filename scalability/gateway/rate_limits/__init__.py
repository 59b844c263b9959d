"""How many requests somebody may send: GCRA, a bounded table of cells, the RateLimit fields."""
