"""OpenAPI both ways: requests are checked by a document of the operator's, and the gateway's own API is described by one."""
