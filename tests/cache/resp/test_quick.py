"""The short ways of GET and SET do what the commands of ``strings.py`` do, and answer nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.resp import strings
from scalability.cache.resp.quick import LARGE, MAX_GET_BYTES, MAX_KEY_BYTES, Quick
from scalability.net.wire import SEND_SOON_BYTES
from scalability.resp.requests import NO_SHAPE, Shape, shape_of
from scalability.testing.resp_session import RespSession

MOST = 4 * LARGE
KEYS = st.sampled_from([b"a", b"b", b"", b"longer", b"\r\n"])
VALUES = st.one_of(st.binary(max_size=8), st.sampled_from([LARGE - 1, LARGE, MOST, MOST + 1]).map(lambda size: b"x" * size))
REQUESTS = st.one_of(st.tuples(st.just(b"GET"), KEYS), st.tuples(st.just(b"SET"), KEYS, VALUES)).map(list)


class Connection:
    """What a quick command's bytes are given to, and what it has for others."""

    def __init__(self, client: RespSession) -> None:
        self.quick = Quick(client.session)
        self.counts = client.session.server.counts
        self.others: list[bytes] = []

    def give(self, shape: Shape, data: bytes) -> bytes | None:
        """What is answered to ``data`` after a request of ``shape``; None: nothing, and ``others`` has it."""
        sent: list[bytes] = []
        commands, others = self.counts.commands, len(self.others)
        reply = self.quick.answering(shape, self.others.append, sent.extend)(data)
        answer = b"".join(sent) if reply is None and sent else reply
        assert reply is None or len(reply) < SEND_SOON_BYTES
        assert self.counts.commands - commands == (answer is not None) == 1 - (len(self.others) - others)
        return answer


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
    reading, cutting = Quick(read.session), Connection(cut)
    for step in steps:
        if isinstance(step, float):
            for each in (slow, read, cut):
                each.clock.advance(step)
            continue
        data = encode(*step)
        wanted = slow.run(*step)
        assert reading.reply(step, read.entries.now()) == wanted
        assert cutting.give(shape_of(data, step), data) == wanted
    for each in (read, cut):
        assert each.changes.keys == slow.changes.keys
        assert (each.entries.changes, each.cache.stats) == (slow.entries.changes, slow.cache.stats)
        assert [each.value(key) for key in (b"a", b"b", b"")] == [slow.value(key) for key in (b"a", b"b", b"")]
        if observed:
            assert set(each.changes.by) <= {each.session, None}


@given(st.lists(st.sampled_from([b"GET", b"SET", b"get", b"GETX", b"a", b"b", b"aa", b"$1\r\n"]), min_size=1, max_size=4))
def test_what_has_another_shape_is_for_others(words: list[bytes]) -> None:
    client = Connection(session(observed=False))
    data = encode(*words)
    for known in ([b"GET", b"a"], [b"SET", b"a", b"b"], [b"get", b"aa"]):
        shape = shape_of(encode(*known), known)
        get = words[0] == (known[0] if known[0] != b"SET" else b"GET") and len(words) == 2
        alike = words[0] == known[0] and [len(word) for word in words] == [len(word) for word in known]
        assert (client.give(shape, data) is not None) is (get or alike)
        for cut in range(len(data)):
            assert client.give(shape, data[:cut]) is None
            assert client.others[-1] == data[:cut]
        assert client.give(shape, data + b"\r\n") is None


def test_a_key_of_any_length_is_found_without_a_shape() -> None:
    client = session(observed=False)
    connection = Connection(client)
    for length in (0, 1, 9, 10, 11, 99, 100, 101, MAX_KEY_BYTES):
        key = b"k" * length
        client.run("SET", key, b"%d" % length)
        data = encode(b"GET", key)
        assert connection.give(NO_SHAPE, data) == encode(b"%d" % length)[4:]
        assert len(data) <= MAX_GET_BYTES
        assert connection.give(NO_SHAPE, data.replace(b"$3", b"$4")) is None
    too_long = encode(b"GET", b"k" * (MAX_KEY_BYTES + 1))
    assert connection.give(NO_SHAPE, too_long) is None
    assert connection.others[-1] == too_long


def test_names_may_be_of_small_letters_and_other_commands_are_for_others() -> None:
    client = Connection(session(observed=False))
    set_small, get_small = encode(b"set", b"a", b"1"), encode(b"get", b"a")
    assert client.give(shape_of(set_small, [b"set", b"a", b"1"]), set_small) == b"+OK\r\n"
    assert client.give(shape_of(get_small, [b"get", b"a"]), get_small) == b"$1\r\n1\r\n"
    for words in ([b"DEL", b"a"], [b"GET", b"a", b"b"], [b"SET", b"a"], [b"GET"]):
        assert client.give(shape_of(encode(*words), words), encode(*words)) is None
        assert client.quick.reply(words, 0.0) is None
    assert client.give(NO_SHAPE, b"") is None
