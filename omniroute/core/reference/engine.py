"""The commands and deadlines of the naive twin: judge, move, tell, ask."""

from __future__ import annotations

import copy
from array import array
from collections.abc import Sequence

from omniroute.core import limits
from omniroute.core.codes import Cause, DeadlineKind, EventKind, Reason
from omniroute.core.lifecycle import (
    INTERACTION,
    REFUSALS,
    InteractionMove,
    InteractionState,
    OfferMove,
)
from omniroute.core.reference import arrivals, asking, audit, deadlines, keys, reading, selection, staff, turns, windows
from omniroute.core.reference.state import (
    HELD,
    IN_QUEUE,
    RESERVES_HOLD,
    RESERVES_WRAP_UP,
    STILL,
    Agent,
    Entry,
    Interaction,
    Offer,
)
from omniroute.core.reference.tables import Tables, index, within

Event = tuple[int, int, int, int, int, int]


class Core:
    """The whole state, and every command on it.

    A command takes ``now`` in milliseconds, returns 0 or a :class:`Reason`, and appends its events to a list that
    ``take()`` hands over. It wants every deadline up to ``now`` to have fired: ``advance(now)`` fires them.
    """

    def __init__(self) -> None:
        self.now = 0
        self.seq = 0
        self.tables = Tables()
        self.agents: list[Agent] = []
        self.interactions: list[Interaction | None] = []
        self.offers: list[Offer | None] = []
        self.free_interactions: list[int] = []
        self.free_offers: list[int] = []
        self.events: list[Event] = []
        self.estimates_every = -1
        self.estimates_due = -1
        self.half_life = limits.HALF_LIFE
        self.seed = 0
        self.looks_back = False
        self.auto_accept = False
        """Agents take the best offer the moment it is made; the columns are driven like this."""
        self.freed: list[int] = []
        """Agents to ask for before the command ends; what is below is for then as well."""
        self.left: list[int] = []
        self.fresh: set[int] = set()
        self.forgiving = False
        self.late: list[int] = []
        """Interactions to ask for after all these."""
        self.loose = -1
        """A window that matches one by one now."""
        tables = self.tables
        self.set_queue, self.set_rona = tables.set_queue, tables.set_rona
        self.set_class, self.set_group, self.set_manners = tables.set_class, tables.set_group, tables.set_manners
        self.add_atom, self.add_group, self.set_mix = tables.add_atom, tables.add_group, tables.set_mix
        self.add_class, self.matches, self.add_gauge = tables.add_class, tables.matches, tables.add_gauge
        self.set_condition, self.set_window = tables.set_condition, tables.set_window

    # Reading ---------------------------------------------------------------------------------------------------------

    def queue_of(self, entry: Entry) -> int:
        """The queue in which an entry waits."""
        return self.tables.classes[entry.class_].queue

    def offers_of(self, i: int) -> list[Offer]:
        """The live offers of an interaction, oldest first."""
        return sorted((o for o in self.offers if o is not None and o.interaction == i), key=lambda o: o.seq)

    def offers_to(self, j: int) -> list[Offer]:
        """The live offers to an agent, oldest first."""
        return sorted((o for o in self.offers if o is not None and o.agent == j), key=lambda o: o.seq)

    def length(self, queue: int) -> int:
        """How many entries wait in a queue, those on offer included."""
        return sum(
            self.queue_of(entry) == queue
            for interaction in self.interactions
            if interaction is not None and interaction.state in IN_QUEUE
            for entry in interaction.entries
        )

    def interaction(self, i: int) -> tuple[int, ...]:
        """See :func:`reading.interaction`, and the others there."""
        return reading.interaction(self, i)

    def in_hand(self, j: int) -> list[int]:
        """See ``reading``."""
        return reading.in_hand(self, j)

    def ties(self, i: int) -> list[tuple[int, int, int]]:
        """See ``reading``."""
        return reading.ties(self, i)

    def agent(self, j: int) -> tuple[int, ...]:
        """See ``reading``."""
        return reading.agent(self, j)

    def obligation(self, j: int) -> tuple[int, int]:
        """See ``reading``."""
        return reading.obligation(self, j)

    def key(self, j: int, agent_key: int, queue: int = -1) -> int:
        """See ``reading``."""
        return reading.key(self, j, agent_key, queue)

    def queue(self, q: int) -> tuple[int, ...]:
        """See ``reading``."""
        return reading.queue(self, q)

    def window(self, x: int) -> tuple[int, int]:
        """See ``reading``."""
        return reading.window(self, x)

    def gauge(self, g: int) -> int:
        """See ``reading``."""
        return reading.gauge(self, g)

    def condition(self, c: int) -> int:
        """See ``reading``."""
        return reading.condition(self, c)

    def census(self) -> tuple[list[int], list[tuple[int, ...]], list[int]]:
        """See ``reading``."""
        return reading.census(self)

    def serving(self, k: int) -> int:
        """See ``reading``."""
        return reading.serving(self, k)

    def pair(self, k: int, g: int) -> tuple[int, int, int, int, int]:
        """See ``reading``."""
        return reading.pair(self, k, g)

    def waiting(self, q: int, limit: int) -> list[int]:
        """See ``reading``."""
        return reading.waiting(self, q, limit)

    def position(self, i: int) -> int:
        """See ``reading``."""
        return reading.position(self, i)

    def why_not(self, i: int, j: int) -> list[int]:
        """See ``reading``."""
        return reading.why_not(self, i, j)

    def take(self) -> list[Event]:
        """Hand over the events since the last call, in order."""
        events, self.events = self.events, []
        return events

    def next_deadline(self) -> int:
        """When the next deadline is due, or -1."""
        return min((deadline[0] for deadline in deadlines.of(self)), default=-1)

    def fork(self) -> Core:
        """A copy that lives on by itself."""
        return copy.deepcopy(self)

    def dump(self) -> array[int]:
        """The whole state as integers, canonical: the same for both cores after the same commands. O(state)."""
        return audit.dump(self)

    @classmethod
    def load(cls, data: array[int]) -> Core:
        """The core that :meth:`dump` wrote, whichever core wrote it. O(state)."""
        core = cls()
        audit.load(core, data)
        return core

    def check(self) -> list[str]:
        """Every invariant that does not hold, by name; empty when all do."""
        return audit.check(self)

    # Time ------------------------------------------------------------------------------------------------------------

    def arm(self, i: int) -> None:
        """Look up when the next pair of each entry opens, after it has been asked for at this instant."""
        seeking = self.live(i).state in IN_QUEUE and not selection.offers_full(self, i)
        for entry in self.live(i).entries:
            pairs = self.tables.classes[entry.class_].pairs
            openings = [entry.since + pair.opens for pair in pairs if pair.opens > 0]
            later = [opening for opening in openings if opening > self.now]
            entry.opening = min(later) if seeking and later else -1

    def advance(self, now: int) -> None:
        """Fire the deadlines up to ``now``, each at its own time, by (due, kind, sequence)."""
        if not self.now <= now <= limits.TIME_MAX:
            raise limits.too_early(now, self.now, -1)
        while True:
            deadline = min(deadlines.of(self), default=None)
            if deadline is None or deadline[0] > now:
                break
            due, kind, _, (number, part) = deadline
            self.now = max(self.now, due)
            self._fire(kind, number, part)
            self._wind_up()
        self.now = now

    def _fire(self, kind: int, number: int, part: int) -> None:
        if kind == DeadlineKind.OPENING:
            self._place(number)
        elif kind == DeadlineKind.WRAP_UP_END:
            self._release(number)
        elif kind == DeadlineKind.SETUP_END:
            self._fail(number)
        elif kind == DeadlineKind.OFFER_EXPIRY:
            offer = self.offers[number]
            assert offer is not None
            self._unaccepted(offer, OfferMove.EXPIRE, Cause.NO_ANSWER)
        elif kind == DeadlineKind.TIE_END:
            self.live(number).ties.pop(part)
            self._place(number)
        elif kind == DeadlineKind.REST_END:
            self.agents[number].rest = -1
            keys.spare(self, number)
            self._look()
            self._serve(number)
        elif kind == DeadlineKind.EDGE:
            self._climb(number)
            self._moved(number)
        elif kind == DeadlineKind.ACTIVATION:
            self._awaken(number)
        elif kind == DeadlineKind.FURTHER_OFFER:
            self.live(number).due = -1
            self._place(number)
        elif kind == DeadlineKind.WINDOW:
            windows.close(self, number)
        elif kind == DeadlineKind.STEP:
            self._step(number, part)
        else:
            self._ask_outside(kind, number)

    def _ask_outside(self, kind: int, number: int) -> None:
        """An interval of a queue is over, or that of the estimates."""
        if kind == DeadlineKind.CONTROL:
            queue = self.tables.queues[number]
            queue.control_due = -1
            self._tell(EventKind.REVISION_DUE, x=number, y=queue.version)
            return
        self.estimates_due = -1
        self._tell(EventKind.ESTIMATES_DUE)
        if self._anything_waits():
            self._arm_estimates()

    def _step(self, i: int, part: int) -> None:
        """A step is due; what a window holds comes first, the step then has its turn at the same instant."""
        when = self.tables.classes[self.live(i).entries[part].class_].step_when
        if (when >= 0 and not self.tables.conditions[when].holds) or windows.close_those_of(self, i):
            return
        if not self._settle(i):
            self._withdraw_excess(i)
            self._place(i)

    def _arm_estimates(self) -> None:
        if self.estimates_every > 0 and self.estimates_due < 0:
            self.estimates_due = self.now + self.estimates_every

    # Small helpers ---------------------------------------------------------------------------------------------------

    def _check_time(self, now: int) -> None:
        due = self.next_deadline()
        if not self.now <= now <= limits.TIME_MAX or 0 <= due <= now:
            raise limits.too_early(now, self.now, due)

    def _next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def _tell(self, kind: EventKind, i: int = -1, j: int = -1, x: int = -1, y: int = -1) -> None:
        self.events.append((int(kind), self.now, i, j, int(x), int(y)))

    def live(self, i: int) -> Interaction:
        """The record of an interaction that is known to live."""
        interaction = self.interactions[i]
        assert interaction is not None
        return interaction

    def _by_seq(self) -> list[int]:
        """Every live interaction, the oldest first."""
        live = ((it.seq, i) for i, it in enumerate(self.interactions) if it is not None)
        return [i for _, i in sorted(live)]

    def _judge(self, i: int, move: InteractionMove) -> Reason | None:
        """Look a move up in the table: None is legal."""
        index("interaction", i, len(self.interactions))
        interaction = self.interactions[i]
        if interaction is None:
            return Reason.UNKNOWN_INTERACTION
        if (interaction.state, move) in INTERACTION:
            return None
        return REFUSALS[interaction.state, move]

    def _move(self, i: int, move: InteractionMove) -> None:
        """The next state of the table; clocks that stood still go on, clocks that are to stand still do."""
        interaction = self.live(i)
        before, after = interaction.state, INTERACTION[interaction.state, move]
        if (before in STILL) != (after in STILL):
            shift = self.now if before in STILL else -self.now
            interaction.wait_from += shift
            interaction.step_from += shift
            if InteractionState.INTERRUPTED in (before, after):
                interaction.connected_at += shift
        interaction.state = after

    def _wait(self, interaction: Interaction) -> int:
        """The real wait so far."""
        return (0 if interaction.state in STILL else self.now) - interaction.wait_from

    def takes(self, interaction: Interaction) -> bool:
        """Whether a held interaction takes its agent's capacity in the state that it is in."""
        flags = self.tables.channels[interaction.channel].flags
        if interaction.state == InteractionState.WRAP_UP:
            return bool(flags & RESERVES_WRAP_UP)
        if interaction.state == InteractionState.ON_HOLD:
            return bool(flags & RESERVES_HOLD)
        return interaction.state in HELD

    def _hold(self, j: int, channel: int, sign: int) -> None:
        """Take (+1) or give back (-1) the capacity of one interaction of a channel."""
        cell = self.tables.channels[channel]
        self.agents[j].used += sign * cell.load
        for pool in cell.pools:
            self.agents[j].counts[pool] += sign

    def _restart_idle(self, j: int) -> None:
        self.agents[j].idle_since = self.now
        self.agents[j].stamp = self._next_seq()

    def _free(self, j: int) -> None:
        """Ask for an agent before the command ends."""
        self.freed.append(j)

    # Plans and strategies --------------------------------------------------------------------------------------------

    def set_pairs(self, classes: Sequence[int], groups: Sequence[int], *columns: Sequence[int]) -> None:
        """See :meth:`Tables.set_pairs`; who waits in the classes learns the new openings."""
        opens, rank_out, cost_out, rank_in, cost_in = columns
        self.tables.set_pairs(classes, groups, opens, rank_out, cost_out, rank_in, cost_in)
        for i, interaction in enumerate(self.interactions):
            if interaction is not None and any(entry.class_ in classes for entry in interaction.entries):
                self.arm(i)

    def set_control(self, q: int, every: int) -> None:
        """Ask a queue's strategy again this often (-1: never); the next event of the queue starts the interval."""
        queue = self.tables.queues[index("queue", q, len(self.tables.queues))]
        queue.control_every = within("control interval", every, -1, limits.TIME_MAX)
        queue.control_due = -1

    def set_estimates(self, now: int, every: int) -> int:
        """Ask for estimates this often (-1: never), while anything waits or is parked."""
        self._check_time(now)
        self.estimates_every = within("estimates interval", every, -1, limits.TIME_MAX)
        self.now = now
        self.estimates_due = -1
        if self._anything_waits():
            self._arm_estimates()
        return 0

    def _anything_waits(self) -> bool:
        waits = (*IN_QUEUE, InteractionState.PARKED)
        return any(it is not None and it.state in waits for it in self.interactions)

    def revised(self, q: int) -> int:
        """Begin a queue's next version of tables: its counts start again. Returns the new version."""
        queue = self.tables.queues[index("queue", q, len(self.tables.queues))]
        queue.version += 1
        queue.entered = queue.connected = queue.in_target = queue.abandoned = 0
        return queue.version

    def refresh(self, now: int) -> int:
        """Ask again for everybody after the tables changed: due steps first, then who waits, in order."""
        if not self.now <= now <= limits.TIME_MAX:
            raise limits.too_early(now, self.now, -1)
        self.now = now
        self.forgiving = True
        self._look()
        waiting = [i for i in self._by_seq() if self.live(i).state in IN_QUEUE]
        waiting = [i for i in waiting if not self._settle(i)]
        for i in waiting:
            self._withdraw_excess(i)
        for j in range(len(self.agents)):
            self._continue(j)
        self._wind_up()
        waiting = [i for i in waiting if self.interactions[i] is not None]
        for i in sorted(waiting, key=self._rank_in_queue):
            self._place(i)
            self._wind_up()
        return 0

    def _withdraw_excess(self, i: int) -> None:
        """Withdraw the newest offers of an interaction whose queue makes fewer now."""
        offers, live = self.tables.queues[self.queue_of(self.live(i).entries[0])].offers, self.offers_of(i)
        excess = live[offers:][::-1] if offers != limits.OFFERS_ALL else []
        for offer in excess:
            self._end_offer(offer, OfferMove.WITHDRAW)
            self._free(offer.agent)

    # What the files beside this one say, as methods -------------------------------------------------------------------

    # asking.py
    add_condition = asking.add_condition
    set_gauge = asking.set_gauge
    _look = asking._look
    _flipped = asking._flipped
    _seeks = asking._seeks
    _rank_in_queue = asking._rank_in_queue
    _place_later = asking._place_later
    _has_room = asking._has_room
    _wind_up = asking._wind_up
    _done = asking._done
    _settle = asking._settle
    _arrived = asking._arrived
    _steps_on = asking._steps_on
    _servable = asking._servable
    _reachable = asking._reachable
    _place = asking._place
    _offer_to_best = asking._offer_to_best
    _serve = asking._serve
    _offer = asking._offer
    _count_burst = asking._count_burst
    _rest = asking._rest
    _offer_number = asking._offer_number
    _end_offer = asking._end_offer
    _withdraw = asking._withdraw
    _tie = asking._tie
    _part = asking._part
    _part_for_now = asking._part_for_now
    _exclude = asking._exclude
    _forgive = asking._forgive
    _untie = asking._untie
    # keys.py
    set_choice = keys.set_choice
    set_weight = keys.set_weight
    set_shares = keys.set_shares
    watch = keys.watch
    # staff.py
    add_pool = staff.add_pool
    add_channel = staff.add_channel
    add_agent = staff.add_agent
    move_agent = staff.move_agent
    set_ladder = staff.set_ladder
    oblige = staff.oblige
    _climb = staff._climb
    _moved = staff._moved
    set_presence = staff.set_presence
    holds = staff.holds
    _anchored = staff._anchored
    _set_presence = staff._set_presence
    _empty = staff._empty
    _went = staff._went
    _interrupt = staff._interrupt
    _continue = staff._continue
    # turns.py
    enqueue = arrivals.enqueue
    _number = arrivals._number
    _check_entries = arrivals._check_entries
    _check_ties = arrivals._check_ties
    _bind = arrivals._bind
    _full = arrivals._full
    _enter = arrivals._enter
    _arm_control = arrivals._arm_control
    _arrive = arrivals._arrive
    occupy = arrivals.occupy
    room_for = arrivals.room_for
    _cannot_take = arrivals._cannot_take
    assign = arrivals.assign
    _find_offer = arrivals._find_offer
    accept = arrivals.accept
    _accept = arrivals._accept
    _take_up = arrivals._take_up
    _together = arrivals._together
    established = arrivals.established
    setup_failed = arrivals.setup_failed
    _fail = arrivals._fail
    _back = arrivals._back
    decline = arrivals.decline
    _unaccepted = arrivals._unaccepted
    _gone = turns._gone
    leave = turns.leave
    _leave = turns._leave
    finish = turns.finish
    _finish = turns._finish
    _change_hold = turns._change_hold
    release = turns.release
    _release = turns._release
    _let_go = turns._let_go
    extend = turns.extend
    hold = turns.hold
    resume = turns.resume
    _turn = turns._turn
    requeue = turns.requeue
    transfer = turns.transfer
    update = turns.update
    park = turns.park
    call_back = turns.call_back
    _awaken = turns._awaken
    activate = turns.activate
    _activate = turns._activate
    take_over = turns.take_over
