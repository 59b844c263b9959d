"""Which of a URI's stored answers a request selects, and how many there may be."""

from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.variants import MAX_VARIANTS, Variants
from scalability.testing.messages import at, request, stored

FRESH = b"Cache-Control: max-age=100"


def variant(value: bytes | None, *lines: bytes, **more: object) -> StoredAnswer:
    asked = request(*([] if value is None else [b"X: " + value]))
    return stored(FRESH, b"Vary: X", *lines, asked_with=asked, **more)  # type: ignore[arg-type]


def test_rfc9111_4_1_all_nominated_fields_must_match() -> None:
    """The cache MUST NOT use that stored response without revalidation unless all the presented fields nominated by Vary match."""
    variants = Variants()
    answer = stored(FRESH, b"Vary: X, Y", asked_with=request(b"X: 1", b"Y: 2"))
    variants.put(answer)
    assert variants.chosen(request(b"Y: 2", b"X: 1", b"Z: 3")) is answer
    for lines in ([b"X: 1"], [b"X: 1", b"Y: 3"], [], [b"X: 1", b"Y: 2", b"Y: 2"]):
        assert variants.chosen(request(*lines)) is None


def test_each_variant_answers_its_own_requests() -> None:
    variants = Variants()
    answers = {value: variant(value) for value in (b"1", b"2", None)}
    for answer in answers.values():
        variants.put(answer)
    assert variants.chosen(request(b"X: 1")) is answers[b"1"]
    assert variants.chosen(request(b"X: 2")) is answers[b"2"]
    assert variants.chosen(request()) is answers[None]
    assert variants.chosen(request(b"X: 3")) is None


def test_rfc9111_4_the_most_recent_by_date_is_used() -> None:
    """When more than one suitable response is stored, a cache MUST use the most recent one (as determined by the Date header field)."""
    variants = Variants()
    new = stored(FRESH, b"Vary: Y", b"Date: " + at(-1), asked_with=request(b"X: 1"))
    old = variant(b"1", b"Date: " + at(-9))
    variants.put(new)
    variants.put(old)
    assert variants.matching(request(b"X: 1")) == [new, old]


def test_rfc9111_4_1_one_with_vary_goes_before_those_without() -> None:
    """When one or more omits Vary, the cache SHOULD choose the most recent stored response with a valid Vary field value."""
    variants = Variants()
    default = stored(FRESH, b"Date: " + at(0))
    german = variant(b"de", b"Date: " + at(-9))
    variants.put(german)
    variants.put(default)
    assert variants.chosen(request(b"X: de")) is german
    assert variants.chosen(request(b"X: en")) is default


def test_the_same_selection_replaces() -> None:
    variants = Variants()
    first, second = variant(b"1"), variant(b"1")
    assert variants.put(first) is None
    assert variants.put(second) is first
    assert len(variants) == 1
    assert variants.chosen(request(b"X: 1")) is second


def test_ten_thousand_variants_are_64() -> None:
    variants = Variants()
    answers = [variant(b"%d" % number) for number in range(10_000)]
    gone = [variants.put(answer) for answer in answers]
    assert len(variants) == len(variants.answers) == MAX_VARIANTS == 64
    assert gone[64:] == answers[:-64]
    assert variants.answers == answers[-64:]
    assert variants.size_bytes == sum(answer.size_bytes for answer in answers[-64:])
    assert variants.chosen(request(b"X: 9999")) is answers[-1]
    assert variants.chosen(request(b"X: 0")) is None


def test_ten_thousand_different_vary_fields_are_64_too() -> None:
    variants = Variants()
    for number in range(10_000):
        variants.put(stored(FRESH, b"Vary: X-%d" % number))
    assert len(variants) == 64
    assert len(variants.matching(request())) == 64


def test_an_answer_can_be_taken_out() -> None:
    variants = Variants()
    variants.put(variant(b"1"))
    assert variants.remove((b"x",), (b"2",)) is None
    assert variants.remove((b"y",), (b"1",)) is None
    assert variants.remove((b"x",), (b"1",)) is not None
    assert len(variants) == 0
    assert variants.chosen(request(b"X: 1")) is None
