"""SQLite behind one interface: one writer with group commit, readers, migrations."""
