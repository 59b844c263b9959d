"""scalelab-database: records over HTTP, on sql."""
