"""Where a TLS certificate lies, as flags write it, and what lies there."""

from pathlib import Path
from typing import NamedTuple, Self


class PEM(NamedTuple):
    """A certificate, with its chain after it, and its key, as their files were read."""

    file: str
    key_file: str
    data: bytes
    key_data: bytes


class CertificatePath(NamedTuple):
    """A PEM file with a certificate (its chain after it) and its key, a file and the key's file, or a folder of such files."""

    path: Path
    key: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``FILE``, ``CERT,KEY`` or ``FOLDER``. Raises ValueError, saying what is wrong."""
        certificate, comma, key = text.partition(",")
        if not certificate or (comma and not key) or "," in key:
            raise ValueError(f"{text!r} is neither FILE, CERT,KEY nor FOLDER")
        return cls(Path(certificate), Path(key) if key else None)

    def __str__(self) -> str:
        return f"{self.path},{self.key}" if self.key is not None else str(self.path)
