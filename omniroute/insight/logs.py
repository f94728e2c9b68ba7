"""Events as records of the standard library's ``logging``: one logger, levels by kind, fields instead of sentences.

The message is the kind of the event, so that equal things have equal messages; what else is known is in attributes of
the record, which formatters for JSON write as fields.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from omniroute import events as e
from omniroute.insight.fields import told

__all__ = ["LEVELS", "LOGGER", "EventLog"]

LOGGER: Final = "omniroute.events"

LEVELS: Final[Mapping[type, int]] = {
    e.StrategyFailed: logging.ERROR,
    **dict.fromkeys((e.Unmatched, e.AllDeclined, e.SetupFailed, e.Extended), logging.WARNING),
    **dict.fromkeys(
        (
            e.OfferExpired,
            e.Rejected,
            e.CallBackFailed,
            e.PlanChanged,
            e.QueueClosed,
            e.QueueOpened,
            e.Reconciled,
            e.JourneyClosed,
        ),
        logging.INFO,
    ),
}
"""The level of each kind of event; all others are routine, at DEBUG."""


class EventLog:
    """Writes every event to the logger ``omniroute.events``, without names of anybody.

    With ``ids`` the records also have the ids of interactions and agents. Each record has ``kind`` and the fields of
    :func:`omniroute.insight.fields.told`. O(fields) for an event that its logger wants, else a lookup.

    >>> import sys
    >>> logger = logging.getLogger("omniroute.events.example")
    >>> logger.addHandler(shown := logging.StreamHandler(sys.stdout))
    >>> shown.setFormatter(logging.Formatter("%(levelname)s %(kind)s %(queue)s"))
    >>> EventLog(logger).feed([e.Unmatched(1, 0, "call-1", "sales", "klingon")])
    WARNING Unmatched sales
    >>> logger.removeHandler(shown)
    """

    def __init__(self, logger: logging.Logger | None = None, *, ids: bool = False) -> None:
        self._logger = logging.getLogger(LOGGER) if logger is None else logger
        self._ids = ids

    def feed(self, events: Iterable[e.Event]) -> None:
        """Write events. O(fields) for each that is wanted."""
        wanted, log = self._logger.isEnabledFor, self._logger.log
        for event in events:
            kind = type(event)
            level = LEVELS.get(kind, logging.DEBUG)
            if wanted(level):
                log(level, "%s", kind.__name__, extra={"kind": kind.__name__, **dict(told(event, ids=self._ids))})
