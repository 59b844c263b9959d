"""The policies of the gateway's own paths."""

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from scalability.gateway.access.assembly import Access
from scalability.gateway.access.config import CorsOptions, JWTOptions
from scalability.gateway.access.own_paths import own_policies, path_of
from scalability.gateway.rate_limits.config import LimitOptions, RateLimitOptions
from scalability.testing.exchanges import head_of
from scalability.testing.signing import SECRET


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/data", b"/data"),
        (b"/data?x=/health", b"/data"),
        (b"/%64ata", b"/data"),
        (b"//data///", b"/data"),
        (b"/%2Fdata", b"/data"),
        (b"/", b"/"),
        (b"*", b"/*"),
        (b"/data%3Fx", b"/data?x"),
        (b"/%zz", b"/%zz"),
    ],
)
def test_a_path_is_found_however_it_is_written(target: bytes, path: bytes) -> None:
    assert path_of(target) == path


def test_where_nothing_is_asked_for_there_is_no_policy_to_pass() -> None:
    assert own_policies(Access(Clock()), cors=None, api_keys=None, jwt=None) is None


def test_data_and_long_tasks_ask_for_a_token_and_health_never_counts(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    limits = RateLimitOptions(limits=(LimitOptions(requests=1, window_s=1),))
    policy_of = own_policies(
        Access(Clock(), rate_limit=limits),
        cors=CorsOptions(origins=("*",)),
        api_keys=None,
        jwt=JWTOptions(secret_file=str(tmp_path / "secret")),
    )
    assert policy_of is not None
    found = {
        target: policy_of(head_of(target=target))
        for target in ("/data", "/%64ata?x", "/longtask", "/health", "/metrics/", "/tasks/1", "/x")
    }
    asks = {target: (policy.tokens is not None, policy.limits is not None) for target, policy in found.items() if policy is not None}
    assert asks == {
        "/data": (True, True),
        "/%64ata?x": (True, True),
        "/longtask": (True, True),
        "/health": (False, False),
        "/metrics/": (False, False),
        "/tasks/1": (False, True),
        "/x": (False, True),
    }
    assert all(policy is not None and policy.cors is not None for policy in found.values())
    assert found["/data"] is found["/%64ata?x"]


def test_a_token_alone_leaves_the_rest_open(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    policy_of = own_policies(Access(Clock()), cors=None, api_keys=None, jwt=JWTOptions(secret_file=str(tmp_path / "secret")))
    assert policy_of is not None
    assert not policy_of(head_of(target="/process"))
    assert policy_of(head_of(target="/data"))
