"""The cache's test bench itself."""

from scalability.testing.cache_case import CacheCase


class BenchTests(CacheCase):
    def test_the_origin_is_asked_and_answers(self) -> None:
        client = self.ask("X-A: b")
        assert self.origin.field("x-a") == b"b"
        self.origin.answer()
        assert self.got(client).endswith("hello")

    def test_it_can_have_something_stored(self) -> None:
        self.stored("Cache-Control: max-age=60")
        assert "hit" in self.got(self.ask())
