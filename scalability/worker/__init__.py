"""scalelab-worker: a durable task queue and its runner."""
