"""Databases behind one interface: one writer with group commit, readers, migrations.

SQLite now; PostgreSQL takes the same place when its URL is given. What a component asks of its store stands in ``Store``.
"""

from scalability.sql.schema import Schema
from scalability.sql.sqlite import SQLiteStore
from scalability.sql.store import Rows, Session, Store, open_store
from scalability.sql.url import StoreURL

__all__ = ["Rows", "SQLiteStore", "Schema", "Session", "Store", "StoreURL", "open_store"]
