"""The compiled core: what Python may say to it, judged, and handed to ``engine``.

``layout`` says what the data looks like, ``order`` and ``deadlines`` hold the two structures, ``selection`` the two
questions, ``engine`` the commands, ``tables`` the plan, ``columns`` the driver. The meaning of everything is in the
reference core.
"""

from array import array

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from omniroute.core.columns cimport (
    BLOCKED, FINISH, LEAVE, ROW_BITS, Future, Futures, pop, push,
)
from omniroute.core.deadlines cimport arm, disarm, sooner
from omniroute.core.engine cimport (
    ASKED, add_exclusion, advance, change_presence, count_in, do_accept, do_decline,
    do_enqueue, do_leave, do_release, do_requeue, do_transfer, drop_exclusion, link_offer, new_entry, place, serve,
    serve_remembered, settle, sync, withdraw_excess, wrap_up,
)
from omniroute.core.layout cimport *
from omniroute.core.order cimport clear_root, count_before, following, less
from omniroute.core.selection cimport (
    already_offered, excluded, hide, in_queue, is_open, offers_full, pick_entry, show,
)
from omniroute.core.tables cimport (
    AND, FALSE, NOT, OR, grow_classes, grow_groups, holds, lane_for, list_openings, set_pair,
)

from omniroute.core import limits, lifecycle
from omniroute.core.codes import AgentKey, Clause, Reason
from omniroute.core.limits import out_of_range, too_early
from omniroute.errors import MisuseError

cdef extern from *:
    """
    #ifndef OMNIROUTE_DEBUG
    #define OMNIROUTE_DEBUG 0
    #endif
    """
    const bint OMNIROUTE_DEBUG

IMPLEMENTATION = "kernel"
DEBUG = bool(OMNIROUTE_DEBUG)

cdef i64 TIME_MAX = limits.TIME_MAX
cdef i64 OPENS_MAX = limits.OPENS_MAX
cdef i64 RANK_MAX = limits.RANK_MAX
cdef i64 COST_MAX = limits.COST_MAX
cdef i64 AGE_RATE_MAX = limits.AGE_RATE_MAX
cdef i64 LENGTH_RATE_MAX = limits.LENGTH_RATE_MAX
cdef i64 TIER_MAX = limits.TIER_MAX
cdef i64 ORDER_MAX = limits.ORDER_MAX
cdef i64 UNITS_MAX = limits.UNITS_MAX
cdef i64 STEPS_MAX = limits.STEPS_MAX
cdef i64 DEPTH_MAX = limits.PROGRAM_DEPTH_MAX
cdef i32 ENTRIES_MAX = limits.ENTRIES_MAX
cdef i64 SEQ_MAX = 2**43 - 1  # an offer's number is its sequence and 20 bits of slot
cdef i64 COUNT_MAX = 2**26
cdef i64 FORMAT = 1

cdef enum:
    FREED = -2  # the agent of an interaction or offer whose number is free, while a dump is read

# The life-cycle tables, as arrays: the next state, or -1 and the name of the refusal.
cdef int PRESENCE_NEXT[4][8]
cdef int PRESENCE_REFUSAL[4][8]
cdef int INTERACTION_NEXT[5][8]
cdef int INTERACTION_REFUSAL[5][8]

cdef int MOVE_LEAVE = lifecycle.InteractionMove.LEAVE
cdef int MOVE_FINISH = lifecycle.InteractionMove.FINISH
cdef int MOVE_RELEASE = lifecycle.InteractionMove.RELEASE
cdef int MOVE_REQUEUE = lifecycle.InteractionMove.REQUEUE
cdef int MOVE_TRANSFER = lifecycle.InteractionMove.TRANSFER
cdef int MOVE_DRAIN = lifecycle.PresenceMove.DRAIN
cdef int MOVE_SIGN_OUT = lifecycle.PresenceMove.SIGN_OUT
cdef int R_UNKNOWN_INTERACTION = Reason.UNKNOWN_INTERACTION
cdef int R_OFFER_ENDED = Reason.OFFER_ENDED
cdef int R_QUEUE_FULL = Reason.QUEUE_FULL
cdef int C_NOT_READY = Clause.NOT_READY
cdef int C_NO_ROOM = Clause.NO_ROOM
cdef int C_NOT_ALLOWED = Clause.NOT_ALLOWED
cdef int C_NOT_YET_OPEN = Clause.NOT_YET_OPEN
cdef int C_EXCLUDED = Clause.EXCLUDED
cdef int C_ALREADY_OFFERED = Clause.ALREADY_OFFERED
cdef int C_OFFERS_FULL = Clause.OFFERS_FULL


def _read_tables():
    for state in lifecycle.Presence:
        for move in lifecycle.PresenceMove:
            PRESENCE_NEXT[state][move] = lifecycle.PRESENCE.get((state, move), -1)
            PRESENCE_REFUSAL[state][move] = lifecycle.presence_refusal(state, move)
    for state in lifecycle.InteractionState:
        for move in lifecycle.InteractionMove:
            INTERACTION_NEXT[state][move] = lifecycle.INTERACTION.get((state, move), -1)
            INTERACTION_REFUSAL[state][move] = lifecycle.REFUSALS.get((state, move), R_UNKNOWN_INTERACTION)


_read_tables()


cdef int within(str what, i64 value, i64 low, i64 high) except -1:
    """Raise when a value is outside ``low..high``."""
    if not low <= value <= high:
        raise out_of_range(what, value, low, high)
    return 0


cdef int index(str what, i64 number, i64 count) except -1:
    """Raise when a number is not one of ``count``."""
    return within(what, number, 0, count - 1)


cdef i64 read(numbers, str what, i64 low, i64 high) except? -7:
    """The next number of a dump, when it is in its range."""
    cdef i64 value = next(numbers)
    within(what, value, low, high)
    return value


cdef int do_presence(State* s, i64 now, i32 j, int move) noexcept nogil:
    """Judge and make a presence move: 0, or the reason of a refusal, and then not even time has moved."""
    cdef Agent* agent = &s.agents[j]
    if move == MOVE_SIGN_OUT and agent.held:
        move = MOVE_DRAIN
    if PRESENCE_NEXT[agent.presence][move] < 0:
        return PRESENCE_REFUSAL[agent.presence][move]
    s.now = now
    if agent.presence == SIGNED_OUT:
        while agent.exclusions >= 0:
            drop_exclusion(s, agent.exclusions)
    change_presence(s, j, PRESENCE_NEXT[agent.presence][move], ASKED, -1)
    return 0


cdef bint is_full(State* s, const i32* classes, i32 n, i32 own) noexcept nogil:
    """Whether one of the queues has no place left, not counting the interaction's own."""
    cdef i32 x, q, e
    cdef i64 mine
    for x in range(n):
        q = s.classes[classes[x]].queue
        if s.queues[q].limit < 0:
            continue
        mine = 0
        if own >= 0 and in_queue(&s.interactions[own]):
            e = s.interactions[own].entries
            while e >= 0:
                mine += s.classes[s.entries[e].class_].queue == q
                e = s.entries[e].next
        if s.queues[q].limit <= s.queues[q].length - mine:
            return True
    return False


cdef void* copied(void* data, size_t size) except? NULL:
    """A copy of a block of memory."""
    cdef void* fresh = malloc(size + 1)
    if fresh == NULL:
        raise MemoryError
    if size:
        memcpy(fresh, data, size)
    return fresh


