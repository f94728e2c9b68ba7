"""From a journal to the router that lived it: the last good snapshot, then every record behind it, each compared.

What strategies answered is in the records, so nobody is asked. The events of every record are made again and must be
those that were told; where they are not, recovery stops and says at which record, and by whom it was written.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from attrs import Factory, define

from omniroute import commands as c
from omniroute import records
from omniroute.errors import DamagedError, InputError, InvariantError, MisuseError, PlanError
from omniroute.events import Event, encode
from omniroute.journal.entry import (
    SHAPE,
    Entry,
    Kept,
    Kind,
    Writer,
    bytes_of,
    digest_of,
    entry_of,
    kept_of,
    sealed,
    this_writer,
    writer_of,
)
from omniroute.journal.keys import Keys, mark_of
from omniroute.journal.port import Held, Readable, advised
from omniroute.plan import Plan, Queue
from omniroute.plan_numbers import agent_key_of, control_interval, strategy_of
from omniroute.router import Router
from omniroute.strategies.protocol import Absent

__all__ = ["Replay", "bases", "recover", "replayed", "start_entry", "with_code"]


@define
class Replay:
    """A router on its way through a journal. ``sequence`` is the last record, ``told`` the number of the last event."""

    router: Router
    source: str
    sequence: int
    told: int
    keys: Keys
    writer: Writer
    here: Writer = Factory(this_writer)

    def feed(self, sequence: int, data: bytes) -> list[Event]:
        """Apply the next entry and compare; what happened. The cost of the command. Raises DamagedError."""
        entry = entry_of(sequence, data, self.source)
        if entry.kind == Kind.OPENED:
            found = writer_of(sequence, entry.body, self.source)
            self.writer = self.here if found.shape == self.here.shape and found == self.here else found
            self.sequence = sequence
            return []
        try:
            events = self._apply(sequence, entry)
        except (MisuseError, InputError, InvariantError) as error:
            raise self._differs(sequence, entry, f"raised {type(error).__name__}: {error}") from error
        shape = SHAPE if self.writer is self.here else self.writer.shape
        if len(events) != entry.events or digest_of(events, shape) != entry.digest:
            names = ", ".join(type(event).__name__ for event in events[:8]) or "none"
            raise self._differs(sequence, entry, f"gave {len(events)} events ({names}), {entry.events} were told")
        self.sequence = sequence
        if events:
            self.told = events[-1].seq
        if entry.key:
            self.keys.remember(entry.key, mark_of(_bare(entry.body)), entry.now, encode(events))
        return events

    def _apply(self, sequence: int, entry: Entry) -> list[Event]:
        if entry.kind == Kind.TICK:
            return self.router.advance(entry.now)
        if entry.kind != Kind.COMMAND:
            raise DamagedError("is a start, and not the first", source=self.source, sequence=sequence)
        record = records.decode(entry.body)
        if record.answers:
            return self.router.apply(record.now, record.command, record.answers)
        events = self.router.apply(record.now, record.command)  # nobody was asked, so nobody is
        if self.router.answers:
            raise MisuseError(f"{self.router.answers[0]} was asked, and the record has no answer to it")
        return events

    def _differs(self, sequence: int, entry: Entry, what: str) -> DamagedError:
        here, then = self.here, self.writer
        why = f"it was written by {then}, this is {here}" if here != then else f"it was written by {then}, as is this"
        if here != then:
            why += "; where that release compacts it (omniroute journal compact), this one goes on from there"
        kind = "advance" if entry.kind == Kind.TICK else _name(entry.body)
        message = f"{kind} at {entry.now} {what} or others; {why}"
        return DamagedError(message, source=self.source, sequence=sequence)

    def fork(self) -> Replay:
        """A copy that lives on by itself. O(state), in a fraction of the time that :meth:`kept` takes."""
        return attrs.evolve(self, router=self.router.fork(), keys=self.keys.fork())

    def kept(self) -> bytes:
        """Return this state as a sealed snapshot. O(state)."""
        held = self.router.plan
        plan = records.encode(records.Record(0, c.ChangePlan(held))) if _foreign(held) else b""
        found = Kept(self.writer, self.told, self.router.snapshot(), plan, self.keys.state())
        return sealed(self.sequence, bytes_of(found))


def _name(body: bytes) -> str:
    try:
        return type(records.decode(body).command).__name__
    except InputError:
        return "a record"


def _bare(body: bytes) -> bytes:
    """The bytes of a record's command alone, whenever and whatever strategies answered."""
    return records.encode(records.Record(0, records.decode(body).command))


def _foreign(plan: Plan) -> bool:
    """Whether the text of a plan cannot name one of its strategies. O(queues)."""
    try:
        plan.to_toml()
    except PlanError:
        return True
    return False


