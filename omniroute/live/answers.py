"""Strategies that are asked again: what happens is heard where the router lives, and thought about on one worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from omniroute.commands import Revise
from omniroute.events import Event, RevisionDue
from omniroute.journal import Journaled
from omniroute.model import shown
from omniroute.router import Router
from omniroute.strategies.protocol import Question

__all__ = ["Answerer", "Answers"]

log = logging.getLogger("omniroute.live")


class Answerer(Protocol):
    """Who answers for several queues together, as :class:`omniroute.strategies.desk.Desk` does."""

    def questions(self, router: Router, events: Sequence[Event]) -> Sequence[Question]:
        """Take note of what happened, and say what there is to think about. Nobody moves the router meanwhile."""


class Answers:
    """Asks the answerer of the host, and for the queues that it leaves the ``revise`` of their strategies.

    Questions are answered one at a time on a thread of its own, in their order; one whose queue has been asked again
    before its turn is left out, so no more wait than there are queues.
    """

    def __init__(self, answerer: Answerer | None) -> None:
        self._answerer = answerer
        self._worker = ThreadPoolExecutor(1, "omniroute-revise")
        self._latest: dict[str, Question] = {}
        self._unheard: list[Event] = []

    def hear(self, journaled: Journaled, events: list[Event]) -> list[Question]:
        """Take note of events; what there is to think about. While the journal has failed they are kept for later."""
        dues = [event for event in events if type(event) is RevisionDue]
        if not dues and self._answerer is None:
            return []
        self._unheard += events
        if journaled.failed is not None:
            return []
        heard, self._unheard = self._unheard, []
        router = journaled.router
        found: list[Question] = []
        if self._answerer is not None:
            try:
                found += self._answerer.questions(router, heard)
            except Exception:
                log.exception("the answerer failed at event %s", heard[0].seq)
        answered = {question.queue for question in found}
        for event in heard:
            if type(event) is RevisionDue and event.queue not in answered:
                found += _own(router, event)
        return found

    def think(self, question: Question) -> Future[Revise | None]:
        """Answer a question on the worker; None where it raised, or where its queue has been asked again meanwhile."""
        self._latest[question.queue] = question
        return self._worker.submit(self._think, question)

    def _think(self, question: Question) -> Revise | None:
        if self._latest.get(question.queue) is not question:
            return None
        try:
            return question.answer()
        except Exception:
            log.exception("the strategy of queue %s did not answer", shown(question.queue))
            return None

    def close(self) -> None:
        """Think about nothing more; what is being thought about is not waited for. Closing twice does nothing."""
        self._worker.shutdown(wait=False, cancel_futures=True)


def _own(router: Router, due: RevisionDue) -> list[Question]:
    """The question to the queue's own strategy; none where it is answered from outside. O(classes + groups)."""
    strategy: Any = next((queue.strategy for queue in router.plan.queues if queue.name == due.queue), None)
    if getattr(strategy, "revise", None) is None:
        return []
    classes, groups = router.revision_views(due.queue)

    def answer() -> Revise:
        found = strategy.revise(due, classes, groups)
        return Revise.of(due.queue, found.version, len(classes), len(groups), found.tables)

    return [Question(due.queue, answer)]
