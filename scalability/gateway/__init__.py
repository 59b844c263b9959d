"""scalelab-gateway: the API gateway."""
