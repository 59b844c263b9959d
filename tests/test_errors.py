"""Every error says whose fault it is, whether a retry is safe, and what a client is told."""

import inspect

import pytest

from scalability import errors
from scalability.errors import BadMessage, ConfigError, MethodNotAllowed, NoServer, Overloaded, QueueFull, Retry, ScalelabError, Source

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ScalelabError)]


def made(kind: type[ScalelabError]) -> ScalelabError:
    return ConfigError("--key", "why") if kind is ConfigError else kind("why")


def family(kind: type[ScalelabError]) -> Source:
    if issubclass(kind, errors.ClientError):
        return Source.CLIENT
    return Source.UPSTREAM if issubclass(kind, errors.UpstreamError) else Source.INTERNAL


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_carries_its_whole_decision(kind: type[ScalelabError]) -> None:
    error = made(kind)
    assert isinstance(error.source, Source)
    assert isinstance(error.retry, Retry)
    assert 400 <= error.status <= 599
    assert error.code.isidentifier()
    assert error.code == error.code.lower()
    assert error.retry_after_s is None or error.retry_after_s >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_who_failed_follows_from_the_family(kind: type[ScalelabError]) -> None:
    assert kind.source is family(kind)
    if kind.source is Source.CLIENT:
        assert 400 <= kind.status <= 499
    else:
        assert kind.status >= 500


def test_no_two_errors_share_a_code_unless_one_is_the_general_form_of_the_other() -> None:
    for one in KINDS:
        for other in KINDS:
            if one is not other and one.code == other.code:
                assert issubclass(one, other) or issubclass(other, one)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (ConfigError, BadMessage)])
def test_without_words_of_its_own_an_error_says_the_first_line_of_its_description(kind: type[ScalelabError]) -> None:
    words = str(kind())
    assert words == (kind.__doc__ or "").splitlines()[0]
    assert words.endswith(".")
    assert str(kind("other words")) == "other words"


def test_only_what_never_reached_a_server_may_be_retried_with_any_method() -> None:
    safe = {kind for kind in KINDS if kind.retry is Retry.SAFE}
    never_sent = {errors.ConnectError, errors.ConnectTimeout, errors.TLSFailed}
    assert safe == never_sent | {errors.NoServer, errors.Overloaded, errors.ServersBusy, errors.QueueTimeout}
    assert [kind for kind in KINDS if kind.retry is Retry.IDEMPOTENT] == [errors.NoAnswer]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.status in (429, 503)])
def test_whoever_is_told_to_come_back_is_told_when(kind: type[ScalelabError]) -> None:
    assert kind.retry_after_s is not None


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("BadJSON", 400),
        ("Unauthorized", 401),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("MethodNotAllowed", 405),
        ("RequestTimeout", 408),
        ("Conflict", 409),
        ("BodyTooLarge", 413),
        ("UnsupportedContentType", 415),
        ("Unprocessable", 422),
        ("QueueFull", 429),
        ("ScalelabError", 500),
        ("ConnectError", 502),
        ("NoAnswer", 502),
        ("BadAnswer", 502),
        ("BrokenAnswer", 502),
        ("NoServer", 503),
        ("Overloaded", 503),
        ("DependencyDown", 503),
        ("StoreError", 503),
        ("ConnectTimeout", 504),
        ("AnswerTimeout", 504),
    ],
)
def test_rule_51_the_status_that_a_client_sees(name: str, status: int) -> None:
    assert getattr(errors, name).status == status


def test_the_wait_can_be_said_for_one_case() -> None:
    assert NoServer(retry_after_s=7).retry_after_s == 7
    assert QueueFull("full", retry_after_s=3).retry_after_s == 3
    assert Overloaded().retry_after_s == 1


def test_a_bad_message_says_which_rule_it_breaks() -> None:
    error = BadMessage("the target is too long", status=414, code="target_too_long")
    assert (str(error), error.status, error.code, error.source) == ("the target is too long", 414, "target_too_long", Source.CLIENT)
    assert (BadMessage("x").status, BadMessage("x").code) == (400, "bad_request")
    assert BadMessage.status == 400


def test_a_method_that_is_not_allowed_comes_with_those_that_are() -> None:
    assert MethodNotAllowed(allow=("GET", "HEAD")).allow == ("GET", "HEAD")
    assert MethodNotAllowed().allow == ()


def test_a_configuration_error_names_the_key() -> None:
    error = ConfigError("--ttl", "expected a number")
    assert (str(error), error.key, error.why) == ("--ttl: expected a number", "--ttl", "expected a number")
