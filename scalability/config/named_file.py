"""Files that an option names, read whole: a token, keys, certificates, a list of servers."""

from pathlib import Path

from scalability.errors import ConfigError


def read_named(flag: str, file: Path, max_bytes: int) -> bytes:
    """All that is in ``file``. Raises ConfigError, which names ``flag`` and never shows what was read. Blocks."""
    try:
        # no more than that is read of a file without an end
        with file.open("rb") as opened:
            data = opened.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it, which TOML can write
        raise ConfigError(flag, f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > max_bytes:
        raise ConfigError(flag, f"{file} has more than {max_bytes} bytes")
    return data