@cython.final
cdef class Core:
    """The whole state, and every command on it. See the reference core for what each one means."""

    cdef State s

    def __cinit__(self):
        self.s.free_interaction = self.s.free_entry = self.s.free_offer = self.s.free_exclusion = -1

    def __dealloc__(self):
        cdef State* s = &self.s
        cdef i32 x
        for x in range(s.n_classes):
            free(s.classes[x].program)
            free(s.classes[x].openings)
        for x in range(s.n_lanes):
            free(s.lanes[x].links)
            free(s.lanes[x].keys)
            free(s.lanes[x].roots)
            free(s.lanes[x].available)
            free(s.lanes[x])
        free(s.queues)
        free(s.atoms)
        free(s.groups)
        free(s.classes)
        free(s.out)
        free(s.in_)
        free(s.openable)
        free(s.serves)
        free(s.nonempty)
        free(s.agents)
        free(s.counts)
        free(s.interactions)
        free(s.entries)
        free(s.links)
        free(s.keys)
        free(s.offers)
        free(s.exclusions)
        free(s.heap)
        free(s.events)
        free(s.connected)
        free(s.work)

    @property
    def now(self):
        """The time of the last command or deadline, in milliseconds."""
        return self.s.now

    @property
    def seq(self):
        """The last sequence number given."""
        return self.s.seq

    @property
    def auto_accept(self):
        """Agents take the best offer the moment it is made; the columns are driven like this."""
        return bool(self.s.auto_accept)

    @auto_accept.setter
    def auto_accept(self, bint value):
        self.s.auto_accept = value

    # Judging ---------------------------------------------------------------------------------------------------------

    cdef int begin(self, i64 now) except -1:
        """Raise unless ``now`` is not before the present and every deadline up to it has fired."""
        cdef i64 due = self.s.heap[0].due if self.s.n_heap else -1
        if self.s.failed:
            raise MemoryError("memory ran out in the middle of a command: this core is discarded")
        if not self.s.now <= now <= TIME_MAX or 0 <= due <= now:
            raise too_early(now, self.s.now, due)
        return 0

    cdef int done(self) except -1:
        if self.s.failed:
            raise MemoryError("memory ran out in the middle of a command: this core is discarded")
        if OMNIROUTE_DEBUG and (self.s.n_interactions + self.s.n_agents < 64 or self.s.seq & 1023 == 0):
            broken = self.check()
            if broken:
                raise AssertionError("; ".join(broken))
        return 0

    cdef int judge(self, i64 i, int move) except -1:
        """0, or the reason of a refusal."""
        index("interaction", i, self.s.n_interactions)
        cdef int state = self.s.interactions[i].state
        if INTERACTION_NEXT[state][move] >= 0:
            return 0
        return INTERACTION_REFUSAL[state][move]

    cdef int read_classes(self, object classes, i32* numbers, i64 tier, i64 since) except -1:
        """Check and copy the classes of an enqueue or a transfer; how many."""
        cdef int n = len(classes)
        cdef int x, y
        within("entries", n, 1, ENTRIES_MAX)
        for x in range(n):
            index("class", classes[x], self.s.n_classes)
            numbers[x] = classes[x]
        for x in range(n):
            for y in range(x):
                if (numbers[x] == numbers[y]
                        or self.s.classes[numbers[x]].channel != self.s.classes[numbers[y]].channel):
                    raise MisuseError("the entries of an interaction are in different classes of one channel")
        within("tier", tier, 0, TIER_MAX)
        within("since", since, -TIME_MAX, TIME_MAX)
        return n

    cdef i32 find_offer(self, i64 number) except? -2:
        """The slot of a live offer, or -1."""
        if number < 0:
            raise out_of_range("offer", number, 0, 2**63 - 1)
        cdef i64 slot = number & ((1 << SLOT_BITS) - 1)
        if slot >= self.s.n_offers or self.s.offers[slot].interaction < 0:
            return -1
        return slot if self.s.offers[slot].seq == number >> SLOT_BITS else -1

    # Tables ----------------------------------------------------------------------------------------------------------

    def add_channel(self, i64 load):
        cdef State* s = &self.s
        within("channels", s.n_channels + 1, 1, CHANNELS)
        within("load", load, 0, UNITS_MAX)
        s.loads[s.n_channels] = load
        s.n_channels += 1
        cdef i32 x
        for x in range(s.n_groups):
            s.groups[x].at_most[s.n_channels - 1] = UNITS_MAX
        for x in range(s.n_agents):
            s.counts[x * CHANNELS + s.n_channels - 1] = 0
            show(s, x)
        return s.n_channels - 1

    def set_queue(self, i64 queue, i64 offers, i64 offer_timeout, i64 limit, i64 retry_after, i64 target):
        cdef State* s = &self.s
        cdef Queue* cell
        index("queue", queue, s.n_queues + 1)
        within("offers", offers, OFFERS_ALL, UNITS_MAX)
        if offers == 0:
            raise out_of_range("offers", offers, OFFERS_ALL, UNITS_MAX)
        within("limit", limit, -1, TIME_MAX)
        within("target", target, -1, TIME_MAX)
        if offer_timeout != -1:
            within("offer timeout", offer_timeout, 1, TIME_MAX)
        if retry_after != -1:
            within("retry", retry_after, 1, TIME_MAX)
        if queue == s.n_queues:
            if not grow(s, <void**> &s.queues, &s.cap_queues, s.n_queues + 1, sizeof(Queue)):
                raise MemoryError
            memset(&s.queues[queue], 0, sizeof(Queue))
            s.queues[queue].control_every = s.queues[queue].control_due = -1
            s.queues[queue].heap_at = -1
            s.n_queues += 1
        cell = &s.queues[queue]
        cell.offers = offers
        cell.offer_timeout = offer_timeout
        cell.limit = limit
        cell.retry_after = retry_after
        cell.target = target
        return queue

    def add_atom(self, groups):
        cdef State* s = &self.s
        cdef i64 words = s.cap_groups >> 6
        cdef i64 g
        cdef list members = list(groups)
        for g in members:
            index("group", g, s.n_groups)
        if s.n_atoms == s.cap_atoms:
            cap = 2 * s.cap_atoms + 16
            fresh = cap
            if not self._grow_atoms(fresh):
                raise MemoryError
        for g in members:
            s.atoms[s.n_atoms * words + (g >> 6)] |= <u64> 1 << (g & 63)
        s.n_atoms += 1
        return s.n_atoms - 1

    cdef bint _grow_atoms(self, i32 cap):
        cdef State* s = &self.s
        cdef i64 words = s.cap_groups >> 6
        cdef u64* fresh = <u64*> calloc(cap * words + 1, sizeof(u64))
        if fresh == NULL:
            return False
        if s.atoms != NULL:
            memcpy(fresh, s.atoms, s.n_atoms * words * sizeof(u64))
        free(s.atoms)
        s.atoms = fresh
        s.cap_atoms = cap
        return True

    def add_group(self, atoms, i64 units, at_most):
        cdef State* s = &self.s
        cdef i64 a
        cdef i32 x, g, k
        cdef list held = list(atoms)
        for a in held:
            index("atom", a, s.n_atoms)
        within("units", units, 0, UNITS_MAX)
        if len(at_most) != s.n_channels:
            raise out_of_range("length of at_most", len(at_most), s.n_channels, s.n_channels)
        for value in at_most:
            within("at most", value, 0, UNITS_MAX)
        if not grow_groups(s):
            raise MemoryError
        g = s.n_groups
        memset(&s.groups[g], 0, sizeof(Group))
        s.groups[g].units = units
        for x in range(s.n_channels):
            s.groups[g].at_most[x] = at_most[x]
        for a in held:
            s.atoms[a * (s.cap_groups >> 6) + (g >> 6)] |= <u64> 1 << (g & 63)
        for x in range(s.n_lanes):
            clear_root(&s.lanes[x].roots[g])
        s.n_groups += 1
        for k in range(s.n_classes):
            set_pair(s, k, g, NEVER, 0, 0, 0, 0)
        return g

    def set_group(self, i64 group, i64 idle_rate, i64 term):
        cdef State* s = &self.s
        cdef i32 j
        index("group", group, s.n_groups)
        within("idle rate", idle_rate, 0, AGE_RATE_MAX)
        within("term", term, -COST_MAX, COST_MAX)
        s.groups[group].idle_rate = idle_rate
        s.groups[group].term = term
        for j in range(s.n_agents):
            if s.agents[j].group == group:
                show(s, j)

    def add_class(self, i64 queue, i64 channel, program, i64 agent_key):
        cdef State* s = &self.s
        cdef i32 k, g, x, lane
        cdef i32* copy
        index("queue", queue, s.n_queues)
        index("channel", channel, s.n_channels)
        within("agent key", agent_key, 0, len(AgentKey) - 1)
        self.check_program(program)
        if not grow_classes(s):
            raise MemoryError
        lane = lane_for(s, channel, agent_key)
        copy = <i32*> malloc(len(program) * sizeof(i32))
        if lane < 0 or copy == NULL:
            free(copy)
            raise MemoryError
        k = s.n_classes
        memset(&s.classes[k], 0, sizeof(Class))
        for x in range(len(program)):
            copy[x] = program[x]
        s.classes[k].program = copy
        s.classes[k].program_length = len(program)
        s.classes[k].queue = queue
        s.classes[k].channel = channel
        s.classes[k].lane = lane
        s.classes[k].agent_key = agent_key
        s.classes[k].age_rate = 1
        s.classes[k].step_at = s.classes[k].step_next = s.classes[k].step_tier = -1
        clear_root(&s.classes[k].root)
        s.n_classes += 1
        for g in range(s.n_groups):
            set_pair(s, k, g, NEVER, 0, 0, 0, 0)
        return k

    cdef int check_program(self, program) except -1:
        cdef i64 depth = 0
        cdef i64 op
        for op in program:
            within("program operator", op, FALSE, self.s.n_atoms - 1)
            if op == AND or op == OR:
                within("program depth", depth, 2, len(program))
                depth -= 1
            elif op == NOT:
                within("program depth", depth, 1, len(program))
            else:
                depth += 1
                within("program depth", depth, 1, DEPTH_MAX)
        return within("program result", depth, 1, 1)

    def matches(self, i64 class_):
        cdef State* s = &self.s
        cdef i32 g
        index("class", class_, s.n_classes)
        return [g for g in range(s.n_groups) if holds(s, class_, g)]

    def set_class(
        self, i64 class_, i64 age_rate, i64 length_rate, i64 offset, i64 step_at, i64 step_next, i64 step_tier
    ):
        cdef State* s = &self.s
        cdef Class* cell
        cdef i64 at, length = 1
        cdef i32 i
        index("class", class_, s.n_classes)
        within("age rate", age_rate, 0, AGE_RATE_MAX)
        within("length rate", length_rate, 0, LENGTH_RATE_MAX)
        within("offset", offset, -COST_MAX, COST_MAX)
        within("step instant", step_at, -1, TIME_MAX)
        within("step class", step_next, -1 if step_at < 0 else 0, s.n_classes - 1)
        within("step tier", step_tier, -1, TIER_MAX)
        cell = &s.classes[class_]
        if step_at >= 0:
            at = step_next
            while at != class_ and s.classes[at].step_at >= 0:
                at = s.classes[at].step_next
                length += 1
                within("steps", length, 1, STEPS_MAX)
            if at == class_:
                raise MisuseError(f"the steps of class {class_} come back to it")
            if s.classes[step_next].channel != cell.channel:
                raise MisuseError("a step keeps the channel")
        cell.age_rate = age_rate
        cell.length_rate = length_rate
        cell.offset = offset
        cell.step_at = step_at
        cell.step_next = step_next
        cell.step_tier = step_tier
        if cell.in_queue:
            for i in range(s.n_interactions):
                if in_queue(&s.interactions[i]):
                    sync(s, i)

    def set_pairs(self, classes, groups, opens, rank_out, cost_out, rank_in, cost_in):
        cdef State* s = &self.s
        cdef i64 cells = len(classes) * len(groups)
        cdef i64 at = 0
        cdef i64 k, g
        for k in classes:
            index("class", k, s.n_classes)
        for g in groups:
            index("group", g, s.n_groups)
        cdef const i64[::1] o = self.read_column("opens", opens, cells, NEVER, OPENS_MAX)
        cdef const i64[::1] ro = self.read_column("rank out", rank_out, cells, 0, RANK_MAX)
        cdef const i64[::1] co = self.read_column("cost out", cost_out, cells, -COST_MAX, COST_MAX)
        cdef const i64[::1] ri = self.read_column("rank in", rank_in, cells, 0, RANK_MAX)
        cdef const i64[::1] ci = self.read_column("cost in", cost_in, cells, -COST_MAX, COST_MAX)
        for k in classes:
            for g in groups:
                set_pair(s, k, g, o[at], ro[at], co[at], ri[at], ci[at])
                at += 1
        for k in classes:
            if not list_openings(s, k):
                raise MemoryError

    cdef const i64[::1] read_column(self, str what, column, i64 cells, i64 low, i64 high):
        within("length of " + what, len(column), cells, cells)
        cdef const i64[::1] values = column if isinstance(column, array) else array("q", column)
        cdef i64 x
        for x in range(cells):
            within(what, values[x], low, high)
        return values

    # Agents ----------------------------------------------------------------------------------------------------------

    def add_agent(self, i64 group, i64 order):
        cdef State* s = &self.s
        cdef i32 cap, l
        cdef i32 j = s.n_agents
        index("group", group, s.n_groups)
        within("order", order, 0, ORDER_MAX)
        if j == s.cap_agents:
            for l in range(s.n_lanes):
                cap = s.cap_agents
                if not grow(s, <void**> &s.lanes[l].links, &cap, j + 1, sizeof(Link)):
                    raise MemoryError
                cap = s.cap_agents
                if not grow(s, <void**> &s.lanes[l].keys, &cap, j + 1, sizeof(Key)):
                    raise MemoryError
            cap = s.cap_agents
            if not grow(s, <void**> &s.counts, &cap, j + 1, CHANNELS * sizeof(i64)):
                raise MemoryError
            if not grow(s, <void**> &s.agents, &s.cap_agents, j + 1, sizeof(Agent)):
                raise MemoryError
        memset(&s.agents[j], 0, sizeof(Agent))
        memset(&s.counts[j * CHANNELS], 0, CHANNELS * sizeof(i64))
        for l in range(s.n_lanes):
            s.lanes[l].links[j].size = 0
        s.agents[j].group = group
        s.agents[j].order = order
        s.agents[j].offers = s.agents[j].exclusions = -1
        s.n_agents += 1
        return j

    def move_agent(self, i64 now, i64 j, i64 group, i64 order):
        self.begin(now)
        index("agent", j, self.s.n_agents)
        index("group", group, self.s.n_groups)
        within("order", order, 0, ORDER_MAX)
        self.s.now = now
        hide(&self.s, j)
        self.s.agents[j].group = group
        self.s.agents[j].order = order
        show(&self.s, j)
        serve(&self.s, j)
        return self.done()

    def set_presence(self, i64 now, i64 j, i64 move):
        cdef int reason
        self.begin(now)
        index("agent", j, self.s.n_agents)
        within("presence move", move, 0, MOVE_SIGN_OUT)
        reason = do_presence(&self.s, now, j, move)
        self.done()
        return reason

    # Interactions ----------------------------------------------------------------------------------------------------

    def enqueue(self, i64 now, classes, i64 tier, i64 since):
        cdef i32 numbers[8]
        cdef i32 i
        self.begin(now)
        cdef int n = self.read_classes(classes, numbers, tier, since)
        if is_full(&self.s, numbers, n, -1):
            return -R_QUEUE_FULL
        self.s.now = now
        i = do_enqueue(&self.s, numbers, n, tier, since)
        self.done()
        return i

    def leave(self, i64 now, i64 i):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_LEAVE)
        if reason:
            return reason
        self.s.now = now
        do_leave(&self.s, i)
        return self.done()

    def accept(self, i64 now, i64 number):
        self.begin(now)
        cdef i32 o = self.find_offer(number)
        if o < 0:
            return R_OFFER_ENDED
        self.s.now = now
        do_accept(&self.s, o)
        return self.done()

    def decline(self, i64 now, i64 number):
        self.begin(now)
        cdef i32 o = self.find_offer(number)
        if o < 0:
            return R_OFFER_ENDED
        self.s.now = now
        do_decline(&self.s, o)
        return self.done()

    def finish(self, i64 now, i64 i, i64 wrap):
        self.begin(now)
        within("wrap-up", wrap, -1, TIME_MAX)
        cdef int reason = self.judge(i, MOVE_FINISH)
        if reason:
            return reason
        self.s.now = now
        wrap_up(&self.s, i, wrap)
        if wrap == 0:
            do_release(&self.s, i)
        return self.done()

    def release(self, i64 now, i64 i):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_RELEASE)
        if reason:
            return reason
        self.s.now = now
        if self.s.interactions[i].state == CONNECTED:
            wrap_up(&self.s, i, 0)
        do_release(&self.s, i)
        return self.done()

    def requeue(self, i64 now, i64 i):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_REQUEUE)
        if reason:
            return reason
        self.s.now = now
        do_requeue(&self.s, i)
        return self.done()

    def transfer(self, i64 now, i64 i, classes, i64 tier, i64 since):
        cdef i32 numbers[8]
        self.begin(now)
        cdef int n = self.read_classes(classes, numbers, tier, since)
        cdef int reason = self.judge(i, MOVE_TRANSFER)
        if reason:
            return reason
        if self.s.classes[numbers[0]].channel != self.s.interactions[i].channel:
            raise MisuseError("a transfer keeps the channel")
        if is_full(&self.s, numbers, n, i):
            return R_QUEUE_FULL
        self.s.now = now
        do_transfer(&self.s, i, numbers, n, tier, since)
        return self.done()

    # Plans and time --------------------------------------------------------------------------------------------------

    def set_control(self, i64 q, i64 every):
        index("queue", q, self.s.n_queues)
        within("control interval", every, -1, TIME_MAX)
        self.s.queues[q].control_every = every
        self.s.queues[q].control_due = -1
        disarm(&self.s, &self.s.queues[q].heap_at)

    def revised(self, i64 q):
        index("queue", q, self.s.n_queues)
        cdef Queue* queue = &self.s.queues[q]
        queue.version += 1
        queue.entered = queue.connected = queue.in_target = queue.abandoned = 0
        return queue.version

    def refresh(self, i64 now):
        cdef State* s = &self.s
        cdef i32 i
        if s.failed or not s.now <= now <= TIME_MAX:
            raise too_early(now, s.now, -1)
        s.now = now
        cdef list waiting = sorted(
            [(s.interactions[i].seq, i) for i in range(s.n_interactions) if in_queue(&s.interactions[i])]
        )
        for _, i in waiting:
            settle(s, i)
        for _, i in waiting:
            withdraw_excess(s, i)
        for _, i in waiting:
            place(s, i)
        serve_remembered(s)
        return self.done()

    def advance(self, i64 now):
        if self.s.failed or not self.s.now <= now <= TIME_MAX:
            raise too_early(now, self.s.now, -1)
        advance(&self.s, now)
        self.done()

    def next_deadline(self):
        return self.s.heap[0].due if self.s.n_heap else -1

    # Reading ---------------------------------------------------------------------------------------------------------

    def interaction(self, i64 i):
        index("interaction", i, self.s.n_interactions)
        cdef Interaction* it = &self.s.interactions[i]
        if it.state == GONE:
            return (0,)
        cdef i32 e = it.entries
        cdef list found = [
            it.state, it.agent, it.channel, it.wait_from,
            it.clock if it.state == CONNECTED else -1,
            it.clock if it.state == WRAP_UP else -1,
        ]
        while e >= 0:
            found += (self.s.entries[e].class_, self.s.keys[e].a, self.s.keys[e].b)
            e = self.s.entries[e].next
        return tuple(found)

    def agent(self, i64 j):
        index("agent", j, self.s.n_agents)
        cdef Agent* agent = &self.s.agents[j]
        cdef i32 c
        counts = [self.s.counts[j * CHANNELS + c] for c in range(self.s.n_channels)]
        return (agent.presence, agent.group, agent.used, agent.idle_since, agent.handled, *counts)

    def queue(self, i64 q):
        index("queue", q, self.s.n_queues)
        cdef Queue* queue = &self.s.queues[q]
        return (queue.length, queue.version, queue.entered, queue.connected, queue.in_target, queue.abandoned)

    def waiting(self, i64 q, i64 limit):
        cdef State* s = &self.s
        cdef i32 k, e, best
        cdef list found = []
        index("queue", q, s.n_queues)
        cdef list heads = []
        for k in range(s.n_classes):
            if s.classes[k].queue == q and s.classes[k].root.first >= 0:
                heads.append(s.classes[k].root.first)
        while heads and len(found) < limit:
            best = 0
            for k in range(1, len(heads)):
                if less(&s.keys[<i32> heads[k]], &s.keys[<i32> heads[best]]):
                    best = k
            e = heads[best]
            found.append(s.entries[e].interaction)
            e = following(s.links, e)
            if e >= 0:
                heads[best] = e
            else:
                heads.pop(best)
        return found

    def position(self, i64 i):
        cdef State* s = &self.s
        cdef i32 k, q, e
        cdef i64 before = 1
        index("interaction", i, s.n_interactions)
        if not in_queue(&s.interactions[i]):
            return 0
        e = s.interactions[i].entries
        q = s.classes[s.entries[e].class_].queue
        for k in range(s.n_classes):
            if s.classes[k].queue == q and s.classes[k].root.root >= 0:
                before += count_before(s.links, s.keys, &s.classes[k].root, &s.keys[e])
        return before

    def why_not(self, i64 i, i64 j):
        cdef State* s = &self.s
        cdef i32 e
        cdef list found = []
        index("interaction", i, s.n_interactions)
        index("agent", j, s.n_agents)
        if not in_queue(&s.interactions[i]):
            return found
        e = s.interactions[i].entries
        while e >= 0:
            found.append(self.clause(i, e, j))
            e = s.entries[e].next
        return found

    cdef int clause(self, i32 i, i32 e, i32 j):
        """The first clause of *eligible* that is false, or 0."""
        cdef State* s = &self.s
        cdef Class* class_ = &s.classes[s.entries[e].class_]
        cdef i32 opens = s.out[<i64> s.entries[e].class_ * s.cap_groups + s.agents[j].group].opens
        if s.agents[j].presence != READY:
            return C_NOT_READY
        if not (s.agents[j].room >> class_.channel) & 1:
            return C_NO_ROOM
        if opens == NEVER:
            return C_NOT_ALLOWED
        if not is_open(s, s.keys[e].b, opens):
            return C_NOT_YET_OPEN
        if excluded(s, &s.interactions[i], j):
            return C_EXCLUDED
        if already_offered(s, i, j):
            return C_ALREADY_OFFERED
        if offers_full(s, &s.interactions[i]):
            return C_OFFERS_FULL
        return 0

    def take(self):
        cdef i32 x
        cdef Event* e
        cdef list found = []
        for x in range(self.s.n_events):
            e = &self.s.events[x]
            found.append((e.kind, e.at, e.interaction, e.agent, e.x, e.y))
        self.s.n_events = 0
        return found

    def memory(self):
        """Bytes reserved, by what for. O(1)."""
        cdef State* s = &self.s
        cdef i64 pairs = <i64> s.cap_classes * s.cap_groups
        return {
            "interactions": s.cap_interactions * sizeof(Interaction)
            + s.cap_entries * (sizeof(Entry) + sizeof(Link) + sizeof(Key)),
            "deadlines": s.cap_heap * sizeof(Deadline),
            "offers": s.cap_offers * sizeof(Offer) + s.cap_exclusions * sizeof(Exclusion),
            "agents": s.cap_agents * (
                sizeof(Agent) + CHANNELS * sizeof(i64) + s.n_lanes * (sizeof(Link) + sizeof(Key))
            ),
            "tables": pairs * (sizeof(OutPair) + sizeof(InPair)) + pairs // 4 + s.cap_classes * sizeof(Class)
            + s.cap_groups * sizeof(Group),
        }

    # Whole state -----------------------------------------------------------------------------------------------------

    def fork(self):
        """A copy that lives on by itself. O(state), all of it block copies."""
        cdef Core other = Core.__new__(Core)
        cdef State* s = &self.s
        cdef State* t = &other.s
        cdef i32 x
        cdef i64 words = s.cap_groups >> 6
        cdef Lane* lane
        t.now, t.seq, t.auto_accept, t.quiet = s.now, s.seq, s.auto_accept, s.quiet
        t.n_channels = s.n_channels
        memcpy(t.loads, s.loads, sizeof(s.loads))
        t.queues = <Queue*> copied(s.queues, s.n_queues * sizeof(Queue))
        t.n_queues = t.cap_queues = s.n_queues
        t.atoms = <u64*> copied(s.atoms, s.cap_atoms * words * sizeof(u64))
        t.n_atoms, t.cap_atoms = s.n_atoms, s.cap_atoms
        t.groups = <Group*> copied(s.groups, s.cap_groups * sizeof(Group))
        t.n_groups, t.cap_groups = s.n_groups, s.cap_groups
        t.classes = <Class*> copied(s.classes, s.cap_classes * sizeof(Class))
        t.cap_classes = s.cap_classes
        for x in range(s.n_classes):
            t.classes[x].program = NULL
            t.classes[x].openings = NULL
        t.n_classes = s.n_classes
        for x in range(s.n_classes):
            t.classes[x].program = <i32*> copied(s.classes[x].program, s.classes[x].program_length * sizeof(i32))
            t.classes[x].openings = <i32*> copied(s.classes[x].openings, s.classes[x].openings_length * sizeof(i32))
        t.out = <OutPair*> copied(s.out, <i64> s.cap_classes * s.cap_groups * sizeof(OutPair))
        t.in_ = <InPair*> copied(s.in_, <i64> s.cap_classes * s.cap_groups * sizeof(InPair))
        t.openable = <u64*> copied(s.openable, <i64> s.cap_classes * words * sizeof(u64))
        t.serves = <u64*> copied(s.serves, <i64> s.cap_groups * (s.cap_classes >> 6) * sizeof(u64))
        t.nonempty = <u64*> copied(s.nonempty, (s.cap_classes >> 6) * sizeof(u64))
        t.agents = <Agent*> copied(s.agents, s.n_agents * sizeof(Agent))
        t.counts = <i64*> copied(s.counts, s.n_agents * CHANNELS * sizeof(i64))
        t.n_agents = t.cap_agents = s.n_agents
        for x in range(s.n_lanes):
            lane = <Lane*> copied(s.lanes[x], sizeof(Lane))
            lane.links = NULL
            lane.keys = NULL
            lane.roots = NULL
            lane.available = NULL
            t.lanes[x] = lane
            t.n_lanes = x + 1
            lane.links = <Link*> copied(s.lanes[x].links, s.n_agents * sizeof(Link))
            lane.keys = <Key*> copied(s.lanes[x].keys, s.n_agents * sizeof(Key))
            lane.roots = <Root*> copied(s.lanes[x].roots, s.cap_groups * sizeof(Root))
            lane.available = <u64*> copied(s.lanes[x].available, words * sizeof(u64))
        t.interactions = <Interaction*> copied(s.interactions, s.n_interactions * sizeof(Interaction))
        t.n_interactions = t.cap_interactions = s.n_interactions
        t.free_interaction, t.n_free_interactions = s.free_interaction, s.n_free_interactions
        t.entries = <Entry*> copied(s.entries, s.n_entries * sizeof(Entry))
        t.links = <Link*> copied(s.links, s.n_entries * sizeof(Link))
        t.keys = <Key*> copied(s.keys, s.n_entries * sizeof(Key))
        t.n_entries = t.cap_entries = s.n_entries
        t.free_entry = s.free_entry
        t.offers = <Offer*> copied(s.offers, s.n_offers * sizeof(Offer))
        t.n_offers = t.cap_offers = s.n_offers
        t.free_offer, t.n_free_offers = s.free_offer, s.n_free_offers
        t.exclusions = <Exclusion*> copied(s.exclusions, s.n_exclusions * sizeof(Exclusion))
        t.n_exclusions = t.cap_exclusions = s.n_exclusions
        t.free_exclusion = s.free_exclusion
        t.heap = <Deadline*> copied(s.heap, s.n_heap * sizeof(Deadline))
        t.n_heap = t.cap_heap = s.n_heap
        t.events = <Event*> copied(s.events, s.n_events * sizeof(Event))
        t.n_events = t.cap_events = s.n_events
        return other

    def dump(self):
        cdef State* s = &self.s
        cdef i32 x, y, g
        cdef OutPair* out
        cdef InPair* in_
        cdef i64 words = s.cap_groups >> 6
        cdef list numbers = [FORMAT, s.now, s.seq, s.n_channels, *[s.loads[x] for x in range(s.n_channels)], s.n_queues]
        cdef Queue* q
        for x in range(s.n_queues):
            q = &s.queues[x]
            numbers += (q.offers, q.offer_timeout, q.limit, q.retry_after, q.target, q.control_every, q.control_due,
                        q.version, q.entered, q.connected, q.in_target, q.abandoned)
        numbers += (s.n_atoms, s.n_groups)
        for g in range(s.n_groups):
            held = [x for x in range(s.n_atoms) if (s.atoms[x * words + (g >> 6)] >> (g & 63)) & 1]
            numbers.append(s.groups[g].units)
            numbers += [s.groups[g].at_most[x] for x in range(s.n_channels)]
            numbers += (s.groups[g].idle_rate, s.groups[g].term, len(held), *held)
        numbers.append(s.n_classes)
        cdef Class* k
        for x in range(s.n_classes):
            k = &s.classes[x]
            numbers += (k.queue, k.channel, k.age_rate, k.length_rate, k.offset, k.step_at, k.step_next, k.step_tier,
                        k.agent_key, k.program_length)
            numbers += [k.program[y] for y in range(k.program_length)]
            for g in range(s.n_groups):
                out = &s.out[<i64> x * s.cap_groups + g]
                in_ = &s.in_[<i64> g * s.cap_classes + x]
                numbers += (out.opens, out.rank, out.cost, in_.rank, in_.cost)
        self.dump_traffic(numbers)
        return array("q", numbers)

    cdef int dump_traffic(self, list numbers) except -1:
        cdef State* s = &self.s
        cdef Agent* a
        cdef Interaction* it
        cdef Offer* offer
        cdef i32 x, y, e, n
        numbers.append(s.n_agents)
        for x in range(s.n_agents):
            a = &s.agents[x]
            numbers += (a.group, a.order, a.presence, a.used, a.idle_since, a.stamp, a.handled, a.offered)
            numbers += [s.counts[x * CHANNELS + y] for y in range(s.n_channels)]
        numbers.append(s.n_interactions)
        for x in range(s.n_interactions):
            it = &s.interactions[x]
            numbers.append(it.state)
            if it.state == GONE:
                continue
            numbers += (it.seq, it.wait_from, it.step_from, it.agent, it.channel,
                        it.clock if it.state == CONNECTED else -1, it.clock if it.state == WRAP_UP else -1)
            entries = []
            e = it.entries
            while e >= 0:
                entries += (s.entries[e].class_, s.keys[e].a, s.keys[e].b, s.keys[e].c)
                e = s.entries[e].next
            exclusions = []
            e = it.exclusions
            while e >= 0:
                exclusions += (s.exclusions[e].agent, s.exclusions[e].until, s.exclusions[e].seq)
                e = s.exclusions[e].next_of_interaction
            numbers += (len(entries) // 4, *entries, len(exclusions) // 3, *exclusions)
        freed = []
        x = s.free_interaction
        while x >= 0:
            freed.append(x)
            x = s.interactions[x].entries
        numbers += (len(freed), *freed[::-1], s.n_offers)
        for x in range(s.n_offers):
            offer = &s.offers[x]
            if offer.interaction < 0:
                numbers.append(-1)
                continue
            n = 0
            e = s.interactions[offer.interaction].entries
            while e != offer.entry:
                n += 1
                e = s.entries[e].next
            numbers += (offer.interaction, n, offer.agent, offer.due, offer.seq)
        freed = []
        x = s.free_offer
        while x >= 0:
            freed.append(x)
            x = s.offers[x].next_of_interaction
        numbers += (len(freed), *freed[::-1])
        return 0

    @classmethod
    def load(cls, data):
        cdef Core core = Core()
        numbers = iter(data)
        try:
            core.load_tables(numbers)
            core.load_traffic(numbers)
        except StopIteration:
            raise MisuseError("the dump ends too early") from None
        except OverflowError as error:
            raise MisuseError(f"the dump holds a number that is too large: {error}") from None
        if next(numbers, None) is not None:
            raise MisuseError("the dump goes on after its end")
        broken = core.check()
        if broken:
            raise MisuseError(f"the dump is of a broken core: {broken[0]}")
        return core

    cdef int load_tables(self, numbers) except -1:
        cdef State* s = &self.s
        cdef i32 x, y, n, g
        layout = next(numbers)
        if layout != FORMAT:
            raise out_of_range("layout of the dump", layout, FORMAT, FORMAT)
        s.now = read(numbers, "now", 0, TIME_MAX)
        s.seq = read(numbers, "sequence", 0, SEQ_MAX)
        for x in range(next(numbers)):
            self.add_channel(next(numbers))
        controls = []
        for x in range(next(numbers)):
            five = [next(numbers) for _ in range(5)]
            self.set_queue(x, *five)
            s.queues[x].control_every = read(numbers, "control interval", -1, TIME_MAX)
            controls.append(read(numbers, "control deadline", -1, TIME_MAX))
            s.queues[x].version = read(numbers, "version", 0, SEQ_MAX)
            s.queues[x].entered = read(numbers, "entered", 0, SEQ_MAX)
            s.queues[x].connected = read(numbers, "connected", 0, SEQ_MAX)
            s.queues[x].in_target = read(numbers, "in target", 0, SEQ_MAX)
            s.queues[x].abandoned = read(numbers, "abandoned", 0, SEQ_MAX)
        for x, due in enumerate(controls):
            if 0 <= due <= s.now:
                raise MisuseError(f"the control deadline {due} lies in the past")
            s.queues[x].control_due = due
            if due >= 0:
                arm(s, due, CONTROL, x, x)
        for x in range(read(numbers, "atoms", 0, COUNT_MAX)):
            self.add_atom(())
        for g in range(next(numbers)):
            units = next(numbers)
            at_most = [next(numbers) for _ in range(s.n_channels)]
            idle_rate, term, y = next(numbers), next(numbers), next(numbers)
            self.add_group([next(numbers) for _ in range(y)], units, at_most)
            self.set_group(g, idle_rate, term)
        steps = []
        for x in range(next(numbers)):
            queue, channel = next(numbers), next(numbers)
            steps.append([next(numbers) for _ in range(6)])
            agent_key, y = next(numbers), next(numbers)
            self.add_class(queue, channel, [next(numbers) for _ in range(y)], agent_key)
            cells = [next(numbers) for _ in range(5 * s.n_groups)]
            self.set_pairs([x], range(s.n_groups), *[array("q", cells[y::5]) for y in range(5)])
        for x in range(s.n_classes):
            self.set_class(x, *steps[x])
        return 0

    cdef int load_traffic(self, numbers) except -1:
        cdef State* s = &self.s
        cdef Agent* a
        cdef Interaction* it
        cdef i32 x, y, e, n, slot
        cdef i32* at
        for x in range(next(numbers)):
            self.add_agent(next(numbers), next(numbers))
            a = &s.agents[x]
            a.presence = read(numbers, "presence", SIGNED_OUT, DRAINING)
            a.used = read(numbers, "units in use", 0, SEQ_MAX)
            a.idle_since = read(numbers, "idle since", 0, s.now)
            a.stamp = read(numbers, "stamp", 0, s.seq)
            a.handled = read(numbers, "handled", 0, SEQ_MAX)
            a.offered = read(numbers, "offered", 0, s.seq)
            for y in range(s.n_channels):
                s.counts[x * CHANNELS + y] = read(numbers, "in use", 0, SEQ_MAX)
        n = read(numbers, "interactions", 0, COUNT_MAX)
        if not grow(s, <void**> &s.interactions, &s.cap_interactions, n, sizeof(Interaction)):
            raise MemoryError
        for x in range(n):
            it = &s.interactions[x]
            memset(it, 0, sizeof(Interaction))
            it.entries = it.agent = it.offers = it.exclusions = it.heap_at = -1
            s.n_interactions += 1
            state = read(numbers, "state", GONE, WRAP_UP)
            if state != GONE:
                self.load_interaction(x, state, numbers)
        for y in range(read(numbers, "free interactions", 0, n)):
            x = read(numbers, "free interaction", 0, n - 1)
            if s.interactions[x].state != GONE or s.interactions[x].agent == FREED:
                raise MisuseError(f"interaction {x} is not free, or free twice")
            s.interactions[x].agent = FREED
            s.interactions[x].entries = s.free_interaction
            s.free_interaction = x
            s.n_free_interactions += 1
        n = read(numbers, "offers", 0, COUNT_MAX)
        if not grow(s, <void**> &s.offers, &s.cap_offers, n, sizeof(Offer)):
            raise MemoryError
        live = []
        for x in range(n):
            memset(&s.offers[x], 0, sizeof(Offer))
            s.offers[x].heap_at = -1
            s.offers[x].interaction = read(numbers, "offered interaction", NONE, s.n_interactions - 1)
            s.n_offers += 1
            if s.offers[x].interaction < 0:
                continue
            if s.interactions[s.offers[x].interaction].state != OFFERED:
                raise MisuseError(f"offer {x} is of an interaction that is not on offer")
            e = s.interactions[s.offers[x].interaction].entries
            for y in range(read(numbers, "offered entry", 0, ENTRIES_MAX - 1)):
                e = s.entries[e].next
                index("offered entry", e, s.n_entries)
            s.offers[x].entry = e
            s.offers[x].agent = read(numbers, "agent", 0, s.n_agents - 1)
            s.offers[x].due = read(numbers, "expiry", -1, TIME_MAX)
            s.offers[x].seq = read(numbers, "sequence", 1, s.seq)
            live.append((s.offers[x].seq, x))
        for _, x in sorted(live):
            link_offer(s, x)
            if s.offers[x].due >= 0:
                arm(s, s.offers[x].due, OFFER_EXPIRY, s.offers[x].seq, x)
        for y in range(read(numbers, "free offers", 0, n)):
            x = read(numbers, "free offer", 0, n - 1)
            if s.offers[x].interaction >= 0 or s.offers[x].agent == FREED:
                raise MisuseError(f"offer {x} is not free, or free twice")
            s.offers[x].agent = FREED
            s.offers[x].next_of_interaction = s.free_offer
            s.free_offer = x
            s.n_free_offers += 1
        for x in range(s.n_agents):
            show(s, x)
        for x in range(s.n_interactions):
            it = &s.interactions[x]
            if in_queue(it):
                count_in(s, it, +1)
                sync(s, x)
            elif it.state != GONE:
                s.agents[it.agent].held += 1
                if it.state == WRAP_UP and it.clock >= 0:
                    arm(s, it.clock, WRAP_UP_END, it.seq, x)
        if s.failed:
            raise MemoryError
        return 0

    cdef int load_interaction(self, i32 i, int state, numbers) except -1:
        cdef State* s = &self.s
        cdef Interaction* it = &s.interactions[i]
        cdef i32 e, behind = -1
        it.state = state
        it.seq = read(numbers, "sequence", 1, s.seq)
        it.wait_from = read(numbers, "wait from", 0, s.now)
        it.step_from = read(numbers, "step from", 0, s.now)
        it.agent = read(numbers, "agent", 0 if state == CONNECTED or state == WRAP_UP else NONE, s.n_agents - 1)
        it.channel = read(numbers, "channel", 0, s.n_channels - 1)
        connected_at = read(numbers, "connected at", -1, s.now)
        wrap_due = read(numbers, "end of the wrap-up", -1, TIME_MAX)
        it.clock = wrap_due if state == WRAP_UP else connected_at
        for _ in range(read(numbers, "entries", 1, ENTRIES_MAX)):
            e = new_entry(s)
            if e < 0:
                raise MemoryError
            s.entries[e].class_ = read(numbers, "class", 0, s.n_classes - 1)
            if s.classes[s.entries[e].class_].channel != it.channel:
                raise MisuseError(f"interaction {i} waits in a class of another channel")
            s.entries[e].interaction = i
            s.entries[e].next = -1
            s.keys[e].a = read(numbers, "tier", 0, TIER_MAX)
            s.keys[e].b = read(numbers, "since", -TIME_MAX, TIME_MAX)
            s.keys[e].c = read(numbers, "sequence", 1, s.seq)
            if behind < 0:
                it.entries = e
            else:
                s.entries[behind].next = e
            behind = e
        for _ in range(read(numbers, "exclusions", 0, EXCLUSIONS)):
            agent = read(numbers, "agent", 0, s.n_agents - 1)
            until = read(numbers, "end of an exclusion", -1, TIME_MAX)
            add_exclusion(s, i, agent, until, read(numbers, "sequence", 1, s.seq))
        return 0

    def check(self):
        """Every invariant that does not hold, by name. O(agents * classes + state)."""
        found = []
        self.check_capacity(found)
        self.check_states(found)
        self.check_structures(found)
        return found

    cdef int check_capacity(self, list found) except -1:
        cdef State* s = &self.s
        cdef i32 j, i, o, c
        cdef list held = [[0] * s.n_channels for _ in range(s.n_agents)]
        for i in range(s.n_interactions):
            if s.interactions[i].state != GONE and s.interactions[i].agent >= 0:
                held[s.interactions[i].agent][s.interactions[i].channel] += 1
        for o in range(s.n_offers):
            if s.offers[o].interaction >= 0:
                held[s.offers[o].agent][s.interactions[s.offers[o].interaction].channel] += 1
        for j in range(s.n_agents):
            counts = [s.counts[j * CHANNELS + c] for c in range(s.n_channels)]
            used = sum([held[j][c] * s.loads[c] for c in range(s.n_channels)])
            if counts != held[j] or used != s.agents[j].used:
                found.append(f"capacity: agent {j} has {s.agents[j].used} units, {counts} in use, but holds {held[j]}")
            if s.agents[j].presence != READY and s.agents[j].offers >= 0:
                found.append(f"presence: agent {j} is not ready and has a live offer")
            if pick_entry(s, j) >= 0:
                found.append(f"idle: agent {j} could take an interaction that waits")
        return 0

    cdef int check_states(self, list found) except -1:
        cdef State* s = &self.s
        cdef Interaction* it
        cdef i32 i, e, k
        cdef i64 offers
        cdef list lengths = [0] * s.n_queues
        cdef list inside = [0] * s.n_classes
        cdef i32 free_numbers = 0
        for i in range(s.n_interactions):
            it = &s.interactions[i]
            if it.state == GONE:
                free_numbers += 1
                continue
            if (it.state == OFFERED) != (it.live > 0):
                found.append(f"states: interaction {i} is in state {it.state} with {it.live} live offers")
            if (it.state == CONNECTED or it.state == WRAP_UP) != (it.agent >= 0):
                found.append(f"states: interaction {i} is in state {it.state} with agent {it.agent}")
            offers = s.queues[s.classes[s.entries[it.entries].class_].queue].offers
            if offers != OFFERS_ALL and it.live > offers:
                found.append(f"offers: interaction {i} has {it.live} live offers, its queue makes {offers}")
            e = it.entries
            while e >= 0:
                k = s.entries[e].class_
                if in_queue(it):
                    lengths[s.classes[k].queue] += 1
                    inside[k] += 1
                if (s.links[e].size > 0) != (in_queue(it) and not offers_full(s, it)):
                    found.append(f"order: an entry of interaction {i} is in the wrong place")
                e = s.entries[e].next
        if free_numbers != s.n_free_interactions:
            found.append(f"numbers: {free_numbers} interactions are gone, {s.n_free_interactions} are free")
        if lengths != [s.queues[k].length for k in range(s.n_queues)]:
            found.append(f"lengths: queues hold {lengths}")
        if inside != [s.classes[k].in_queue for k in range(s.n_classes)]:
            found.append(f"lengths: classes hold {inside}")
        return 0

    cdef int check_structures(self, list found) except -1:
        cdef State* s = &self.s
        cdef i32 k, l, g, x
        cdef Lane* lane
        for k in range(s.n_classes):
            if not sound(s.links, s.keys, &s.classes[k].root):
                found.append(f"order: the tree of class {k} is broken")
            if ((s.nonempty[k >> 6] >> (k & 63)) & 1) != (s.classes[k].root.root >= 0):
                found.append(f"order: class {k} is wrongly marked")
        for l in range(s.n_lanes):
            lane = s.lanes[l]
            for g in range(s.n_groups):
                if not sound(lane.links, lane.keys, &lane.roots[g]):
                    found.append(f"lanes: the tree of group {g} is broken")
                if ((lane.available[g >> 6] >> (g & 63)) & 1) != (lane.roots[g].root >= 0):
                    found.append(f"lanes: group {g} is wrongly marked")
            for x in range(s.n_agents):
                if (lane.links[x].size > 0) != ((s.agents[x].room >> lane.channel) & 1):
                    found.append(f"lanes: agent {x} is in the wrong place")
        for x in range(1, s.n_heap):
            if sooner(&s.heap[x], &s.heap[(x - 1) >> 1]):
                found.append(f"time: the deadlines are out of order at {x}")
        if s.n_heap and s.heap[0].due <= s.now:
            found.append(f"time: a deadline was due at {s.heap[0].due}, now is {s.now}")
        return 0


cdef bint sound(Link* links, Key* keys, Root* root) noexcept nogil:
    """Whether a tree is in order, has right sizes and knows its ends."""
    cdef i32 n = root.first
    cdef i32 last = -1
    cdef i32 count = 0
    if root.root < 0:
        return root.first < 0 and root.last < 0
    while n >= 0:
        if last >= 0 and not less(&keys[last], &keys[n]):
            return False
        count += 1
        last = n
        n = following(links, n)
    return (last == root.last and count == links[root.root].size and not less(&root.head, &keys[root.first])
            and not less(&keys[root.first], &root.head))


def drive(Core core not None, arrivals, presences, results, i64 until):
    """Drive a core through columns, without the GIL; see the reference core."""
    cdef const i64[::1] at, class_, tier, head_start, handle, wrap, patience
    cdef const i64[::1] p_at, p_agent, p_move
    cdef i64[::1] out_agent, out_start, out_end
    cdef State* s = &core.s
    cdef Futures f
    cdef i64 now, due, a = 0, p = 0, n, m, row
    cdef i32 i, x, k
    cdef Future item
    at, class_, tier, head_start, handle, wrap, patience = arrivals
    p_at, p_agent, p_move = presences
    out_agent, out_start, out_end = results
    n = at.shape[0]
    m = p_at.shape[0]
    for row in range(n):
        index("class", class_[row], s.n_classes)
        within("tier", tier[row], 0, TIER_MAX)
        within("wrap-up", wrap[row], 0, TIME_MAX)
        within("handling time", handle[row], 0, TIME_MAX)
        within("patience", patience[row], -1, TIME_MAX)
        within("since", at[row] - head_start[row], -TIME_MAX, TIME_MAX)
        within("arrival", at[row], s.now if row == 0 else at[row - 1], TIME_MAX)
    for row in range(m):
        index("agent", p_agent[row], s.n_agents)
        within("presence move", p_move[row], 0, MOVE_SIGN_OUT)
        within("presence instant", p_at[row], s.now if row == 0 else p_at[row - 1], TIME_MAX)
    memset(&f, 0, sizeof(Futures))
    s.auto_accept = s.quiet = True
    s.n_connected = 0
    try:
        with nogil:
            while not s.failed:
                due = s.heap[0].due if s.n_heap else TIME_MAX + 1
                now = due
                if f.n and f.heap[0].at < now:
                    now = f.heap[0].at
                if p < m and p_at[p] < now:
                    now = p_at[p]
                if a < n and at[a] < now:
                    now = at[a]
                if now > TIME_MAX or 0 <= until <= now:
                    break
                if due == now:
                    advance(s, now)
                elif f.n and f.heap[0].at == now:
                    item = pop(&f)
                    row = item.order & ((<i64> 1 << ROW_BITS) - 1)
                    i = item.interaction
                    if item.order >> ROW_BITS == FINISH:
                        s.now = now
                        out_end[row] = now
                        wrap_up(s, i, wrap[row])
                        if wrap[row] == 0:
                            do_release(s, i)
                    elif f.rows[i] == row and out_start[row] < 0:
                        s.now = now
                        out_end[row] = now
                        do_leave(s, i)
                elif p < m and p_at[p] == now:
                    do_presence(s, now, <i32> p_agent[p], <int> p_move[p])
                    p += 1
                else:
                    k = <i32> class_[a]
                    if is_full(s, &k, 1, -1):
                        out_agent[a] = BLOCKED
                        out_end[a] = now
                    else:
                        s.now = now
                        i = do_enqueue(s, &k, 1, tier[a], now - head_start[a])
                        if i < 0 or not grow(s, <void**> &f.rows, &f.cap_rows, i + 1, sizeof(i64)):
                            break
                        f.rows[i] = a
                        if patience[a] >= 0 and s.n_connected == 0:
                            push(s, &f, now + patience[a], LEAVE, a, i)
                    a += 1
                for x in range(s.n_connected):
                    i = s.connected[x]
                    row = f.rows[i]
                    out_agent[row] = s.interactions[i].agent
                    out_start[row] = now
                    push(s, &f, now + handle[row], FINISH, row, i)
                s.n_connected = 0
    finally:
        free(f.heap)
        free(f.rows)
        s.quiet = False
    core.done()
