"""A router in a running service: who owns the clock, waits for the disk, and calls when a deadline is due."""

from omniroute.live.aio import AsyncRouter
from omniroute.live.answers import Answerer
from omniroute.live.driver import Driver
from omniroute.live.feed import FellBehindError, Subscription
from omniroute.live.publish import publish, publishing
from omniroute.live.threads import ThreadRouter
from omniroute.live.watch import Observer, board_of, watch

__all__ = [
    "Answerer",
    "AsyncRouter",
    "Driver",
    "FellBehindError",
    "Observer",
    "Subscription",
    "ThreadRouter",
    "board_of",
    "publish",
    "publishing",
    "watch",
]