def start_entry(plan: Plan) -> tuple[Router, Entry]:
    """A new router, and the entry with which its journal begins. O(plan)."""
    text = plan if _foreign(plan) else Plan.from_toml_text(plan.to_toml())
    router = Router(text)
    body = records.encode(records.Record(0, c.ChangePlan(text), router.answers))
    return router, Entry(Kind.START, 0, body, 0, digest_of([]))


def _begun(data: bytes, source: str) -> Replay:
    entry = entry_of(1, data, source)
    if entry.kind != Kind.START:
        raise DamagedError("is no start, and there is no snapshot to start from", source=source, sequence=1)
    try:
        record = records.decode(entry.body)
        if not isinstance(record.command, c.ChangePlan):
            raise InputError("it holds no plan")
        router = Router(_plan(record.command), record.answers)
    except (InputError, MisuseError) as error:
        raise DamagedError(f"cannot be read: {error}", source=source, sequence=1) from error
    return Replay(router, source, 1, 0, Keys(), this_writer())


def _plan(command: c.ChangePlan) -> Plan:
    if isinstance(command.plan, Plan):
        return command.plan
    if not isinstance(command.plan, str):
        raise InputError("its plan is no text")
    return Plan.from_toml_text(command.plan)


def _restored(sequence: int, data: bytes, source: str) -> Replay:
    found = kept_of(sequence, data, source)
    plan = None
    if found.plan:
        record = records.decode(found.plan)
        if not isinstance(record.command, c.ChangePlan):
            raise InputError("its plan is none")
        plan = _plan(record.command)
    return Replay(Router.restore(found.router, plan), source, sequence, found.told, Keys(found.keys), found.writer)


def bases(store: Readable, held: Held) -> Iterator[Replay | str]:
    """Where a replay can begin, the last one first: snapshots, then the start; a sentence for each that is no good."""
    for sequence, data in store.snapshots():
        try:
            yield _restored(sequence, data, store.source)
        except (DamagedError, InputError) as error:
            yield f"the snapshot after record {sequence} is left out: {error}"
    if held.head and held.first == 1:
        try:
            for _, data in store.read(0):
                yield _begun(data, store.source)
                break
        except DamagedError as error:
            yield str(error)


def replayed(
    store: Readable, held: Held, notes: list[str], *, told: int | None = None
) -> Iterator[tuple[Replay, list[Event]]]:
    """The state at the last good base, then behind each record, with the events of that record made again.

    With ``told`` the base has not told any event behind that number. What is wrong with a base goes into ``notes``.
    Raises DamagedError where the journal cannot be trusted, MisuseError where ``told`` is before what is kept.
    """
    for base in bases(store, held):
        if isinstance(base, str):
            notes.append(base)
        elif told is None or base.told <= told:
            yield base, []
            try:
                for sequence, data in store.read(base.sequence):
                    yield base, base.feed(sequence, data)
            except DamagedError as error:
                raise advised(error, store.source) from error.__cause__
            return
    if told is not None:
        raise MisuseError(f"the events behind number {told} are no longer in {store.source}: it begins later")
    message = "; ".join(["there is nothing to begin with", *notes])
    raise advised(DamagedError(message, source=store.source), store.source)


def recover(store: Readable, held: Held) -> tuple[Replay, list[str]]:
    """The state at the end of a journal that is not empty, and what was found. O(state + records since the snapshot).

    Raises DamagedError where the journal cannot be trusted, naming the record.
    """
    notes: list[str] = []
    for state, _ in replayed(store, held, notes):
        found = state
    return found, notes


def with_code(router: Router, plan: Plan | None) -> Router:
    """A router whose strategies outside the catalogue have their code again, from the queues of ``plan``. O(state).

    Raises InputError naming the queue where ``plan`` has no strategy of that name, version, agent key and interval.
    """
    given = {queue.name: queue for queue in plan.queues} if plan is not None else {}
    queues = []
    for queue in router.plan.queues:
        if isinstance(queue.strategy, Absent):
            own = given.get(queue.name)
            if own is None or own.strategy is None or _terms(own) != _terms(queue):
                name, version, *_ = _terms(queue)
                message = f"the plan that is given has not the strategy {name!r} of version {version} of the journal"
                raise InputError(message, field=queue.name)
            queue = attrs.evolve(queue, strategy=own.strategy)
        queues.append(queue)
    if all(queue.strategy is old.strategy for queue, old in zip(queues, router.plan.queues, strict=True)):
        return router
    return Router.restore(router.snapshot(), attrs.evolve(router.plan, queues=queues))


def _terms(queue: Queue) -> tuple[str, int, int, int]:
    """What a plan says of a strategy besides its answers. O(1)."""
    strategy = strategy_of(queue)
    return str(strategy.name), int(strategy.version), int(agent_key_of(queue)), control_interval(queue)
