import pytest

from scalability.sql.url import StoreURL


@pytest.mark.parametrize("text", ["sqlite:tasks.sqlite3", "sqlite:./a/b", "sqlite:/var/lib/tasks.sqlite3"])
def test_a_url_names_a_file_and_is_shown_as_it_is_read(text: str) -> None:
    url = StoreURL.parse(text)
    assert StoreURL.parse(str(url)) == url


def test_an_absolute_path_stays_absolute() -> None:
    assert str(StoreURL.parse("sqlite:/var/x.db").path) == "/var/x.db"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tasks.sqlite3", "is not sqlite:FILE"),
        ("postgresql://localhost/x", "is not sqlite:FILE"),
        ("sqlite:", "names no file"),
        ("sqlite:folder/", "names no file"),
        ("sqlite:a\0b", "names no file"),
        ("sqlite:///x.db", "right after the colon"),
        ("sqlite::memory:", "lost with the process"),
    ],
)
def test_a_bad_url_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        StoreURL.parse(text)
