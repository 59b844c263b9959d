"""The ``,key`` and ``,key=value`` words behind the address of a server or the name of a service. PURE."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

FORMS: Mapping[str, str] = {
    "weight": ",weight=N",
    "backup": ",backup",
    "level": ",level=N",
    "maxconn": ",maxconn=N",
    "max_connections": ",max_connections=N",
    "tls": ",tls[=NAME]",
}
"""How each option is written: without a value, with one, or (in brackets) as one likes."""

_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")


class SpecOptions:
    """What ``words`` say; ``text`` is all of what was written, for errors. Raises ValueError for others than the ``known`` options."""

    def __init__(self, text: str, words: Iterable[str], known: Iterable[str] = FORMS) -> None:
        self._text = text
        self._values: dict[str, str | None] = {}
        forms = {key: FORMS[key] for key in known}
        for word in words:
            key, given, value = word.partition("=")
            form = forms.get(key)
            if form is None or (not form.endswith("]") and bool(given) is not ("=" in form)):
                raise ValueError(f"{text!r}: at the end only {', '.join(forms.values())} may stand, not {word!r}")
            if key in self._values:
                raise ValueError(f"{text!r}: {key} is given twice")
            self._values[key] = value if given else None

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def number(self, key: str, most: int, default: int) -> int:
        """The whole number from 0 to ``most`` under ``key``; ``default`` without it. Raises ValueError for another value."""
        value = self._values.get(key)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or len(value) > 9 or int(value) > most:
            raise ValueError(f"{self._text!r}: {key} must be a whole number from 0 to {most}")
        return int(value)

    def certificate_name(self, host: str) -> str:
        """The name that ``tls`` asks for in the server's certificate: ``host`` unless it says otherwise, empty without ``tls``.

        ``host`` may be empty where it is not known yet. Raises ValueError when no certificate could hold the name.
        """
        if "tls" not in self:
            return ""
        value = self._values["tls"]
        name = host if value is None else value
        if (host or value is not None) and not _is_name(name):
            raise ValueError(f"{self._text!r}: {name!r} is no host name that a certificate could hold")
        return name


def _is_name(text: str) -> bool:
    """Whether ``text`` is a host name in ASCII, or an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return _NAME.fullmatch(text) is not None
    return True
