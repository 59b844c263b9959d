"""The short ways of GET and SET do what the commands of ``strings.py`` do, and answer nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.resp import strings
from scalability.cache.resp.quick import LARGE, Quick, nothing
from scalability.resp.requests import NO_SHAPE, shape_of
from scalability.testing.resp_session import RespSession

MOST = 4 * LARGE
KEYS = st.sampled_from([b"a", b"b", b"", b"longer", b"\r\n"])
VALUES = st.one_of(st.binary(max_size=8), st.sampled_from([LARGE - 1, LARGE, MOST, MOST + 1]).map(lambda size: b"x" * size))
REQUESTS = st.one_of(st.tuples(st.just(b"GET"), KEYS), st.tuples(st.just(b"SET"), KEYS, VALUES)).map(list)


def encode(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def session(*, observed: bool) -> RespSession:
    made = RespSession(strings.FAMILY, max_object_bytes=MOST)
    if not observed:
        made.entries.unobserve(made.changes)
    return made


@given(st.booleans(), st.sampled_from([2, 3]), st.lists(st.one_of(REQUESTS, st.floats(0, 10)), max_size=20))
def test_all_ways_are_the_same(observed: bool, version: int, steps: list[list[bytes] | float]) -> None:
    slow, read, cut = (session(observed=observed) for _ in range(3))
    for each in (slow, read, cut):
        each.session.speak(version)
        each.run("SET", "b", "1", "PX", 5000)
        each.changes.keys.clear()
    reading, cutting = Quick(read.session), Quick(cut.session)
    for step in steps:
        if isinstance(step, float):
            for each in (slow, read, cut):
                each.clock.advance(step)
            continue
        data = encode(*step)
        wanted = slow.run(*step)
        assert reading.reply(step, read.entries.now()) == wanted
        assert cutting.answering(shape_of(data, step))(data) == wanted
    for each in (read, cut):
        assert each.changes.keys == slow.changes.keys
        assert (each.entries.changes, each.cache.stats) == (slow.entries.changes, slow.cache.stats)
        assert [each.value(key) for key in (b"a", b"b", b"")] == [slow.value(key) for key in (b"a", b"b", b"")]
        if observed:
            assert set(each.changes.by) <= {each.session, None}


@given(st.lists(st.sampled_from([b"GET", b"SET", b"get", b"GETX", b"a", b"b", b"aa", b"$1\r\n"]), min_size=1, max_size=4))
def test_what_has_another_shape_is_not_answered(words: list[bytes]) -> None:
    client = session(observed=False)
    quick = Quick(client.session)
    data = encode(*words)
    for known in ([b"GET", b"a"], [b"SET", b"a", b"b"], [b"get", b"aa"]):
        answer = quick.answering(shape_of(encode(*known), known))
        alike = words[0] == known[0] and [len(word) for word in words] == [len(word) for word in known]
        assert (answer(data) is not None) is alike
        for cut in range(len(data)):
            assert answer(data[:cut]) is None
        assert answer(data + b"\r\n") is None


def test_names_may_be_of_small_letters_and_others_are_not_answered() -> None:
    client = session(observed=False)
    quick = Quick(client.session)
    set_small = encode(b"set", b"a", b"1")
    assert quick.answering(shape_of(set_small, [b"set", b"a", b"1"]))(set_small) == b"+OK\r\n"
    for words in ([b"DEL", b"a"], [b"GET", b"a", b"b"], [b"SET", b"a"], [b"GET"]):
        assert quick.answering(shape_of(encode(*words), words)) is nothing
        assert quick.reply(words, client.entries.now()) is None
    assert quick.answering(NO_SHAPE)(b"") is None
