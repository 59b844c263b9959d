"""The words behind an address: which may stand there, and with which values."""

import pytest

from scalability.upstream.spec_options import SpecOptions


def options(*words: str) -> SpecOptions:
    return SpecOptions("a:1", words)


def test_a_number_is_read_and_its_absence_has_a_default() -> None:
    assert options("weight=7").number("weight", 256, 1) == 7
    assert options("weight=0").number("weight", 256, 1) == 0
    assert options("tls").number("weight", 256, 1) == 1


@pytest.mark.parametrize("value", ["", "-1", "257", "1.5", "\u0663", "x", " 1", "1" * 5000])
def test_other_values_are_no_number(value: str) -> None:
    with pytest.raises(ValueError, match="'a:1': weight must be a whole number from 0 to 256"):
        options(f"weight={value}").number("weight", 256, 1)


@pytest.mark.parametrize(
    ("words", "name"), [([], ""), (["tls"], "a.example"), (["tls=b.example"], "b.example"), (["tls=10.0.0.1"], "10.0.0.1")]
)
def test_the_certificate_s_name_is_the_host_unless_another_is_given(words: list[str], name: str) -> None:
    assert options(*words).certificate_name("a.example") == name


@pytest.mark.parametrize("value", ["", "a b", "-a", "a..b", "gr\u00fcn.example"])
def test_a_name_that_no_certificate_could_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        options(f"tls={value}").certificate_name("a.example")


@pytest.mark.parametrize("word", ["", "weight", "heavy", "backup=", "backup=1", "level", "maxconn", "tls_name=a", "Weight=1", " backup"])
def test_other_words_are_refused_and_the_good_ones_named(word: str) -> None:
    with pytest.raises(ValueError, match=r",weight=N, ,backup, ,level=N, ,maxconn=N, ,max_connections=N, ,tls\[=NAME\] may stand"):
        options(word)


def test_only_known_options_may_stand() -> None:
    with pytest.raises(ValueError, match=r"only ,maxconn=N, ,tls\[=NAME\] may stand, not 'weight=1'"):
        SpecOptions("a", ["weight=1"], ("maxconn", "tls"))


def test_no_option_is_given_twice() -> None:
    with pytest.raises(ValueError, match="weight is given twice"):
        options("weight=1", "weight=1")
