"""scalelab: the whole lab as processes, and the load that drives it."""
