"""Which answers are believed."""

import pytest

from scalability.upstream.discovery.belief import Belief


@pytest.mark.parametrize(
    ("answers", "held"),
    [
        ([], ""),
        (["ab"], "ab"),
        (["ab", "bc"], "bc"),
        (["ab", ""], "ab"),
        (["ab", "", ""], "ab"),
        (["ab", "", "", ""], ""),
        (["ab", "", "", "ab", "", ""], "ab"),
        (["", "", "", "ab"], "ab"),
        ([""], ""),
    ],
)
def test_an_empty_answer_is_believed_the_third_time_in_a_row(answers: list[str], held: str) -> None:
    belief: Belief[str] = Belief()
    for answer in answers:
        believed = belief.heard(answer)
        assert believed is (belief.held == answer)
    assert "".join(belief.held) == held
