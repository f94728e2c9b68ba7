"""The compiled core: what Python may say to it, judged, and handed to ``engine``.

``layout`` says what the data looks like, ``order`` and ``deadlines`` hold the two structures, ``selection`` the two
questions, ``keys`` what orders equal agents, ``conditions`` what gauges count, ``places`` where interactions wait,
``hands`` what agents have, ``engine`` what changes, ``turns`` the commands, ``tables`` the plan, ``plain`` a short way for
plain worlds, ``columns`` the driver. The meaning of everything is in the reference core.
"""

from array import array

cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from omniroute.core.blocks cimport Store, common, drop_list, give_back, new_list, take_block
from omniroute.core.columns cimport *
from omniroute.core.conditions cimport gauge_value, look
from omniroute.core.deadlines cimport arm, disarm, sooner
from omniroute.core.engine cimport (
    ABANDONED, ASKED, CANCELLED, change_presence, link_offer, place, serve, settle, wind_up, withdraw_excess,
)
from omniroute.core.hands cimport climb, go_on, into_hand, rank_in_queue, real_wait, takes
from omniroute.core.keys cimport key_of, look_for_caps, rise
from omniroute.core.layout cimport *
from omniroute.core.plain cimport is_plain, plain_enqueue, plain_finish
from omniroute.core.order cimport clear_root, count_before, following, less
from omniroute.core.places cimport (
    all_declined, arm_estimates, count_in, drop_tie, grow_interactions, is_only, marks, new_entry, sync, tie,
)
from omniroute.core.selection cimport (
    already_offered, excluded, fits, held_pools, hide, in_queue, in_window, is_bound, is_open, offers_full, pick_entry,
    pick_held, show, show_group,
)
from omniroute.core.tables cimport (
    AND, FALSE, NOT, OR, condition_pair, drop_cells, grow_agents, grow_classes, grow_groups, holds, lane_for,
    list_openings, program_word, relayout, set_pair, share_cells, watch_queue,
)
from omniroute.core.turns cimport (
    TieTo, activate, advance, anything_waits, do_accept, do_assign, do_enqueue, do_established, do_finish, do_hold, do_leave,
    do_oblige, do_occupy, do_park, do_release, do_requeue, do_resume, do_take_over, do_transfer, do_update, fail, moved,
    unaccepted,
)

from omniroute.core import codes, limits, lifecycle
from omniroute.core.codes import AgentKey, Clause, Reason
from omniroute.core.limits import never_accepted, out_of_range, too_early
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
cdef i64 FORMAT = 9
cdef i64 UNTIL_ACTIVATED = limits.UNTIL_ACTIVATED
cdef i64 GAUGE_MAX = limits.GAUGE_MAX
cdef i64 BITS_32 = 2**32 - 1

cdef enum:
    ROOM_MAX = 2147483647
    FREED = -2  # the agent of an interaction or offer whose number is free, while a dump is read

# The life-cycle tables, as arrays: the next state, or -1 and the name of the refusal.
cdef int PRESENCE_NEXT[4][8]
cdef int PRESENCE_REFUSAL[4][8]
cdef int INTERACTION_NEXT[9][19]
cdef int INTERACTION_REFUSAL[9][19]

cdef int MOVE_LEAVE = lifecycle.InteractionMove.LEAVE
cdef int MOVE_FINISH = lifecycle.InteractionMove.FINISH
cdef int MOVE_RELEASE = lifecycle.InteractionMove.RELEASE
cdef int MOVE_REQUEUE = lifecycle.InteractionMove.REQUEUE
cdef int MOVE_TRANSFER = lifecycle.InteractionMove.TRANSFER
cdef int MOVE_CONNECT = lifecycle.InteractionMove.CONNECT
cdef int MOVE_FAIL = lifecycle.InteractionMove.FAIL
cdef int MOVE_HOLD = lifecycle.InteractionMove.HOLD
cdef int MOVE_RESUME = lifecycle.InteractionMove.RESUME
cdef int MOVE_PARK = lifecycle.InteractionMove.PARK
cdef int MOVE_ACTIVATE = lifecycle.InteractionMove.ACTIVATE
cdef int MOVE_ASSIGN = lifecycle.InteractionMove.ASSIGN
cdef int MOVE_UPDATE = lifecycle.InteractionMove.UPDATE
cdef int MOVE_TAKE_OVER = lifecycle.InteractionMove.TAKE_OVER
cdef int MOVE_DRAIN = lifecycle.PresenceMove.DRAIN
cdef int MOVE_SIGN_OUT = lifecycle.PresenceMove.SIGN_OUT
cdef int R_UNKNOWN_INTERACTION = Reason.UNKNOWN_INTERACTION
cdef int R_OFFER_ENDED = Reason.OFFER_ENDED
cdef int R_QUEUE_FULL = Reason.QUEUE_FULL
cdef int R_SIGNED_OUT = Reason.SIGNED_OUT
cdef int R_NO_ROOM = Reason.NO_ROOM
cdef int R_NOT_ACCEPTING = Reason.NOT_ACCEPTING
cdef int C_NOT_READY = Clause.NOT_READY
cdef int C_NO_ROOM = Clause.NO_ROOM
cdef int C_NOT_ALLOWED = Clause.NOT_ALLOWED
cdef int C_NOT_YET_OPEN = Clause.NOT_YET_OPEN
cdef int C_EXCLUDED = Clause.EXCLUDED
cdef int C_ALREADY_OFFERED = Clause.ALREADY_OFFERED
cdef int C_OFFERS_FULL = Clause.OFFERS_FULL
cdef int C_RESTING = Clause.RESTING
cdef int C_RESERVED = Clause.RESERVED
cdef int C_CONDITION = Clause.CONDITION
cdef int C_IN_WINDOW = Clause.IN_WINDOW


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
    cdef i32 x, after
    if move == MOVE_SIGN_OUT and agent.held > agent.kept:
        move = MOVE_DRAIN
    if PRESENCE_NEXT[agent.presence][move] < 0:
        return PRESENCE_REFUSAL[agent.presence][move]
    s.now = now
    if agent.presence == SIGNED_OUT:
        x = agent.ties
        while x >= 0:
            after = s.ties[x].next_of_agent
            if s.ties[x].until != UNTIL_GONE:
                drop_tie(s, x)
            x = after
    change_presence(s, j, PRESENCE_NEXT[agent.presence][move], ASKED, -1)
    wind_up(s)
    return 0


