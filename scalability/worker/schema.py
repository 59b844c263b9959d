"""The tables of the worker.

Every index beside the primary key and the unique id is partial, so that what is finished costs nothing to what waits. ``queue``
and ``priority`` have their place in the index of ready tasks before there is more than one of them: adding a column later is
cheap, rebuilding an index of a million rows is not. Times are Unix seconds.
"""

from scalability.sql import Schema

SCHEMA = Schema(
    "task queue",
    0x5CA1_0A5C,
    (
        (
            """
            CREATE TABLE task (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                uid TEXT NOT NULL UNIQUE,
                queue TEXT NOT NULL DEFAULT 'default',
                priority INTEGER NOT NULL DEFAULT 5,
                kind TEXT NOT NULL,
                payload BLOB NOT NULL,
                state INTEGER NOT NULL,
                attempts INTEGER NOT NULL,
                max_attempts INTEGER NOT NULL,
                crashes INTEGER NOT NULL,
                claim_no INTEGER NOT NULL,
                created_at REAL NOT NULL,
                run_at REAL NOT NULL,
                lease_until REAL,
                started_at REAL,
                finished_at REAL,
                error TEXT,
                result BLOB
            )
            """,
            "CREATE INDEX task_ready ON task (queue, priority, id) WHERE state = 0 AND crashes < 2",
            "CREATE INDEX task_suspect ON task (queue, crashes, id) WHERE state = 0 AND crashes >= 2",
            "CREATE INDEX task_due ON task (run_at) WHERE state = 1",
            "CREATE INDEX task_leased ON task (lease_until) WHERE state = 2",
            "CREATE INDEX task_finished ON task (state, finished_at) WHERE state >= 3",
        ),
    ),
)
