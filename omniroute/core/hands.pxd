"""What agents have in hand, and who is to be asked before a command ends."""

from libc.stdlib cimport qsort

from omniroute.core.deadlines cimport arm, disarm
from omniroute.core.layout cimport *
from omniroute.core.order cimport less
from omniroute.core.places cimport sync
from omniroute.core.selection cimport held_pools, hide, omni_ctz, show


# Work lists -----------------------------------------------------------------------------------------------------------


cdef inline void remember(State* s, i32 j) noexcept nogil:
    """Ask for an agent before the command ends."""
    if grow(s, <void**> &s.work, &s.cap_work, s.n_work + 1, sizeof(i32)):
        s.work[s.n_work] = j
        s.n_work += 1


cdef inline void enter_group(State* s, i32 j, i32 group) noexcept nogil:
    """Take an agent out of his group's lanes and counts into those of another one; ``show`` follows."""
    cdef Agent* agent = &s.agents[j]
    cdef bint staffed = agent.presence != SIGNED_OUT
    hide(s, j)
    s.groups[agent.group].members -= 1
    s.groups[agent.group].staffed -= staffed
    agent.group = group
    s.groups[group].members += 1
    s.groups[group].staffed += staffed


cdef inline void climb(State* s, i32 j) noexcept nogil:
    """Put an agent into the group of the time that he has left, and arm the next edge; ``show`` follows. O(rungs)."""
    cdef Agent* agent = &s.agents[j]
    cdef Group* home = &s.groups[agent.home]
    cdef i32 x, group = agent.home
    disarm(s, &agent.edge_at)
    for x in range(home.n_rungs if agent.until >= 0 else 0):
        if agent.until - home.left[x] > s.now:
            arm(s, agent.until - home.left[x], EDGE, j, j)
            break
        group = home.rungs[x]
    if group != agent.group:
        enter_group(s, j, group)


cdef inline void went(State* s, i32 j) noexcept nogil:
    """An agent has signed out: he has no obligation, nothing is kept for him, and others may have declined already."""
    s.agents[j].until = -1
    climb(s, j)
    if grow(s, <void**> &s.left, &s.cap_left, s.n_left + 1, sizeof(i32)):
        s.left[s.n_left] = j
        s.n_left += 1
    s.forgiving = True


cdef inline void place_later(State* s, i32 i) noexcept nogil:
    """Ask for an interaction before the command ends, when nobody before it has still to be asked for."""
    cdef i32 x
    sync(s, i)
    for x in range(s.n_late):
        if s.late[x] == i:
            return
    if grow(s, <void**> &s.late, &s.cap_late, s.n_late + 1, sizeof(i32)):
        s.late[s.n_late] = i
        s.n_late += 1


cdef inline Key rank_in_queue(State* s, i32 i) noexcept nogil:
    """The first place that an interaction has in a class; what is gone needs none."""
    cdef Key best
    cdef i32 e
    best.a = best.b = best.c = -1
    if s.interactions[i].state == GONE:
        return best
    e = s.interactions[i].entries
    best = s.keys[e]
    while e >= 0:
        if less(&s.keys[e], &best):
            best = s.keys[e]
        e = s.entries[e].next
    return best


cdef inline i32 first_of_late(State* s) noexcept nogil:
    """Take the interaction that is to be asked for next. O(interactions that are)."""
    cdef i32 x, found, at = 0
    cdef Key best = rank_in_queue(s, s.late[0])
    cdef Key other
    for x in range(1, s.n_late):
        other = rank_in_queue(s, s.late[x])
        if less(&other, &best):
            at = x
            best = other
    found = s.late[at]
    s.n_late -= 1
    for x in range(at, s.n_late):
        s.late[x] = s.late[x + 1]
    return found


cdef inline void take_turn(State* s, i64 order, i64 number) noexcept nogil:
    """Append to the turns, which are sorted afterwards."""
    if grow(s, <void**> &s.turns, &s.cap_turns, s.n_turns + 1, sizeof(Turn)):
        s.turns[s.n_turns].order = order
        s.turns[s.n_turns].number = number
        s.n_turns += 1


cdef inline int by_turn(const void* p, const void* q) noexcept nogil:
    cdef const Turn* a = <const Turn*> p
    cdef const Turn* b = <const Turn*> q
    if a.order != b.order:
        return 1 if a.order > b.order else -1
    return (a.number > b.number) - (a.number < b.number)


cdef inline void sort_turns(State* s) noexcept nogil:
    """Put the turns in order, each number once. O(n log n)."""
    cdef i32 x, kept = 0
    qsort(s.turns, s.n_turns, sizeof(Turn), by_turn)
    for x in range(s.n_turns):
        if x == 0 or s.turns[x].number != s.turns[x - 1].number:
            s.turns[kept] = s.turns[x]
            kept += 1
    s.n_turns = kept


cdef inline i64 real_wait(State* s, Interaction* it) noexcept nogil:
    """What the customer has lived through; where its clocks stand still, they hold it."""
    if it.state == INTERRUPTED or it.state == PARKED:
        return -it.wait_from
    return s.now - it.wait_from


# Capacity -------------------------------------------------------------------------------------------------------------


