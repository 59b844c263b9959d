from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.worker.ids import RANDOM_BITS, is_task_id, task_id


@given(st.floats(0, 2**37), st.integers(0, 2**RANDOM_BITS - 1))
def test_an_id_is_a_uuid_of_version_7_with_its_time(now: float, chance: int) -> None:
    uuid = UUID(task_id(now, chance))
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == int(now * 1000)
    assert is_task_id(str(uuid))


@given(st.integers(0, 2**RANDOM_BITS - 1), st.integers(0, 2**RANDOM_BITS - 1))
def test_every_random_bit_counts(one: int, other: int) -> None:
    assert (task_id(1.0, one) == task_id(1.0, other)) == (one == other)


@pytest.mark.parametrize(
    "text",
    ["", "x", "01a20913-8981-7002-9296-f91c68f9d0dcx", "01A20913-8981-7002-9296-f91c68f9d0dc", "01a20913-8981-4002-9296-f91c68f9d0dc"],
)
def test_what_is_no_id_is_known_without_asking_the_store(text: str) -> None:
    assert not is_task_id(text)
