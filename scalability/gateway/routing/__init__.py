"""Routes: paths of the gateway that other servers answer, each with policies, a cache and servers of its own."""