cdef bint is_full(State* s, const i32* classes, i32 n, i32 own) noexcept nogil:
    """Whether one of the queues has no place left; where the interaction waits already, it has its own."""
    cdef i32 x, q, e
    for x in range(n):
        q = s.classes[classes[x]].queue
        if s.queues[q].limit < 0 or s.queues[q].length < s.queues[q].limit:
            continue
        e = s.interactions[own].entries if own >= 0 and in_queue(&s.interactions[own]) else -1
        while e >= 0 and s.classes[s.entries[e].class_].queue != q:
            e = s.entries[e].next
        if e < 0:
            return True
    return False


cdef Store store  # blocks of forks that are gone


@cython.final
cdef class Core:
    """The whole state, and every command on it. See the reference core for what each one means."""

    cdef State s
    cdef bint forked  # all its blocks are as long as they say

    def __cinit__(self):
        self.s.free_interaction = self.s.free_entry = self.s.free_offer = self.s.free_tie = -1
        self.s.estimates_every = self.s.estimates_due = self.s.estimates_at = self.s.loose = -1
        self.s.half_life = limits.HALF_LIFE

    def __dealloc__(self):
        cdef State* s = &self.s
        cdef i64 words = s.cap_groups >> 6
        cdef i32 x
        for x in range(s.n_classes):
            drop_list(s.classes[x].program)
            drop_list(s.classes[x].openings)
        for x in range(s.n_gauges):
            free(s.gauges[x].program)
            free(s.gauges[x].members)
        for x in range(s.n_lanes):
            self.leave_behind(s.lanes[x].links, s.cap_agents * sizeof(Link))
            self.leave_behind(s.lanes[x].keys, s.cap_agents * sizeof(Key))
            self.leave_behind(s.lanes[x].roots, 2 * s.cap_groups * sizeof(Root))
            free(s.lanes[x].available)
            free(s.lanes[x].members)
        for x in range(s.n_watched):
            self.leave_behind(s.watched[x].agents, s.cap_agents * sizeof(Here))
            free(s.watched[x].levels)
        free(s.lanes)
        free(s.watched)
        drop_cells(s)
        self.leave_behind(s.atoms, s.cap_atoms * words * sizeof(u64))
        self.leave_behind(s.groups, s.wide * sizeof(Group))
        self.leave_behind(s.classes, s.deep * sizeof(Class))
        self.leave_behind(s.ever, s.cap_classes * words * sizeof(u64))
        self.leave_behind(s.openable, s.cap_classes * words * sizeof(u64))
        self.leave_behind(s.serves, s.cap_groups * (s.cap_classes >> 6) * sizeof(u64))
        self.leave_behind(s.queues, s.cap_queues * sizeof(Queue))
        self.leave_behind(s.agents, s.cap_agents * sizeof(Agent))
        self.leave_behind(s.pasts, s.cap_agents * sizeof(Past))
        self.leave_behind(s.counts, s.cap_agents * POOLS * sizeof(i32))
        self.leave_behind(s.interactions, s.cap_interactions * sizeof(Interaction))
        self.leave_behind(s.gaps, s.cap_interactions * sizeof(i32))
        self.leave_behind(s.entries, s.cap_entries * sizeof(Entry))
        self.leave_behind(s.links, s.cap_entries * sizeof(Link))
        self.leave_behind(s.keys, s.cap_entries * sizeof(Key))
        self.leave_behind(s.offers, s.cap_offers * sizeof(Offer))
        self.leave_behind(s.ties, s.cap_ties * sizeof(Tie))
        self.leave_behind(s.heap, s.cap_heap * sizeof(Deadline))
        free(s.gauges)
        free(s.conditions)
        free(s.nonempty)
        free(s.held)
        free(s.windows)
        free(s.events)
        free(s.connected)
        free(s.work)
        free(s.left)
        free(s.late)
        free(s.turns)

    cdef void leave_behind(self, void* data, size_t size) noexcept:
        """Free a block, or keep it for the next fork where this is one."""
        give_back(&store, data, size, self.forked)

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

    def add_pool(self):
        cdef State* s = &self.s
        cdef i32 x
        within("pools", s.n_pools + 1, 1, POOLS)
        for x in range(s.n_groups):
            s.groups[x].at_most[s.n_pools] = UNITS_MAX
        for x in range(s.n_agents):
            s.counts[x * POOLS + s.n_pools] = 0
        s.n_pools += 1
        return s.n_pools - 1

    def add_channel(self, i64 load, pools=None, i64 flags=7):
        cdef State* s = &self.s
        cdef Channel* cell
        cdef i64 pool
        cdef i32 x
        within("channels", s.n_channels + 1, 1, CHANNELS)
        within("load", load, 0, UNITS_MAX)
        within("flags", flags, 0, 15)
        if pools is not None:
            within("pools of a channel", len(pools), 1, POOLS)
            for pool in pools:
                index("pool", pool, s.n_pools)
            if len(set(pools)) < len(pools):
                raise MisuseError("the pools of a channel are different ones")
            for x in range(s.n_channels):
                if s.channels[x].base == pools[0] and s.channels[x].load != load:
                    raise MisuseError("channels of one first pool have one load")
        else:
            pools = (self.add_pool(),)
        cell = &s.channels[s.n_channels]
        cell.load = load
        cell.flags = flags
        cell.base = pools[0]
        cell.pools = 0
        for pool in pools:
            cell.pools |= <uint32_t> 1 << pool
        s.pool_load[cell.base] = load
        s.least_load = load if s.n_channels == 0 or load < s.least_load else s.least_load
        s.n_channels += 1
        for x in range(s.n_groups):
            s.groups[x].allow[s.n_channels - 1] = <uint32_t> BITS_32
            s.groups[x].interrupts[s.n_channels - 1] = 0
        for x in range(s.n_agents):
            show(s, x)
        return s.n_channels - 1

    def set_queue(
        self, i64 queue, i64 offers, i64 offer_timeout, i64 limit, i64 retry_after, i64 target,
        i64 setup_timeout=-1, i64 auto=0, i64 every=-1, i64 window=-1,
    ):
        cdef State* s = &self.s
        cdef Queue* cell
        cdef i32 k
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
        if setup_timeout != -1:
            within("set-up timeout", setup_timeout, 1, TIME_MAX)
        within("auto", auto, 0, 1)
        if every != -1:
            within("every", every, 1, TIME_MAX)
        within("window", window, -1, s.n_windows - 1)
        if queue == s.n_queues:
            if not grow(s, <void**> &s.queues, &s.cap_queues, s.n_queues + 1, sizeof(Queue)):
                raise MemoryError
            memset(&s.queues[queue], 0, sizeof(Queue))
            s.queues[queue].control_every = s.queues[queue].control_due = -1
            s.queues[queue].heap_at = s.queues[queue].watched = -1
            s.queues[queue].rona[0] = 1
            s.n_queues += 1
        cell = &s.queues[queue]
        cell.offers = offers
        cell.offer_timeout = offer_timeout
        cell.limit = limit
        cell.retry_after = retry_after
        cell.target = target
        cell.setup_timeout = setup_timeout
        cell.auto = auto
        cell.every = every
        cell.window = window
        for k in range(s.n_classes):
            if s.classes[k].queue == queue and s.classes[k].window != window:
                marks(s, k)[0] &= ~(<u64> 1 << (k & 63))
                s.classes[k].window = window
                if s.classes[k].root.root >= 0:
                    marks(s, k)[0] |= <u64> 1 << (k & 63)
        return queue

    def set_window(self, i64 window, i64 length):
        cdef State* s = &self.s
        cdef i64 words = s.cap_classes >> 6
        index("window", window, s.n_windows + 1)
        within("windows", window + 1, 1, limits.WINDOWS_MAX)
        within("length of a window", length, 1, limits.WINDOW_MS_MAX)
        if window == s.n_windows:
            if not (grow(s, <void**> &s.windows, &s.cap_windows, s.n_windows + 1, sizeof(Window))
                    and relayout(s, <void**> &s.held, window, words, window + 1, words, sizeof(u64))):
                raise MemoryError
            s.windows[window].closes_at = s.windows[window].heap_at = -1
            s.n_windows += 1
        s.windows[window].length = length
        return window

    def set_rona(self, i64 queue, i64 cause, i64 after, i64 rest):
        index("queue", queue, self.s.n_queues)
        within("cause", cause, 0, C_UNREACHABLE)
        within("after", after, 0, UNITS_MAX)
        within("rest", rest, 0, OPENS_MAX)
        self.s.queues[queue].rona[2 * cause] = after
        self.s.queues[queue].rona[2 * cause + 1] = rest

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
        if len(at_most) != s.n_pools:
            raise out_of_range("length of at_most", len(at_most), s.n_pools, s.n_pools)
        for value in at_most:
            within("at most", value, 0, UNITS_MAX)
        if not grow_groups(s):
            raise MemoryError
        g = s.n_groups
        memset(&s.groups[g], 0, sizeof(Group))
        s.groups[g].units = units
        s.groups[g].weight = 1
        s.groups[g].busiest = 1000
        for x in range(s.n_pools):
            s.groups[g].at_most[x] = at_most[x]
        for x in range(CHANNELS):
            s.groups[g].allow[x] = <uint32_t> BITS_32
        for a in held:
            s.atoms[a * (s.cap_groups >> 6) + (g >> 6)] |= <u64> 1 << (g & 63)
        for x in range(s.n_lanes):
            clear_root(&s.lanes[x].roots[g])
            clear_root(&s.lanes[x].roots[s.cap_groups + g])
        for x in range(s.n_watched):
            memset(&s.watched[x].levels[g], 0, sizeof(Fading))
        s.n_groups += 1
        for x in range(s.n_gauges):
            self.count_group(x, g)
        for k in range(s.n_classes):
            set_pair(s, k, g, NEVER, 0, 0, 0, 0)
        return g

    def set_group(self, i64 group, i64 idle_rate, i64 term):
        cdef State* s = &self.s
        index("group", group, s.n_groups)
        within("idle rate", idle_rate, 0, AGE_RATE_MAX)
        within("term", term, -COST_MAX, COST_MAX)
        s.groups[group].idle_rate = idle_rate
        s.groups[group].term = term
        show_group(s, group)

    def set_mix(self, i64 group, i64 channel, i64 allow, i64 interrupts):
        index("group", group, self.s.n_groups)
        index("channel", channel, self.s.n_channels)
        within("allow", allow, 0, BITS_32)
        within("interrupts", interrupts, 0, BITS_32)
        self.s.groups[group].allow[channel] = <uint32_t> allow
        self.s.groups[group].interrupts[channel] = <uint32_t> interrupts
        if interrupts:
            self.s.interrupting = True
        show_group(&self.s, group)

    def set_manners(self, i64 group, i64 auto, i64 burst, i64 burst_per, i64 busiest=1000):
        index("group", group, self.s.n_groups)
        within("auto", auto, 0, 1)
        within("burst", burst, 0, UNITS_MAX)
        within("burst window", burst_per, 0, OPENS_MAX)
        self.s.groups[group].auto = auto
        self.s.groups[group].burst = burst
        within("busiest", busiest, 1, 1000)
        self.s.groups[group].burst_per = burst_per
        self.s.groups[group].busiest = busiest
        self.s.looks_back = self.s.looks_back or busiest < 1000
        look_for_caps(&self.s)

    def set_choice(self, i64 half_life, i64 seed, i64 looks_back=0):
        cdef i32 j
        within("half-life", half_life, 1, OPENS_MAX)
        within("seed", seed, 0, limits.SEED_MAX)
        within("looks back", looks_back, 0, 1)
        self.s.looks_back = self.s.looks_back or looks_back
        self.s.half_life = half_life
        self.s.seed = seed
        for j in range(self.s.n_agents):
            show(&self.s, j)

    def set_shares(self, i64 group, queues, shares):
        cdef Group* cell
        cdef i64 queue, share
        cdef int x
        index("group", group, self.s.n_groups)
        within("shares", len(shares), len(queues), len(queues))
        within("shares", len(shares), 0, SHARES)
        for queue, share in zip(queues, shares):
            index("queue", queue, self.s.n_queues)
            within("share", share, 0, 1000)
        within("different queues", len(set(queues)), len(queues), len(queues))
        cell = &self.s.groups[group]
        cell.n_shares = len(shares)
        for x in range(cell.n_shares):
            cell.share_of[x], cell.share[x] = queues[x], shares[x]
        self.s.sharing = self.s.sharing or cell.n_shares > 0
        show_group(&self.s, group)

    def watch(self, i64 queue):
        index("queue", queue, self.s.n_queues)
        if not watch_queue(&self.s, queue):
            raise MemoryError

    def set_weight(self, i64 group, i64 weight):
        index("group", group, self.s.n_groups)
        within("weight", weight, 1, limits.WEIGHT_MAX)
        self.s.groups[group].weight = weight

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
        lane = lane_for(s, channel, agent_key, queue)
        copy = new_list(len(program))
        if lane < 0 or copy == NULL or (agent_key > BEHIND_SHARE and not watch_queue(s, queue)):
            drop_list(copy)
            raise MemoryError
        k = s.n_classes
        memset(&s.classes[k], 0, sizeof(Class))
        for x in range(len(program)):
            copy[x] = program[x]
        s.classes[k].program = copy
        s.classes[k].program_length = len(program)
        s.classes[k].queue = queue
        s.classes[k].window = s.queues[queue].window
        s.classes[k].channel = channel
        s.classes[k].lane = lane
        s.classes[k].agent_key = agent_key
        s.looks_back = s.looks_back or agent_key in codes.LOOKS_BACK
        s.drawing = s.drawing or agent_key == WEIGHTED_RANDOM
        s.classes[k].age_rate = 1
        s.classes[k].age_cap = -1
        s.classes[k].step_at = s.classes[k].step_next = s.classes[k].step_tier = -1
        s.classes[k].step_when = s.classes[k].skip_if = s.classes[k].step_copy = -1
        clear_root(&s.classes[k].root)
        clear_root(&s.classes[k].bound)
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
        self, i64 class_, i64 age_rate, i64 length_rate, i64 offset, i64 step_at, i64 step_next, i64 step_tier,
        i64 step_when=-1, i64 skip_if=-1, i64 step_copy=-1, i64 age_cap=-1, i64 patient=0,
    ):
        cdef State* s = &self.s
        cdef Class* cell
        cdef i32 i
        index("class", class_, s.n_classes)
        within("age rate", age_rate, 0, AGE_RATE_MAX)
        within("length rate", length_rate, 0, LENGTH_RATE_MAX)
        within("offset", offset, -COST_MAX, COST_MAX)
        within("age cap", age_cap, -1, TIME_MAX)
        within("step instant", step_at, -1, TIME_MAX)
        within("step class", step_next, CANCEL, s.n_classes - 1)
        within("step tier", step_tier, -1, TIER_MAX)
        within("step condition", step_when, -1, s.n_conditions - 1)
        within("skip condition", skip_if, -1, s.n_conditions - 1)
        within("step copy", step_copy, -1, s.n_classes - 1)
        within("patient", patient, 0, 1)
        if step_at >= 0:
            self.check_step(class_, step_next, step_copy)
        cell = &s.classes[class_]
        cell.age_rate = age_rate
        cell.length_rate = length_rate
        cell.offset = offset
        cell.age_cap = age_cap
        cell.step_at = step_at
        cell.step_next = step_next
        cell.step_tier = step_tier
        cell.step_when = step_when
        cell.skip_if = skip_if
        cell.step_copy = step_copy
        cell.patient = patient
        if step_at >= 0:
            s.stepping = True
        if cell.in_queue:
            for i in range(s.n_interactions):
                if in_queue(&s.interactions[i]):
                    sync(s, i)

    cdef int check_step(self, i64 class_, i64 step_next, i64 step_copy) except -1:
        """A chain of steps ends: it never comes back to where it started and is short. A step keeps the channel."""
        cdef State* s = &self.s
        cdef i64 at, length = 1
        if step_next == -1:
            raise out_of_range("step class", step_next, 0, s.n_classes - 1)
        cdef list ahead = [step_next, step_copy]
        cdef set seen = {-1, CANCEL}
        while ahead:
            at = ahead.pop()
            if at == class_:
                raise MisuseError(f"the steps of class {class_} come back to it")
            if at not in seen:
                seen.add(at)
                if s.classes[at].step_at >= 0:
                    ahead += [s.classes[at].step_next, s.classes[at].step_copy]
        for at in (step_next, step_copy):
            if at >= 0 and s.classes[at].channel != s.classes[class_].channel:
                raise MisuseError("a step keeps the channel")
        at = step_next
        while at >= 0 and s.classes[at].step_at >= 0:
            at = s.classes[at].step_next
            length += 1
            within("steps", length, 1, STEPS_MAX)
        return 0

    # Conditions ------------------------------------------------------------------------------------------------------

    def add_gauge(self, i64 kind, i64 subject, program):
        cdef State* s = &self.s
        cdef Gauge* cell
        cdef i32 x
        within("gauges", s.n_gauges + 1, 1, limits.GAUGES_MAX)
        within("kind of gauge", kind, 0, GIVEN)
        if kind == LENGTH:
            index("queue", subject, s.n_queues)
        elif kind == AVAILABLE:
            index("channel", subject, s.n_channels)
        else:
            within("subject", subject, -1, -1)
        self.check_program(program)
        if not grow(s, <void**> &s.gauges, &s.cap_gauges, s.n_gauges + 1, sizeof(Gauge)):
            raise MemoryError
        cell = &s.gauges[s.n_gauges]
        memset(cell, 0, sizeof(Gauge))
        cell.kind = kind
        cell.subject = subject
        cell.program = <i32*> malloc(len(program) * sizeof(i32))
        cell.members = <u64*> calloc((s.cap_groups >> 6) + 1, sizeof(u64))
        if cell.program == NULL or cell.members == NULL:
            free(cell.program)
            free(cell.members)
            raise MemoryError
        cell.program_length = len(program)
        for x in range(cell.program_length):
            cell.program[x] = program[x]
        s.n_gauges += 1
        for x in range(s.n_groups):
            self.count_group(s.n_gauges - 1, x)
        if kind == STAFFED or kind == IDLE or kind == AVAILABLE:
            for x in range(s.n_agents):
                if (cell.members[s.agents[x].group >> 6] >> (s.agents[x].group & 63)) & 1:
                    if kind == AVAILABLE:
                        cell.value += (s.agents[x].room >> subject) & 1
                    else:
                        cell.value += (s.agents[x].shown >> (kind - STAFFED)) & 1
        return s.n_gauges - 1

    cdef int count_group(self, i32 x, i32 g) except -1:
        """Write whether a gauge counts the agents of a group."""
        cdef Gauge* cell = &self.s.gauges[x]
        cdef u64 bits = program_word(&self.s, cell.program, cell.program_length, g >> 6)
        cell.members[g >> 6] |= bits & (<u64> 1 << (g & 63))
        return 0

    def add_condition(self, i64 gauge, i64 on, i64 off, i64 below):
        cdef State* s = &self.s
        cdef Condition* cell
        within("conditions", s.n_conditions + 1, 1, limits.CONDITIONS_MAX)
        index("gauge", gauge, s.n_gauges)
        within("below", below, 0, 1)
        within("threshold", on, 0, GAUGE_MAX)
        within("threshold", off, on if below else 0, GAUGE_MAX if below else on)
        if not grow(s, <void**> &s.conditions, &s.cap_conditions, s.n_conditions + 1, sizeof(Condition)):
            raise MemoryError
        cell = &s.conditions[s.n_conditions]
        cell.gauge = gauge
        cell.on = on
        cell.off = off
        cell.below = below
        cell.fresh = False
        cell.holds = gauge_value(s, gauge) <= on if below else gauge_value(s, gauge) >= on
        s.n_conditions += 1
        return s.n_conditions - 1

    def set_condition(self, classes, groups, i64 condition):
        cdef i64 k, g
        within("condition", condition, -1, self.s.n_conditions - 1)
        for k in classes:
            index("class", k, self.s.n_classes)
        for g in groups:
            index("group", g, self.s.n_groups)
        for k in classes:
            for g in groups:
                condition_pair(&self.s, k, g, condition)

    def set_gauge(self, i64 now, i64 gauge, i64 value):
        cdef State* s = &self.s
        self.begin(now)
        index("gauge", gauge, s.n_gauges)
        within("kind of gauge", s.gauges[gauge].kind, GIVEN, GIVEN)
        within("value", value, 0, GAUGE_MAX)
        s.now = now
        s.gauges[gauge].value = value
        look(s)
        wind_up(s)
        return self.done()

    def window(self, i64 x):
        index("window", x, self.s.n_windows)
        return (self.s.windows[x].length, self.s.windows[x].closes_at)

    def gauge(self, i64 x):
        index("gauge", x, self.s.n_gauges)
        return gauge_value(&self.s, x)

    def condition(self, i64 x):
        index("condition", x, self.s.n_conditions)
        return int(self.s.conditions[x].holds)

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
        cdef i32 l
        cdef i32 j = s.n_agents
        index("group", group, s.n_groups)
        within("order", order, 0, ORDER_MAX)
        if not grow_agents(s):
            raise MemoryError
        memset(&s.agents[j], 0, sizeof(Agent))
        memset(&s.pasts[j], 0, sizeof(Past))
        memset(&s.counts[j * POOLS], 0, POOLS * sizeof(i32))
        for l in range(s.n_lanes):
            s.lanes[l].links[j].size = 0
        for l in range(s.n_watched):
            memset(&s.watched[l].agents[j], 0, sizeof(Here))
        s.agents[j].group = s.agents[j].home = group
        s.agents[j].edge_at = s.agents[j].until = -1
        s.agents[j].order = order
        s.agents[j].offers = s.agents[j].ties = s.agents[j].hand = s.agents[j].heap_at = -1
        s.agents[j].rest = s.agents[j].burst_from = -1
        s.groups[group].members += 2
        s.n_agents += 1
        return j

    def move_agent(self, i64 now, i64 j, i64 group, i64 order):
        self.begin(now)
        index("agent", j, self.s.n_agents)
        index("group", group, self.s.n_groups)
        within("order", order, 0, ORDER_MAX)
        self.s.now = now
        hide(&self.s, j)
        if self.s.agents[j].home != group:
            memset(self.s.pasts[j].spent, 0, SHARES * sizeof(i64))
            self.s.pasts[j].spent_at = 0
        self.s.groups[self.s.agents[j].home].members -= 1
        self.s.groups[group].members += 1
        self.s.agents[j].home = group
        self.s.agents[j].order = order
        climb(&self.s, j)
        if self.s.looks_back:
            rise(&self.s, j)
        moved(&self.s, j)
        wind_up(&self.s)
        return self.done()

    def set_ladder(self, i64 group, rungs):
        cdef State* s = &self.s
        cdef i32 j, x = 0
        cdef i64 left, lower, most = OPENS_MAX
        cdef bint blind = s.blind
        index("group", group, s.n_groups)
        within("rungs", len(rungs), 0, RUNGS)
        for left, lower in rungs:
            within("time left", left, 1, most)
            index("group", lower, s.n_groups)
            most = left - 1
        for left, lower in rungs:
            s.groups[group].left[x] = <i32> left
            s.groups[group].rungs[x] = <i32> lower
            x += 1
        s.groups[group].n_rungs = x
        s.blind = True  # conditions see all of them in their new groups at once
        for j in range(s.n_agents):
            if s.agents[j].home == group:
                climb(s, j)
                show(s, j)
        s.blind = blind
        if s.n_conditions:
            look(s)

    def oblige(self, i64 now, i64 j, i64 until):
        self.begin(now)
        index("agent", j, self.s.n_agents)
        within("obligation", until, -1, TIME_MAX)
        do_oblige(&self.s, now, j, until)
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

    cdef int read_ties(self, i64 now, object ties, TieTo* numbers) except -1:
        """Check and copy the ties of an enqueue or a transfer; how many."""
        cdef int n = len(ties)
        cdef int x = 0
        within("ties", n, 0, TIES)
        for agent, kind, until in ties:
            index("agent", agent, self.s.n_agents)
            within("kind of tie", kind, 0, ONLY_ANY)
            if until == UNTIL_GONE:
                within("kind of a tie for good", kind, FORBID, FORBID)
            elif until != -1:
                within("end of a tie", until, now + 1, TIME_MAX)
            numbers[x].agent = agent
            numbers[x].kind = kind
            numbers[x].until = until
            x += 1
        if n and len({agent for agent, _, _ in ties}) < n:
            raise MisuseError("the ties of an interaction are to different agents")
        return n

    def enqueue(self, i64 now, classes, i64 tier, i64 since, ties=(), i64 waited=0, i64 due=-1):
        cdef i32 numbers[8]
        cdef TieTo tied[64]
        cdef i32 i
        self.begin(now)
        cdef int n = self.read_classes(classes, numbers, tier, since)
        cdef int m = self.read_ties(now, ties, tied)
        within("waited", waited, 0, TIME_MAX)
        if due >= 0:
            within("due", due, now + 1, TIME_MAX)
        within("due", due, UNTIL_ACTIVATED, TIME_MAX)
        if due == NONE and is_full(&self.s, numbers, n, -1):
            return -R_QUEUE_FULL
        self.s.now = now
        i = do_enqueue(&self.s, numbers, n, tier, since, tied, m, waited, due)
        self.done()
        return i

    cdef int cannot_take(self, i64 j, i32 channel, i64 force) except -1:
        """0, or why an agent cannot be given something."""
        within("force", force, 0, 1)
        if self.s.agents[j].presence == SIGNED_OUT:
            return R_SIGNED_OUT
        return 0 if force or fits(&self.s, j, channel, held_pools(&self.s, j)) else R_NO_ROOM

    def room_for(self, i64 j, i64 channel):
        index("agent", j, self.s.n_agents)
        index("channel", channel, self.s.n_channels)
        return self.cannot_take(j, channel, 0)

    def occupy(self, i64 now, i64 k, i64 j, i64 force):
        cdef i32 numbers[8]
        cdef i32 i
        self.begin(now)
        self.read_classes((k,), numbers, 0, 0)
        index("agent", j, self.s.n_agents)
        cdef int reason = self.cannot_take(j, self.s.classes[k].channel, force)
        if reason:
            return -reason
        self.s.now = now
        i = do_occupy(&self.s, k, j)
        self.done()
        return i

    def assign(self, i64 now, i64 i, i64 j, i64 force):
        cdef i32 o, mine = -1
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_ASSIGN)
        index("agent", j, self.s.n_agents)
        if reason:
            return reason
        cdef i32 channel = self.s.interactions[i].channel
        for o in range(self.s.n_offers if self.s.interactions[i].live else 0):
            if self.s.offers[o].interaction == i and self.s.offers[o].agent == j:
                mine = o
        reason = self.cannot_take(
            j, channel, 1 if mine >= 0 and self.s.channels[channel].flags & RESERVES_OFFERED else force
        )
        if reason:
            return reason
        self.s.now = now
        do_assign(&self.s, i, j, mine)
        return self.done()

    def leave(self, i64 now, i64 i, i64 how=ABANDONED):
        self.begin(now)
        within("how", how, ABANDONED, CANCELLED)
        cdef int reason = self.judge(i, MOVE_LEAVE)
        if reason:
            return reason
        self.s.now = now
        do_leave(&self.s, i, how)
        return self.done()

    def accept(self, i64 now, i64 number):
        self.begin(now)
        cdef i32 o = self.find_offer(number)
        if o < 0:
            return R_OFFER_ENDED
        cdef i32 channel = self.s.interactions[self.s.offers[o].interaction].channel
        cdef i32 j = self.s.offers[o].agent
        if not self.s.channels[channel].flags & RESERVES_OFFERED:
            if not fits(&self.s, j, channel, held_pools(&self.s, j)):
                return R_NO_ROOM
        self.s.now = now
        do_accept(&self.s, o)
        return self.done()

    def decline(self, i64 now, i64 number, i64 cause=C_DECLINED):
        self.begin(now)
        within("cause", cause, 0, C_UNREACHABLE)
        cdef i32 o = self.find_offer(number)
        if o < 0:
            return R_OFFER_ENDED
        self.s.now = now
        unaccepted(&self.s, o, EV_DECLINED, cause)
        wind_up(&self.s)
        return self.done()

    def established(self, i64 now, i64 i):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_CONNECT)
        if not reason and self.s.interactions[i].state == OFFERED:
            reason = R_NOT_ACCEPTING
        if reason:
            return reason
        self.s.now = now
        do_established(&self.s, i)
        return self.done()

    def setup_failed(self, i64 now, i64 i, i64 due=-1):
        self.begin(now)
        if due >= 0:
            within("due", due, now + 1, TIME_MAX)
        cdef int reason = self.judge(i, MOVE_FAIL)
        if reason:
            return reason
        self.s.now = now
        fail(&self.s, i, due)
        wind_up(&self.s)
        return self.done()

    def finish(self, i64 now, i64 i, i64 wrap):
        self.begin(now)
        within("wrap-up", wrap, -1, TIME_MAX)
        cdef int reason = self.judge(i, MOVE_FINISH)
        if reason:
            return reason
        self.s.now = now
        do_finish(&self.s, i, wrap)
        return self.done()

    def release(self, i64 now, i64 i):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_RELEASE)
        if reason:
            return reason
        self.s.now = now
        do_release(&self.s, i)
        return self.done()

    def hold(self, i64 now, i64 i):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_HOLD)
        if reason:
            return reason
        self.s.now = now
        do_hold(&self.s, i)
        return self.done()

    def extend(self, i64 now, i64 by):
        self.begin(now)
        within("by", by, 1, OPENS_MAX)
        cdef State* s = &self.s
        cdef i64 found = 0
        cdef i32 x
        s.now = now
        for x in range(s.n_offers):
            if s.offers[x].interaction >= 0 and s.offers[x].due >= 0:
                s.offers[x].due += by
                arm(s, s.offers[x].due, OFFER_EXPIRY, s.offers[x].seq, x)
                found += 1
        for x in range(s.n_interactions):
            if s.interactions[x].state == ACCEPTING:
                s.interactions[x].clock += by
                arm(s, s.interactions[x].clock, SETUP_END, s.interactions[x].seq, x)
                found += 1
        self.done()
        return found

    def resume(self, i64 now, i64 i):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_RESUME)
        if reason:
            return reason
        self.s.now = now
        do_resume(&self.s, i)
        return self.done()

    def requeue(self, i64 now, i64 i, i64 due=-1):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_REQUEUE)
        if reason:
            return reason
        if due >= 0:
            within("due", due, now + 1, TIME_MAX)
        self.s.now = now
        do_requeue(&self.s, i, due)
        return self.done()

    def transfer(self, i64 now, i64 i, classes, i64 tier, i64 since, ties=()):
        cdef i32 numbers[8]
        cdef TieTo tied[64]
        self.begin(now)
        cdef int n = self.read_classes(classes, numbers, tier, since)
        cdef int m = self.read_ties(now, ties, tied)
        cdef int reason = self.judge(i, MOVE_TRANSFER)
        if reason:
            return reason
        if is_full(&self.s, numbers, n, i):
            return R_QUEUE_FULL
        self.s.now = now
        do_transfer(&self.s, i, numbers, n, tier, since, tied, m)
        return self.done()

    def update(self, i64 now, i64 i, classes, i64 tier, i64 since):
        cdef i32 numbers[8]
        self.begin(now)
        cdef int n = self.read_classes(classes or (0,), numbers, tier, since)
        cdef int reason = self.judge(i, MOVE_UPDATE)
        if reason:
            return reason
        if not classes:
            n = 0
        elif is_full(&self.s, numbers, n, i):
            return R_QUEUE_FULL
        self.s.now = now
        do_update(&self.s, i, numbers, n, tier, since)
        return self.done()

    def park(self, i64 now, i64 i, i64 due):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_PARK)
        if due != -1:
            within("due", due, now + 1, TIME_MAX)
        if reason:
            return reason
        self.s.now = now
        do_park(&self.s, i, due)
        return self.done()

    def call_back(self, i64 now, i64 i, i64 gap):
        self.begin(now)
        within("gap", gap, CUSTOMER_FIRST, OPENS_MAX)
        cdef int reason = self.judge(i, MOVE_UPDATE)
        if reason:
            return reason
        self.s.now = now
        self.s.gaps[i] = gap
        return self.done()

    def activate(self, i64 now, i64 i, i64 anew=0):
        self.begin(now)
        within("anew", anew, 0, 1)
        cdef int reason = self.judge(i, MOVE_ACTIVATE)
        if reason:
            return reason
        self.s.now = now
        if self.s.gaps[i] == CUSTOMER_FIRST:
            self.s.gaps[i] = 0
        if anew:
            self.s.interactions[i].wait_from = self.s.interactions[i].step_from = 0
        activate(&self.s, i)
        wind_up(&self.s)
        return self.done()

    def take_over(self, i64 now, i64 i, i64 c):
        self.begin(now)
        cdef int reason = self.judge(i, MOVE_TAKE_OVER)
        if not reason:
            reason = self.judge(c, MOVE_TAKE_OVER)
        if not reason and self.s.agents[self.s.interactions[c].agent].presence == SIGNED_OUT:
            reason = R_SIGNED_OUT
        if reason:
            return reason
        if i == c or self.s.interactions[i].agent == self.s.interactions[c].agent:
            raise MisuseError("an agent takes over from another one")
        self.s.now = now
        do_take_over(&self.s, i, c)
        return self.done()

    # Plans and time --------------------------------------------------------------------------------------------------

    def set_control(self, i64 q, i64 every):
        index("queue", q, self.s.n_queues)
        within("control interval", every, -1, TIME_MAX)
        self.s.queues[q].control_every = every
        self.s.queues[q].control_due = -1
        disarm(&self.s, &self.s.queues[q].heap_at)

    def set_estimates(self, i64 now, i64 every):
        self.begin(now)
        within("estimates interval", every, -1, TIME_MAX)
        self.s.now = now
        self.s.estimates_every = every
        self.s.estimates_due = -1
        disarm(&self.s, &self.s.estimates_at)
        if anything_waits(&self.s):
            arm_estimates(&self.s)
        return self.done()

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
        s.forgiving = True
        look(s)
        cdef Key key
        cdef list waiting = sorted(
            [(s.interactions[i].seq, i) for i in range(s.n_interactions) if in_queue(&s.interactions[i])]
        )
        waiting = [i for _, i in waiting if not settle(s, i)]
        for i in waiting:
            withdraw_excess(s, i)
            sync(s, i)
        for i in range(s.n_agents):
            go_on(s, i)
        wind_up(s)
        cdef list places = []
        for i in waiting:
            if s.interactions[i].state != GONE:
                key = rank_in_queue(s, i)
                places.append((key.a, key.b, key.c, i))
        for _, _, _, i in sorted(places):
            place(s, i)
            wind_up(s)
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
        cdef i64 moved = self.s.now if it.state == INTERRUPTED or it.state == PARKED else 0
        cdef bint together = it.state == CONNECTED or it.state == ON_HOLD or it.state == INTERRUPTED
        cdef bint ends = it.state == WRAP_UP or it.state == ACCEPTING or it.state == PARKED or it.state == OFFERED
        cdef list found = [
            it.state, it.agent, it.channel, it.wait_from + moved,
            it.clock + moved if together else -1,
            it.clock if ends else -1,
        ]
        while e >= 0:
            found += (self.s.entries[e].class_, self.s.keys[e].a, self.s.keys[e].b)
            e = self.s.entries[e].next
        return tuple(found)

    def in_hand(self, i64 j):
        index("agent", j, self.s.n_agents)
        cdef i32 i
        cdef list found = []
        for i in range(self.s.n_interactions):
            if self.s.interactions[i].agent == j and CONNECTED <= self.s.interactions[i].state <= INTERRUPTED:
                found.append(i)
        return found

    def ties(self, i64 i):
        index("interaction", i, self.s.n_interactions)
        cdef list found = []
        cdef i32 x = self.s.interactions[i].ties if self.s.interactions[i].state != GONE else -1
        while x >= 0:
            found.append((self.s.ties[x].agent, self.s.ties[x].kind, self.s.ties[x].until))
            x = self.s.ties[x].next_of_interaction
        return found

    def agent(self, i64 j):
        index("agent", j, self.s.n_agents)
        cdef Agent* agent = &self.s.agents[j]
        cdef i32 p
        counts = [self.s.counts[j * POOLS + p] for p in range(self.s.n_pools)]
        return (agent.presence, agent.group, agent.used, agent.idle_since, agent.handled, agent.rest, *counts)

    def obligation(self, i64 j):
        index("agent", j, self.s.n_agents)
        return self.s.agents[j].home, self.s.agents[j].until
    def key(self, i64 j, i64 agent_key, i64 queue=-1):
        index("agent", j, self.s.n_agents)
        within("agent key", agent_key, 0, (WEIGHTED_RANDOM if agent_key == WEIGHTED_RANDOM else len(AgentKey)) - 1)
        within("queue", queue, 0 if agent_key >= BEHIND_SHARE else -1, self.s.n_queues - 1)
        return key_of(&self.s, j, agent_key, queue).b

    def queue(self, i64 q):
        index("queue", q, self.s.n_queues)
        cdef Queue* queue = &self.s.queues[q]
        return (queue.length, queue.version, queue.entered, queue.connected, queue.in_target, queue.abandoned)

    def census(self):
        cdef State* s = &self.s
        cdef i32 i, e
        cdef list counts = [0] * s.n_classes, ready = [0] * s.n_groups, several = []
        for i in range(s.n_interactions):
            if s.interactions[i].state != WAITING:
                continue
            e = s.interactions[i].entries
            if s.entries[e].next < 0:
                counts[s.entries[e].class_] += 1
            else:
                several.append(tuple(self.interaction(i)[6::3]))
        for i in range(s.n_agents):
            if s.agents[i].presence == READY:
                ready[s.agents[i].group] += 1
        return counts, several, ready

    def serving(self, i64 k):
        cdef i64 words = self.s.cap_groups >> 6
        cdef i64 w
        cdef object word, found = 0
        index("class", k, self.s.n_classes)
        for w in range(words):
            word = self.s.ever[k * words + w]
            found |= word << 64 * w
        return found

    def pair(self, i64 k, i64 g):
        index("class", k, self.s.n_classes)
        index("group", g, self.s.n_groups)
        cdef OutPair* out = &self.s.out[k * self.s.wide + g]
        cdef InPair* in_ = &self.s.in_[g * self.s.deep + k]
        return out.opens, out.rank, out.cost, in_.rank, in_.cost

    def waiting(self, i64 q, i64 limit):
        cdef State* s = &self.s
        cdef i32 k, e, best
        cdef list found = []
        index("queue", q, s.n_queues)
        cdef list heads = []
        for k in range(s.n_classes):
            if s.classes[k].queue != q:
                continue
            if s.classes[k].root.first >= 0:
                heads.append(s.classes[k].root.first)
            if s.classes[k].bound.first >= 0:
                heads.append(s.classes[k].bound.first)
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
        if not in_queue(&s.interactions[i]) and s.interactions[i].state != PARKED:
            return 0
        e = s.interactions[i].entries
        q = s.classes[s.entries[e].class_].queue
        for k in range(s.n_classes):
            if s.classes[k].queue != q:
                continue
            if s.classes[k].root.root >= 0:
                before += count_before(s.links, s.keys, &s.classes[k].root, &s.keys[e])
            if s.classes[k].bound.root >= 0:
                before += count_before(s.links, s.keys, &s.classes[k].bound, &s.keys[e])
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
        cdef i64 cell = <i64> s.entries[e].class_ * s.wide + s.agents[j].group
        cdef i32 opens = s.out[cell].opens
        cdef i32 x = s.interactions[i].ties
        cdef bint anyhow = False, wished = False
        if s.agents[j].presence != READY:
            return C_NOT_READY
        if s.agents[j].rest >= 0:
            return C_RESTING
        if not (s.agents[j].room >> class_.channel) & 1:
            return C_NO_ROOM
        if is_bound(s, &s.interactions[i]) and not is_only(s, &s.interactions[i], j):
            return C_RESERVED
        while x >= 0:
            if s.ties[x].agent == j and s.ties[x].kind != FORBID:
                wished = True
                anyhow = s.ties[x].kind == PREFER_ANY or s.ties[x].kind == ONLY_ANY
                break
            x = s.ties[x].next_of_interaction
        if not anyhow:
            if opens == NEVER:
                return C_NOT_ALLOWED
            if s.conditional[cell] and not s.conditions[s.conditional[cell] - 1].holds:
                return C_CONDITION
            if not is_open(s, s.keys[e].b, opens):
                return C_NOT_YET_OPEN
        if excluded(s, &s.interactions[i], j):
            return C_EXCLUDED
        if already_offered(s, i, j):
            return C_ALREADY_OFFERED
        if offers_full(s, &s.interactions[i]):
            return C_OFFERS_FULL
        if not wished and in_window(s, e):
            return C_IN_WINDOW
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
        cdef i64 pairs = <i64> s.deep * s.wide
        cdef i64 bits = <i64> s.cap_classes * s.cap_groups
        return {
            "interactions": s.cap_interactions * (sizeof(Interaction) + sizeof(i32))
            + s.cap_entries * (sizeof(Entry) + sizeof(Link) + sizeof(Key)),
            "deadlines": s.cap_heap * sizeof(Deadline),
            "offers": s.cap_offers * sizeof(Offer) + s.cap_ties * sizeof(Tie),
            "agents": s.cap_agents * (
                sizeof(Agent) + sizeof(Past) + POOLS * sizeof(i32) + s.n_lanes * (sizeof(Link) + sizeof(Key))
                + s.n_watched * sizeof(Here)
            ),
            "tables": pairs * (sizeof(OutPair) + sizeof(InPair) + sizeof(i32)) + 3 * bits // 8
            + s.deep * sizeof(Class) + s.wide * sizeof(Group),
        }

    # Whole state -----------------------------------------------------------------------------------------------------

    def fork(self):
        """A copy that lives on by itself. O(state): block copies, except of tables, which both read until one writes."""
        return fork_of(self)

    def dump(self):
        return dump_of(self)

    @classmethod
    def load(cls, data):
        return load_of(data)

    def check(self):
        """Every invariant that does not hold, by name. O(agents * classes + state)."""
        return check_of(self)


include "fork.pxi"
include "state.pxi"
include "driver.pxi"
