"""scalelab-cache: the shared cache over HTTP."""
