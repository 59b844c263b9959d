"""Memory beside what is stored."""

from scalability.gateway.http_cache.outside import Outside


def test_all_of_it_counts() -> None:
    outside = Outside(1000)
    assert outside.total_bytes == 0
    outside.arriving_bytes, outside.held_bytes, outside.pinned_bytes, outside.prepared_bytes = 1, 20, 300, 4000
    assert outside.total_bytes == 4321
