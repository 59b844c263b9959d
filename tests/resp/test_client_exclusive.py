"""One user at a time."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from scalability.errors import AnswerTimeout, CommandRefused, DependencyDown, Overloaded
from scalability.testing.played_redis import OK, PlayedRedis
from tests.resp.test_client import ClientCase


class ExclusiveTests(ClientCase):
    def setUp(self) -> None:
        super().setUp()
        self.main = self.connected()
        self.log: list[str] = []
        self.uses: list[Any] = []
        """Kept: a use that nobody can end any more may be collected, and then it has left."""

    def use(self, name: str, *, fail: Exception | None = None) -> tuple[Deferred[Any], Deferred[None]]:
        """Use the connection until the second Deferred fires."""
        leave: Deferred[None] = Deferred()

        async def using() -> Any:
            async with self.client.exclusive() as connection:
                self.log.append(name)
                await leave
                if fail is not None:
                    raise fail
                return await connection.pipeline(("MULTI",), ("SET", name, 1), ("EXEC",))

        used = Deferred.fromCoroutine(using()), leave
        self.uses.append(used)
        return used

    def second(self) -> PlayedRedis:
        server = PlayedRedis(self.network.accept())
        server.greet()
        return server

    def test_it_is_a_connection_of_its_own_that_is_kept(self) -> None:
        assert not self.network.attempts
        server: PlayedRedis | None = None
        for name in ("a", "b"):
            done, leave = self.use(name)
            server = server or self.second()
            assert not self.network.attempts
            leave.callback(None)
            assert server.asked()[-3:] == [[b"MULTI"], [b"SET", name.encode(), b"1"], [b"EXEC"]]
            server.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
            assert self.successResultOf(done) == [b"OK", b"QUEUED", [b"OK"]]
            assert server.asked() == [[b"UNWATCH"]]
            server.say(OK)

    def test_others_wait_for_their_turn_in_order(self) -> None:
        uses = [self.use(name) for name in "abc"]
        server = self.second()
        for number, (done, leave) in enumerate(uses):
            assert self.log == list("abc"[: number + 1])
            leave.callback(None)
            server.asked()
            server.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n" + OK)
            self.successResultOf(done)

    def test_a_user_that_fails_leaves_a_new_connection_to_the_next(self) -> None:
        first, leave = self.use("a", fail=LookupError())
        server = self.second()
        self.use("b")
        leave.callback(None)
        self.failureResultOf(first, LookupError)
        assert server.transport.ended == "reset"
        self.second()
        assert self.log == ["a", "b"]
        assert self.client.connected

    def test_a_cancelled_user_likewise_and_a_cancelled_waiter_only_leaves_the_queue(self) -> None:
        first, _ = self.use("a")
        server = self.second()
        waiter, _ = self.use("b")
        self.use("c")
        waiter.cancel()
        self.failureResultOf(waiter, CancelledError)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        assert server.transport.ended == "reset"
        self.second()
        assert self.log == ["a", "c"]

    def test_the_wait_has_a_deadline_and_a_number(self) -> None:
        self.use("a")
        self.second()
        waiter, _ = self.use("b")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.client._exclusive, "_max_waiters", 1)
            refused, _ = self.use("c")
            self.failureResultOf(refused, Overloaded)
        self.network.pump([0.25] * 4)
        self.failureResultOf(waiter, AnswerTimeout)

    def test_a_transaction_that_was_forgotten_costs_the_connection(self) -> None:
        done, leave = self.use("a")
        server = self.second()
        leave.callback(None)
        server.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+QUEUED\r\n")
        self.successResultOf(done)
        assert server.transport.ended == "reset"

    def test_without_a_connection_it_fails_at_once(self) -> None:
        self.main.transport.finish()
        done, _ = self.use("a")
        self.failureResultOf(done, DependencyDown)
        assert not self.client._exclusive.taken

    def test_a_second_connection_that_cannot_be_opened_fails_its_user_and_lets_the_next_try(self) -> None:
        first, _ = self.use("a")
        self.use("b")
        self.network.refuse()
        self.failureResultOf(first)
        self.second()
        assert self.log == ["b"]

    def test_both_connections_end_together(self) -> None:
        done, leave = self.use("a")
        server = self.second()
        waiter, _ = self.use("b")
        leave.callback(None)
        self.main.transport.finish()
        self.failureResultOf(done)
        self.failureResultOf(waiter)
        assert server.transport.ended == "reset"

    def test_one_that_was_being_opened_when_the_server_was_left_is_not_used(self) -> None:
        done, _ = self.use("a")
        server = PlayedRedis(self.network.accept())
        self.main.transport.finish()
        server.greet()
        self.failureResultOf(done, DependencyDown)
        assert server.transport.ended == "reset"
        assert self.log == []

    def test_a_replica_found_out_by_a_transaction_is_left_by_all(self) -> None:
        done, leave = self.use("a")
        server = self.second()
        leave.callback(None)
        server.say(b"+OK\r\n-READONLY You can't write against a read only replica.\r\n-EXECABORT no\r\n")
        self.failureResultOf(done, CommandRefused)
        assert not self.client.connected
        assert self.main.transport.ended == "reset"

    def test_a_connection_that_ends_between_two_uses_is_opened_anew(self) -> None:
        done, leave = self.use("a")
        server = self.second()
        leave.callback(None)
        server.say(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n" + OK)
        self.successResultOf(done)
        server.transport.finish()
        assert self.client.connected
        self.use("b")
        self.second()
        assert self.log == ["a", "b"]
