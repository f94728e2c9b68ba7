"""A journal of commands on disk, and the router that comes back from it."""

from omniroute.errors import DamagedError, FencedError, JournalError
from omniroute.journal.cursor import Consumer, unseen
from omniroute.journal.journaled import Journaled
from omniroute.journal.memory import MemoryStore
from omniroute.journal.port import Held, Store
from omniroute.journal.sqlite import SqliteStore

__all__ = [
    "Consumer",
    "DamagedError",
    "FencedError",
    "Held",
    "JournalError",
    "Journaled",
    "MemoryStore",
    "SqliteStore",
    "Store",
    "unseen",
]
