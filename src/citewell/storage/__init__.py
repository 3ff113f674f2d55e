"""The one truth: everything that must change together changes in one transaction of one SQLite file."""

from citewell.storage.sqlite import SqliteStore

__all__ = ["SqliteStore"]
