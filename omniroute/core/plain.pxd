"""The two commands of most rows in the columns, written out for a plain world: the same moves, without the questions.

A world is plain where agents take the best offer at once, nobody is told anything, and none of these is in use: gauges,
conditions, interruptions, steps, bursts, obligations, control intervals, estimates, decision windows, agent keys that
look back or draw lots, shares. Then an arrival that finds somebody, and a conversation that ends without wrap-up, are a
few dozen writes. Everything else goes the general way. What they leave behind is the same to the last number, sequence
numbers and free numbers included.
"""

from omniroute.core.engine cimport serve
from omniroute.core.hands cimport hold, into_hand, out_of_hand, restart_idle
from omniroute.core.layout cimport *
from omniroute.core.places cimport free_interaction, free_offer, new_entry, new_offer
from omniroute.core.selection cimport Choice, choose, has_choice, rooms, show
from omniroute.core.turns cimport begin_interaction, do_enqueue, do_finish


cdef inline bint is_plain(State* s) noexcept nogil:
    """Whether the world is plain; no row of the columns changes that. O(groups + queues)."""
    cdef i32 x
    if not (s.auto_accept and s.quiet) or s.n_gauges or s.n_conditions or s.interrupting or s.stepping:
        return False
    if s.estimates_every > 0 or s.n_windows or s.looks_back or s.drawing or s.sharing:
        return False
    for x in range(s.n_groups):
        if s.groups[x].burst or s.groups[x].n_rungs:
            return False
    for x in range(s.n_queues):
        if s.queues[x].control_every > 0:
            return False
    return True


cdef inline void begin_at_once(State* s, i32 i, i32 e, i32 k, i32 j) noexcept nogil:
    """Connect a new interaction through its one entry; ``show`` of the agent follows."""
    cdef Interaction* it = &s.interactions[i]
    cdef Agent* agent = &s.agents[j]
    cdef Queue* queue = &s.queues[s.classes[k].queue]
    cdef i32 o
    queue.entered += 1
    queue.connected += 1
    queue.in_target += queue.target >= 0
    if s.free_offer < 0:  # an offer takes a number for a moment
        o = new_offer(s)
        if o < 0:
            return
        free_offer(s, o)
    agent.offered = next_seq(s)
    agent.misses[0] = agent.misses[1] = agent.misses[2] = agent.misses[3] = 0
    agent.handled += 1
    hold(s, j, it.channel, +1)
    it.state = CONNECTED
    it.clock = s.now
    into_hand(s, i, j)
    restart_idle(s, j)
    if grow(s, <void**> &s.connected, &s.cap_connected, s.n_connected + 1, sizeof(i32)):
        s.connected[s.n_connected] = i
        s.n_connected += 1


cdef inline i32 plain_enqueue(State* s, i32 k, i64 tier, i64 since) noexcept nogil:
    """``do_enqueue`` of an interaction with one entry and no ties, in a plain world."""
    cdef Choice found
    cdef i32 i, e
    found.agent = -1
    choose(s, NULL, -1, k, since, 0, &found)
    if found.agent < 0:
        return do_enqueue(s, &k, 1, tier, since, NULL, 0, 0, NONE)
    i = begin_interaction(s, 0)
    e = new_entry(s)
    if i < 0 or e < 0:
        return -1
    s.entries[e].class_ = k
    s.entries[e].interaction = i
    s.entries[e].next = -1
    s.keys[e].a = tier
    s.keys[e].b = since
    s.keys[e].c = next_seq(s)
    s.interactions[i].entries = e
    s.interactions[i].channel = s.classes[k].channel
    begin_at_once(s, i, e, k, found.agent)
    show(s, found.agent)
    return i


cdef inline void plain_finish(State* s, i32 i, i64 wrap) noexcept nogil:
    """``do_finish`` of a conversation, in a plain world."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = it.agent
    cdef i32 e = it.entries
    cdef Agent* agent = &s.agents[j]
    cdef i64 stamp
    if (wrap or agent.presence != READY or agent.rest >= 0 or it.state != CONNECTED
            or s.entries[e].next >= 0 or it.ties >= 0
            or not s.channels[it.channel].flags & RESERVES_WRAP_UP):
        do_finish(s, i, wrap)
        return
    out_of_hand(s, i)
    it.clock = s.now
    s.entries[e].next = s.free_entry
    s.free_entry = e
    free_interaction(s, i)
    hold(s, j, it.channel, -1)
    restart_idle(s, j)
    stamp = agent.stamp
    if has_choice(s, j):
        agent.room = rooms(s, j, &agent.band)
        serve(s, j)
    if agent.stamp == stamp:  # he got nothing: now he stands in his lanes
        show(s, j)
