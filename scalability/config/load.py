"""One value from four places: a flag wins over the environment, that over the TOML file, that over the default.

A component's options are one frozen ``msgspec.Struct``; each field is annotated with a ``Flag`` that explains it.
Seconds and bytes carry their unit in the attribute (``interval_s``) and not in the flag (``--interval``).
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import msgspec

from scalability.config.named_file import read_named
from scalability.errors import ConfigError

MAX_BYTES = 16 << 20
"""Of the configuration file."""


@dataclass(frozen=True)
class Flag:
    """What ``--help`` says of an option: one sentence with its unit. ``metavar`` names its value."""

    help: str
    metavar: str = ""
    flag: bool = True
    """False for what only the TOML file can say."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every component's options.

    ``component`` names the TOML table and the middle of ``SCALELAB_<COMPONENT>_<NAME>``.
    Checks that span several fields stand in ``__post_init__`` and raise ``ValueError("key: why")``.
    """

    component: ClassVar[str] = ""


@dataclass(frozen=True)
class Field:
    """One option: ``attribute`` in Python, ``key`` in TOML (underscores), ``flag_name`` on the command line (dashes)."""

    attribute: str
    key: str
    type: Any
    default: Any
    flag: Flag
    repeatable: bool

    @property
    def flag_name(self) -> str:
        return self.key.replace("_", "-")

    @property
    def boolean(self) -> bool:
        """True for an option that is given without a value."""
        return _bare(self.type) is bool


def key_of(attribute: str) -> str:
    """``interval_s`` is ``interval`` to its users."""
    return attribute.removesuffix("_s")


def fields_of(cls: type[Options]) -> tuple[Field, ...]:
    """The options that ``cls`` declares, in order. An attribute without a Flag is a mistake of ours."""
    found = []
    for field in msgspec.structs.fields(cls):
        flags = [note for note in _annotations(field.type) if isinstance(note, Flag)]
        if len(flags) != 1:
            raise TypeError(f"{cls.__name__}.{field.name} needs one Flag")
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        repeatable = get_origin(_bare(field.type)) is tuple
        found.append(Field(field.name, key_of(field.name), field.type, default, flags[0], repeatable))
    return tuple(found)


T = TypeVar("T", bound=Options)


def load(cls: type[T], *, flags: Mapping[str, str | Sequence[str]], environ: Mapping[str, str], file: Path | None) -> T:
    """Build ``cls`` from ``flags`` (by key), ``environ`` and the TOML ``file``. Raises ConfigError, naming the key as its writer did.

    Variables of other names are passed over: Kubernetes puts ``SCALELAB_CACHE_PORT`` and the like into the environment of
    whatever runs beside a service called scalelab-cache.
    """
    table = _table(cls, file)
    prefix = f"SCALELAB_{cls.component.upper()}_"
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for field in fields_of(cls):
        variable = prefix + field.key.upper()
        if field.key in flags:
            name, raw, text = f"--{field.flag_name}", flags[field.key], True
        elif variable in environ and field.flag.flag:
            # commas belong to ",weight=", so a space separates
            name, raw, text = variable, environ[variable].split() if field.repeatable else environ[variable], True
        elif field.key in table:
            name, raw, text = f"{file}: [{cls.component}] {field.key}", table[field.key], False
        else:
            continue
        names[field.key] = name
        values[field.attribute] = _convert(name, raw, field.type, text=text)
    try:
        return cls(**values)
    except ValueError as error:
        key, colon, why = str(error).partition(": ")
        if not colon:
            raise ConfigError(cls.component, key) from error
        raise ConfigError(names.get(key.replace("-", "_"), f"--{key.replace('_', '-')}"), why) from error


def dump(options: Options) -> dict[str, Any]:
    """The effective values by key, as plain TOML types: what ``--check-config`` prints."""
    return {field.key: _plain(getattr(options, field.attribute)) for field in fields_of(type(options))}


def restore(cls: type[T], dumped: Mapping[str, Any]) -> T:
    """The options that ``dump`` told, in this process or another of the same version."""
    fields = {field.key: field for field in fields_of(cls)}
    values = {
        fields[key].attribute: None if value is None else _convert(key, value, fields[key].type, text=False)
        for key, value in dumped.items()
    }
    return cls(**values)


def render(options: Options) -> str:
    """The effective configuration as a TOML table that ``--config`` reads again. Unset values stand as comments."""
    lines = [f"[{options.component}]"]
    for key, value in dump(options).items():
        lines.append(f"# {key} is not set" if value is None else f"{key} = {to_toml(value)}")
    return "\n".join(lines)


def check_tables(file: Path, known: Sequence[str]) -> None:
    """Raise ConfigError when ``file`` has a table that no component reads (a misspelt one would be ignored silently)."""
    for name in _read(file):
        if name not in known:
            raise ConfigError(f"{file}: [{name}]", f"no component has this name; there are {', '.join(known)}")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_named("--config", file, MAX_BYTES).decode())
    except UnicodeDecodeError as error:
        raise ConfigError("--config", f"{file} is not UTF-8 (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("--config", f"{file} is not TOML: {error}") from error


def _table(cls: type[Options], file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    table = _read(file).get(cls.component, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: {cls.component}", "is not a table")
    known = {field.key for field in fields_of(cls)}
    for key in table:
        if key not in known:
            near = _nearest(key, known)
            raise ConfigError(f"{file}: [{cls.component}] {key}", "there is no such key" + (f"; is {near} meant?" if near else ""))
    return table


def _nearest(key: str, known: set[str]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(key.replace("-", "_"), sorted(known), 1)), None)


def _annotations(annotated: Any) -> tuple[Any, ...]:
    return get_args(annotated)[1:] if get_origin(annotated) is Annotated else ()


def _bare(annotated: Any) -> Any:
    return get_args(annotated)[0] if get_origin(annotated) is Annotated else annotated


def _convert(name: str, raw: Any, wanted: Any, *, text: bool) -> Any:
    bare = _bare(wanted)
    try:
        if get_origin(bare) is tuple:
            if isinstance(raw, str) or not isinstance(raw, Sequence):
                raise ValueError(f"expected a list, got {_shown(raw)}")
            item = get_args(bare)[0]
            return tuple(_one(part, item, text=text) for part in raw)
        return _one(raw, wanted, text=text)
    except ValueError as error:
        raise ConfigError(name, str(error)) from error


def _one(raw: Any, wanted: Any, *, text: bool) -> Any:
    """``raw`` as ``wanted``; with ``text`` (flags, environment) numbers are read from text, else only a number is one."""
    for kind in _alternatives(wanted):
        parse = Path if kind is Path else getattr(kind, "parse", None)
        if parse is not None:
            if not isinstance(raw, str):
                raise ValueError(f"expected text, got {_shown(raw)}")
            if not raw:
                raise ValueError("expected a value, got nothing")
            return parse(raw)
    try:
        value = msgspec.convert(raw, wanted, strict=not text)
    except msgspec.ValidationError as error:
        described = _described(wanted)
        raise ValueError(f"expected {described}, got {_shown(raw)}" if described else str(error).replace("`", "")) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected {_described(wanted)}, got {_shown(raw)}")
    return value


def _alternatives(annotated: Any) -> list[Any]:
    """The types that a value may have, without None."""
    bare = _bare(annotated)
    union = get_args(bare) if get_origin(bare) not in (None, Literal, tuple, dict) else (bare,)
    return [_bare(kind) for kind in union if kind is not NoneType]


KINDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}


def _described(wanted: Any) -> str:
    """``a number above 0``: what a user is told to write. Empty for what has no short description."""
    (kind, *more) = _alternatives(wanted)
    if get_origin(kind) is Literal:
        *most, last = map(str, get_args(kind))
        return f"{', '.join(most)} or {last}" if most else last
    if more or kind not in KINDS:
        return ""
    bounds = []
    for note in _annotations(wanted):
        if isinstance(note, msgspec.Meta):
            if note.ge is not None and note.le is not None:
                bounds.append(f"from {_number(note.ge)} to {_number(note.le)}")
                continue
            for word, bound in (("above", note.gt), ("of at least", note.ge), ("below", note.lt), ("at most", note.le)):
                if bound is not None:
                    bounds.append(f"{word} {_number(bound)}")
            if note.min_length:
                bounds.append("that is not empty" if note.min_length == 1 else f"of at least {note.min_length} characters")
    return " ".join([KINDS[kind], " and ".join(bounds)]).rstrip()


def _number(bound: float) -> str:
    return str(int(bound) if bound == int(bound) else bound)


def _shown(raw: Any) -> str:
    """``raw`` as its writer knows it, on one line of bounded length."""
    words = repr(raw) if isinstance(raw, str) else to_toml(raw) if isinstance(raw, bool | list | dict) else str(raw)
    return words if len(words) <= 80 else words[:77] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [_plain(part) for part in value]
    if isinstance(value, msgspec.Struct):
        # a table within the component's own, by the names that it has there
        members = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return {name: _plain(member) for name, member in members.items() if member is not None}
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str | dict):
        return value
    return str(value)


def to_toml(value: Any) -> str:
    """``value`` (text, number, boolean, list, dictionary) as TOML writes it."""
    # JSON strings, numbers, booleans and lists of them are TOML too
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_toml(str(k))} = {to_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return msgspec.json.encode(value).decode()