cdef inline void hold(State* s, i32 j, i32 channel, i32 sign) noexcept nogil:
    """Take (+1) or give back (-1) the capacity of one interaction of a channel; ``show`` follows."""
    cdef uint32_t bits = s.channels[channel].pools
    cdef i32* count
    s.agents[j].used += sign * s.channels[channel].load
    if sign > 0:
        s.agents[j].pools |= bits
    while bits:
        count = &s.counts[j * POOLS + omni_ctz(bits)]
        count[0] += sign
        if count[0] == 0:
            s.agents[j].pools &= ~(bits & (~bits + 1))
        bits &= bits - 1


cdef inline bint takes(State* s, Interaction* it) noexcept nogil:
    """Whether what an agent has in hand takes his capacity in the state that it is in."""
    if it.state == WRAP_UP:
        return s.channels[it.channel].flags & RESERVES_WRAP_UP != 0
    if it.state == ON_HOLD:
        return s.channels[it.channel].flags & RESERVES_HOLD != 0
    return it.state == CONNECTED or it.state == ACCEPTING or it.state == INTERRUPTED


cdef inline void restart_idle(State* s, i32 j) noexcept nogil:
    s.agents[j].idle_since = s.now
    s.agents[j].stamp = next_seq(s)


cdef inline void into_hand(State* s, i32 i, i32 j) noexcept nogil:
    """The interaction is in the agent's hands: it joins the list of what he has."""
    cdef Interaction* it = &s.interactions[i]
    cdef Agent* agent = &s.agents[j]
    it.agent = j
    it.previous = -1
    it.offers = agent.hand
    if agent.hand >= 0:
        s.interactions[agent.hand].previous = i
    agent.hand = i
    agent.held += 1
    if s.channels[it.channel].flags & KEPT:
        agent.kept += 1


cdef inline void out_of_hand(State* s, i32 i) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    cdef Agent* agent = &s.agents[it.agent]
    if it.previous >= 0:
        s.interactions[it.previous].offers = it.offers
    else:
        agent.hand = it.offers
    if it.offers >= 0:
        s.interactions[it.offers].previous = it.previous
    agent.held -= 1
    if s.channels[it.channel].flags & KEPT:
        agent.kept -= 1
    it.offers = it.previous = it.agent = -1


cdef inline void wake(State* s, i32 i) noexcept nogil:
    """Let clocks go on that stood still."""
    cdef Interaction* it = &s.interactions[i]
    if it.state == INTERRUPTED:
        it.clock += s.now
        s.agents[it.agent].interrupted -= 1
    elif it.state != PARKED:
        return
    it.wait_from += s.now
    it.step_from += s.now


cdef inline i32 next_in_hand(State* s, i32 j, i64 seq) noexcept nogil:
    """What an agent has in hand that is next in age after a sequence number; -1: none. O(what he has in hand)."""
    cdef i32 i = s.agents[j].hand
    cdef i32 best = -1
    while i >= 0:
        if s.interactions[i].seq > seq and (best < 0 or s.interactions[i].seq < s.interactions[best].seq):
            best = i
        i = s.interactions[i].offers
    return best


cdef inline void interrupt(State* s, i32 i) noexcept nogil:
    """What gives way to an interaction that has just been connected is interrupted, the oldest first."""
    cdef i32 j = s.interactions[i].agent
    cdef uint32_t giving_way
    cdef Interaction* other
    cdef i32 x
    if not s.interrupting:
        return
    giving_way = s.groups[s.agents[j].group].interrupts[s.interactions[i].channel] & held_pools(s, j)
    x = next_in_hand(s, j, -1) if giving_way else -1
    while x >= 0:
        other = &s.interactions[x]
        if x != i and other.state == CONNECTED and (giving_way >> s.channels[other.channel].base) & 1:
            tell(s, EV_INTERRUPTED, x, j, i, -1)
            other.state = INTERRUPTED
            other.clock -= s.now
            other.wait_from -= s.now
            other.step_from -= s.now
            s.agents[j].interrupted += 1
        x = next_in_hand(s, j, other.seq)


cdef inline bint kept_down(State* s, i32 i) noexcept nogil:
    """Whether something else that the agent has in hand makes this give way."""
    cdef i32 j = s.interactions[i].agent
    cdef i32 base = s.channels[s.interactions[i].channel].base
    cdef i32 x = s.agents[j].hand
    while x >= 0:
        if x != i and takes(s, &s.interactions[x]):
            if (s.groups[s.agents[j].group].interrupts[s.interactions[x].channel] >> base) & 1:
                return True
        x = s.interactions[x].offers
    return False


cdef inline void go_on(State* s, i32 j) noexcept nogil:
    """What is interrupted goes on where nothing that the agent has in hand makes it give way any more."""
    cdef i32 x
    if s.agents[j].interrupted == 0:
        return
    x = next_in_hand(s, j, -1)
    while x >= 0:
        if s.interactions[x].state == INTERRUPTED and not kept_down(s, x):
            wake(s, x)
            s.interactions[x].state = CONNECTED
            tell(s, EV_RESUMED, x, j, -1, -1)
        x = next_in_hand(s, j, s.interactions[x].seq)


cdef inline void change_hold(State* s, i32 i, bint took) noexcept nogil:
    """Take or give back capacity as the new state says; whoever gets room is asked for."""
    cdef Interaction* it = &s.interactions[i]
    cdef bint now_takes = takes(s, it)
    if now_takes == took:
        return
    hold(s, it.agent, it.channel, 1 if now_takes else -1)
    show(s, it.agent)
    if took:
        go_on(s, it.agent)
        remember(s, it.agent)
