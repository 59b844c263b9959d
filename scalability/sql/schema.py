"""Versioned tables: what a component's file looks like, and how an older one becomes it."""

from dataclasses import dataclass

from scalability.errors import StoreError
from scalability.sql.store import Session


@dataclass(frozen=True)
class Schema:
    """The tables of one component.

    ``mark`` (a 32-bit number) is written into the file, so that another component's file is recognized.
    ``migrations[n]`` holds the statements that lead from version n to n+1; what was released once never changes.
    """

    name: str
    mark: int
    migrations: tuple[tuple[str, ...], ...]

    @property
    def version(self) -> int:
        return len(self.migrations)


def migrate(session: Session, schema: Schema) -> int:
    """Bring the file of ``session`` up to ``schema``, all in one transaction; the version it had before.

    Raises StoreError for a file of another program, or of a newer version of this one.
    The version is written even where it stays the same: a file that cannot be written is found out here.
    """
    session.execute("BEGIN IMMEDIATE")
    try:
        mark = _number(session, "PRAGMA application_id")
        version = _number(session, "PRAGMA user_version")
        if mark != schema.mark and (mark or version or _number(session, "SELECT count(*) FROM sqlite_master")):
            raise StoreError(f"is a database, but not one of {schema.name}s")
        if version > schema.version:
            raise StoreError(f"has version {version}; this program knows {schema.name}s up to version {schema.version}")
        for statements in schema.migrations[version:]:
            for statement in statements:
                session.execute(statement)
        # PRAGMA takes no parameters
        session.execute(f"PRAGMA application_id = {schema.mark:d}")
        session.execute(f"PRAGMA user_version = {schema.version:d}")
    except BaseException:
        session.execute("ROLLBACK")
        raise
    session.execute("COMMIT")
    return version


def _number(session: Session, statement: str) -> int:
    return int(session.execute(statement).fetchone()[0])
