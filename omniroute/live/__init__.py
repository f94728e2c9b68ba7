"""A router in a running service: who owns the clock, waits for the disk, and calls when a deadline is due."""

from omniroute.live.aio import AsyncRouter
from omniroute.live.driver import Driver
from omniroute.live.feed import FellBehindError
from omniroute.live.threads import ThreadRouter

__all__ = ["AsyncRouter", "Driver", "FellBehindError", "ThreadRouter"]
