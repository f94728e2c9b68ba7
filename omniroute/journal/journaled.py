"""A router whose commands are durable before anybody hears what they did.

The order of things, for every store: apply in memory, append the command with what strategies answered and a digest of
the events, wait until that is durable, and only then release the events. Where the append fails, the router has gone
ahead of its journal: it is thrown away and made again from what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final, Self

from omniroute import commands as c
from omniroute import records
from omniroute.errors import DamagedError, InputError, InvariantError, JournalError, MisuseError
from omniroute.events import Event, decode, encode
from omniroute.journal.entry import Entry, Kind, bytes_of, digest_of, sealed, this_writer
from omniroute.journal.keys import Keys, checked, mark_of
from omniroute.journal.port import Held, Made, Result, Store
from omniroute.journal.recover import Replay, recover, replayed, start_entry, with_code
from omniroute.model import shown
from omniroute.plan import Plan
from omniroute.router import Router

__all__ = ["SNAPSHOT_EVERY", "Journaled"]

SNAPSHOT_EVERY: Final = 100_000
"""Records between two snapshots that are taken by themselves."""


class Journaled:
    """A router and its journal: made anew from ``plan``, or recovered.

    A journal that is there knows its own plan; ``plan`` then only brings the code of strategies outside the catalogue.
    It is used by one thread at a time, as a router is. ``notes`` say what recovery found and mended. Opening costs
    O(state + records since the last snapshot). Raises JournalError, DamagedError, InputError.

    >>> from omniroute import Agent, Plan, Queue, commands
    >>> from omniroute.journal import Journaled, MemoryStore
    >>> plan, store = Plan(queues=[Queue("sales")], agents=[Agent("ana")]), MemoryStore()
    >>> with Journaled(store, plan) as journaled:
    ...     told = journaled.apply(0, commands.SignIn("ana"))
    ...     told = journaled.apply(5, commands.Enqueue("call-1", "sales"), key="request-7")
    ...     again = journaled.apply(9, commands.Enqueue("call-1", "sales"), key="request-7")
    >>> again == told
    True
    """

    def __init__(self, store: Store, plan: Plan, *, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        if snapshot_every < 1:
            raise MisuseError(f"snapshot_every is {shown(snapshot_every)}, expected 1 or more")
        if not callable(getattr(store, "acquire", None)) or isinstance(store, type):
            raise MisuseError(f"store is {shown(store)}, expected one such as SqliteStore(path)")
        if not isinstance(plan, Plan):
            raise MisuseError(f"plan is {shown(plan)}, expected a Plan")
        self.store = store
        self.notes: tuple[str, ...] = ()
        self._plan = plan
        self._every = snapshot_every
        self._why: BaseException | None = None
        self._last: Future[Any] | None = None
        self._keeping: Future[None] = _done(None)
        self.reload()

    # Opening and closing ---------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Throw the router away and make it again from the journal, as after a restart. Raises as opening does."""
        self._state: Replay | None = None
        self._taken: list[bytes] = []
        self._last = None
        try:
            self._reload()
        except BaseException:
            self.store.close()  # so that somebody else may look at it
            raise

    def _reload(self) -> None:
        held = self.store.acquire()
        self._held, notes = held, list(held.notes)
        if held.head == 0:
            router, entry = start_entry(self._plan)
            state = Replay(router, self.store.source, 0, 0, Keys(), this_writer())
            self._add(state, entry)
        else:
            state, found = recover(self.store, held)
            notes += found
            state.router = with_code(state.router, self._plan)
        self._base = self._last_snapshot(held)
        self._handed = held.head
        state.writer = state.here
        self._add(state, Entry(Kind.OPENED, state.router.now, bytes_of(state.writer)))
        self.hand_over(None).result()
        self.notes, self._why, self._state = tuple(notes), None, state

    def _last_snapshot(self, held: Held) -> int:
        return next((sequence for sequence, _ in self.store.snapshots()), held.first - 1)

    def close(self) -> None:
        """Write what is waiting and let go of the journal. Closing twice does nothing."""
        if self._taken:
            self.hand_over(None)
        self._state, self._why = None, JournalError("is closed", source=self.store.source)
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Commands --------------------------------------------------------------------------------------------------------

    def apply(self, now: int, command: c.Command, key: str | None = None) -> list[Event]:
        """Apply a command, and return what happened when it is durable.

        A command that comes again with the ``key`` of an earlier one is not applied: what happened then is returned
        once more. Raises what :meth:`omniroute.Router.apply` raises, and then nothing has moved and nothing is written.
        Raises JournalError where it cannot be written: it is in doubt, and :meth:`reload` finds out.
        """
        return self.submit(now, command, key).result()

    def advance(self, now: int) -> list[Event]:
        """Fire deadlines up to ``now``, and return what happened when it is durable. Writes nothing if nothing did."""
        return self.submit_tick(now).result()

    def submit_tick(self, now: int) -> Future[list[Event]]:
        """As :meth:`advance`, without waiting."""
        events = self.take_tick(now)
        return self.hand_over(events) if events else _done(events)

    def submit(self, now: int, command: c.Command, key: str | None = None) -> Future[list[Event]]:
        """As :meth:`apply`, without waiting: the future ends with the events when they are durable.

        Commands that are submitted before the first of them is durable share a commit. Futures end in order; when one
        fails, all behind it do.
        """
        return self.hand_over(self.take(now, command, key))

    # Many commands, one append ---------------------------------------------------------------------------------------

    def take(self, now: int, command: c.Command, key: str | None = None) -> list[Event]:
        """Apply a command, and keep its record for :meth:`hand_over`. Raises as :meth:`apply` does.

        Nobody may hear of the events before the next append that is handed over is durable: what they say is in memory
        only. The cost of the command.
        """
        state = self._ready()
        body = _bytes_of(now if type(now) is int else 0, command)
        if not isinstance(command, c.ChangePlan):
            command = _read(body)  # what is applied is what is written
        mark = 0
        if key is not None:
            mark = mark_of(body if now == 0 else _bytes_of(0, command))
            known = state.keys.find(checked(key), mark)
            if known is not None:
                return decode(known)
        try:
            events = state.router.apply(now, command)
            answers = state.router.answers
            if answers:
                body = records.encode(records.Record(now, command, answers))
            if key is not None:
                state.keys.remember(key, mark, now, encode(events))
            return self._written(state, Kind.COMMAND, now, body, events, key or "")
        except (MisuseError, InputError):
            raise  # of the router: nothing has moved
        except BaseException as error:
            self._fail(error)
            raise

    def take_tick(self, now: int) -> list[Event]:
        """Fire deadlines up to ``now``, and keep the record of what they did, if anything; see :meth:`take`."""
        state = self._ready()
        try:
            events = state.router.advance(now)
            return self._written(state, Kind.TICK, now, b"", events) if events else events
        except MisuseError:
            raise
        except BaseException as error:
            self._fail(error)
            raise

    def hand_over(self, result: Result) -> Future[Result]:
        """Give the store all that was taken since the last call, as one append; ends with ``result`` once durable.

        Where nothing was taken it ends when everything before is durable. O(bytes), O(state) where a snapshot is due.
        """
        taken, self._taken = self._taken, []
        last = self._last
        if not taken and (last is None or (last.done() and last.exception() is None)):
            return _done(result)
        try:
            done = self.store.append(self._held.epoch, self._handed + 1, taken, result)
            self._last = done
            self._handed += len(taken)
            if self._state is not None and self._handed - self._base >= self._every and self._keeping.done():
                self._keep(self._state)
        except BaseException as error:
            self._fail(error)
            raise
        return done

    def _written(
        self, state: Replay, kind: Kind, now: int, body: bytes, events: list[Event], key: str = ""
    ) -> list[Event]:
        """Keep the record of what has been applied, and return its events."""
        if events:
            if events[0].seq != state.told + 1:
                raise InvariantError(f"event {events[0].seq} follows {state.told}: the router was moved from elsewhere")
            state.told = events[-1].seq
        self._add(state, Entry(kind, now, body, len(events), digest_of(events), key))
        return events

    def _add(self, state: Replay, entry: Entry) -> None:
        state.sequence += 1
        self._taken.append(sealed(state.sequence, bytes_of(entry)))

    def _fail(self, why: BaseException) -> None:
        """The router may be ahead of its journal: nobody sees it again."""
        self._state, self._why = None, self._why or why

    def _ready(self) -> Replay:
        last = self._last
        if last is not None and last.done():
            why = last.exception()  # where one fails, all behind it do
            if why is None:
                self._last = None
            elif self._state is not None and self._last is last:  # else another thread has just reloaded
                self._fail(why)
        state = self._state
        if state is None:
            raise JournalError(f"reload before the next command: {self._why}", source=self.store.source)
        return state

    # Snapshots and reading -------------------------------------------------------------------------------------------

    def snapshot(self) -> None:
        """Keep a snapshot, so that recovery begins here; what is older than the one before is forgotten. O(state)."""
        state = self._ready()
        self.hand_over(None)
        self._keep(state).result()

    def compact(self) -> None:
        """Keep a snapshot and nothing else: no record, no other snapshot, no byte of them in its files. O(state).

        What lives, lives on, and what was ended lately is known until its retention is over. What was told before is no
        longer there, for :meth:`events` neither, and a key that was used before only says so: MisuseError. A release
        with other semantics can go on from here.
        """
        state = self._ready()
        self.hand_over(None)
        state.keys.fade()
        self._keep(state, self.store.forget).result()

    def forget(self, now: int, customer: str) -> list[Event]:
        """Erase a customer, and whatever of him stands in records and older snapshots; what happened. O(state).

        What of his waits or is in hand goes on, with the id and the ref that the host gave it, and is gone for good
        with the first :meth:`compact` after its end and retention. See :meth:`compact` for what else goes.
        """
        told = self.apply(now, c.Erase(customer))
        self.compact()
        return told

    def _keep(self, state: Replay, keep: Callable[[int, int, Made], Future[None]] | None = None) -> Future[None]:
        """Keep a snapshot that is made from a copy, by a thread of the store where it has one."""
        self._base, held = state.sequence, self._held
        done = (keep or self.store.keep)(held.epoch, state.sequence, state.fork().kept)
        done.add_done_callback(lambda done: self._kept(done, held))
        self._keeping = done
        return done

    def _kept(self, done: Future[None], held: Held) -> None:
        error = done.exception()
        if error is not None and held is self._held:  # else the router was made again while it was made
            self._fail(error)

    @property
    def failed(self) -> BaseException | None:
        """Why :meth:`reload` has to come before the next command; None while all is well."""
        try:
            self._ready()
        except JournalError as error:
            return self._why or error
        return None

    @property
    def router(self) -> Router:
        """The router, to be read; a command that it gets from elsewhere is found and ends in InvariantError."""
        return self._ready().router

    @property
    def sequence(self) -> int:
        """The number of the last record, durable or on its way."""
        return self._ready().sequence

    @property
    def told(self) -> int:
        """The number of the last event, released or on its way."""
        return self._ready().told

    def events(self, after: int) -> Iterator[Event]:
        """What happened behind event number ``after``, made again from the journal: for a consumer that was away.

        O(state + records since the snapshot before). Raises MisuseError where it is forgotten: older than the snapshot
        before the last one, also where that comes about while it is read.
        """
        state = self._ready()
        held = Held(epoch=self._held.epoch, head=state.sequence, first=self._held.first)  # if it is there, it is tried
        while True:
            base, at_rest = self._base, self._keeping.done()
            try:
                for _, events in replayed(self.store, held, [], told=after):
                    for event in events:
                        if event.seq > after:
                            yield event
                            after = event.seq
                return
            except DamagedError:
                if at_rest and self._base == base:
                    raise  # no snapshot has made the journal forget what was being read


def _bytes_of(now: int, command: c.Command) -> bytes:
    """A command without answers as a record. Raises MisuseError for what cannot be written, before a router moves."""
    try:
        return records.encode(records.Record(now, command))
    except (TypeError, ValueError, OverflowError, NotImplementedError, RecursionError) as error:
        raise MisuseError(f"{type(command).__name__} cannot be written: {error}") from error


def _read(body: bytes) -> c.Command:
    try:
        return records.decode(body).command
    except InputError as error:
        raise MisuseError(str(error)) from error


def _done(result: Result) -> Future[Result]:
    done: Future[Result] = Future()
    done.set_result(result)
    return done
