"""A session is plain until something of its requests must be looked at."""

from scalability.cache.resp.session import Session
from scalability.resp import replies
from scalability.testing.resp_session import RespSession


def session() -> Session:
    return RespSession().session


def test_a_new_session_is_plain_and_speaks_resp2() -> None:
    new = session()
    assert new.plain
    assert (new.resp3, new.null, new.null_array) == (False, replies.NULL_BULK, replies.NULL_ARRAY)


def test_versions() -> None:
    new = session()
    new.speak(3)
    assert (new.resp3, new.null, new.null_array) == (True, replies.NULL, replies.NULL)
    new.speak(2)
    assert (new.resp3, new.null, new.null_array) == (False, replies.NULL_BULK, replies.NULL_ARRAY)


def test_what_makes_it_less_than_plain() -> None:
    for name, value in (("authenticated", False), ("queued", []), ("tracking", object()), ("closing", True)):
        new = session()
        setattr(new, name, value)
        assert not new.plain, name
