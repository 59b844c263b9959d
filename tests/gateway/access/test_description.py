"""Credentials, as OpenAPI calls them."""

from scalability.gateway.access.description import schemes

KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
TOKEN = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def test_each_kind_of_credentials_has_a_scheme() -> None:
    assert schemes(tokens=False, key_field=None) == {}
    assert schemes(tokens=True, key_field=None) == {"token": TOKEN}
    assert schemes(tokens=True, key_field="X-API-Key") == {"token": TOKEN, "key_X-API-Key": KEY}
    assert list(schemes(tokens=False, key_field="a|b")) == ["key_a_b"]
