"""The turns of an interaction: what each command and each deadline does. Everything here has been judged already."""

from omniroute.core.closing cimport close_those_of, close_window
from omniroute.core.deadlines cimport arm, disarm
from omniroute.core.engine cimport *
from omniroute.core.hands cimport *
from omniroute.core.keys cimport ended, has_taken, omni_rare
from omniroute.core.layout cimport *
from omniroute.core.places cimport (
    FORGIVE_MS,
    arm_control,
    arm_estimates,
    count_entries,
    count_in,
    drop_entries,
    drop_tie,
    exclude,
    forgo_step,
    leave_tree,
    new_entry,
    new_interaction,
    part,
    part_for_now,
    sync,
    tie,
)
from omniroute.core.selection cimport in_queue, show

cdef struct TieTo:  # what an enqueue or a transfer asks for
    i32 agent
    i32 kind
    i64 until


# Arriving -------------------------------------------------------------------------------------------------------------


cdef inline void enter(State* s, i32 i, const i32* classes, i32 n, i64 tier, i64 since) noexcept nogil:
    """Write the entries, count them in where it waits, and count the arrival once in each queue, least number first."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 x, e, q, behind = -1
    it.entries = -1
    it.channel = s.classes[classes[0]].channel
    for x in range(n):
        e = new_entry(s)
        if e < 0:
            return
        s.entries[e].class_ = classes[x]
        s.entries[e].interaction = i
        s.entries[e].next = -1
        s.keys[e].a = tier
        s.keys[e].b = since
        s.keys[e].c = next_seq(s)
        if behind < 0:
            it.entries = e
        else:
            s.entries[behind].next = e
        behind = e
    q = s.classes[classes[0]].queue if n == 1 else next_queue(s, it, -1)
    while q >= 0:
        s.queues[q].entered += 1
        arm_control(s, q)
        q = -1 if n == 1 else next_queue(s, it, q)
    arm_estimates(s)
    if in_queue(it):
        count_in(s, it, +1)


cdef inline void bind(State* s, i32 i, const TieTo* ties, i32 n) noexcept nogil:
    """Tie an interaction to agents, but not to one who has signed out; what tied it to them before ends."""
    cdef i32 x
    for x in range(n):
        if ties[x].kind == FORBID or s.agents[ties[x].agent].presence != SIGNED_OUT:
            part(s, i, ties[x].agent, FORBID)
            tie(s, i, ties[x].agent, ties[x].kind, ties[x].until, next_seq(s))


cdef inline i32 begin_interaction(State* s, i64 waited) noexcept nogil:
    """A new interaction without entries; -1 where memory ran out."""
    cdef i64 seq = next_seq(s)
    cdef i32 i = new_interaction(s)
    cdef Interaction* it
    if i < 0:
        return -1
    it = &s.interactions[i]
    it.seq = seq
    it.wait_from = it.step_from = s.now - waited
    it.clock = -1
    it.agent = it.offers = it.previous = it.ties = it.heap_at = -1
    it.live = 0
    it.tied = 0
    it.state = WAITING
    return i


cdef inline i32 do_enqueue(
    State* s, const i32* classes, i32 n, i64 tier, i64 since, const TieTo* ties, i32 n_ties, i64 waited, i64 due
) noexcept nogil:
    cdef i32 i = begin_interaction(s, waited)
    cdef Interaction* it
    if i < 0:
        return -1
    it = &s.interactions[i]
    if due != NONE:
        it.state = PARKED
        it.clock = due if due >= 0 else NONE
        it.wait_from = it.step_from = -waited
    enter(s, i, classes, n, tier, since)
    bind(s, i, ties, n_ties)
    if s.failed:
        return -1
    if due != NONE:
        if due >= 0:
            arm(s, due, ACTIVATION, it.seq, i)
        tell(s, EV_PARKED, i, -1, s.classes[classes[0]].queue, it.clock)
    else:
        tell(s, EV_QUEUED, i, -1, s.classes[classes[0]].queue, tier)
        arrive(s, i)
    wind_up(s)
    return i


cdef inline i32 do_occupy(State* s, i32 k, i32 j) noexcept nogil:
    """A new interaction that was not routed, in an agent's hands at once."""
    cdef i32 i = begin_interaction(s, 0)
    cdef i32 e = new_entry(s)
    cdef Interaction* it
    if i < 0 or e < 0:
        return -1
    it = &s.interactions[i]
    it.channel = s.classes[k].channel
    s.entries[e].class_ = k
    s.entries[e].interaction = i
    s.entries[e].next = -1
    s.keys[e].a = 0
    s.keys[e].b = s.now
    s.keys[e].c = next_seq(s)
    it.entries = e
    hold(s, j, it.channel, +1)
    take_up(s, i, j, CONNECTED)
    together(s, i, -1, False)
    wind_up(s)
    return i


cdef inline void do_assign(State* s, i32 i, i32 j, i32 o) noexcept nogil:
    """Give an interaction to an agent; ``o`` is the offer of it that he has, or -1."""
    cdef Interaction* it = &s.interactions[i]
    if o >= 0:
        accept_offer(s, o, 0)
    else:
        withdraw(s, i, -1)
        if in_queue(it):
            it.state = CONNECTED
            count_out(s, i)
        wake(s, i)
        disarm(s, &it.heap_at)
        hold(s, j, it.channel, +1)
        take_up(s, i, j, CONNECTED)
        together(s, i, -1, True)
    wind_up(s)


# Answers --------------------------------------------------------------------------------------------------------------


cdef inline void do_accept(State* s, i32 o) noexcept nogil:
    accept_offer(s, o, setup_of(s, s.offers[o].entry))
    wind_up(s)


cdef inline void do_established(State* s, i32 i) noexcept nogil:
    cdef i32 j = s.interactions[i].agent
    disarm(s, &s.interactions[i].heap_at)
    s.interactions[i].state = CONNECTED
    count_handled(s, i, j)
    show(s, j)
    together(s, i, -1, True)
    wind_up(s)


cdef inline void still(State* s, i32 i, i64 due) noexcept nogil:
    """Park an interaction: its clocks stand still until it is activated."""
    cdef Interaction* it = &s.interactions[i]
    it.state = PARKED
    it.wait_from -= s.now
    it.step_from -= s.now
    it.clock = due
    if due >= 0:
        arm(s, due, ACTIVATION, it.seq, i)
    tell(s, EV_PARKED, i, -1, s.classes[s.entries[it.entries].class_].queue, due)


cdef inline void fail(State* s, i32 i, i64 due) noexcept nogil:
    """The set-up has failed, which is not the agent's fault: back to its place, and others first for a moment."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = it.agent
    cdef i64 last = <i64> 1 << 42  # limits.TIME_MAX
    if due < 0 and s.gaps[i] > 0 and s.now < last:
        due = s.now + s.gaps[i] if s.gaps[i] < last - s.now else last
    out_of_hand(s, i)
    disarm(s, &it.heap_at)
    it.clock = -1
    it.state = WAITING
    tell(s, EV_SETUP_FAILED, i, j, s.classes[s.entries[it.entries].class_].queue, s.now - it.wait_from)
    tie(s, i, j, FORBID, s.now + FORGIVE_MS, next_seq(s))
    if due >= 0:
        still(s, i, due)
    let_go(s, j, it.channel, True)
    if due < 0:
        count_in(s, it, +1)
        back(s, i)
    remember(s, j)


cdef inline i64 cause_of_presence(i32 cause) noexcept nogil:
    """The presence reason of a cause: no answer is older than the others."""
    return NO_ANSWER if cause == C_NO_ANSWER else cause + 2


cdef inline void unaccepted(State* s, i32 o, i64 event, i32 cause) noexcept nogil:
    """Redirection on no answer: after so many of a cause in a row the agent turns not ready, before that he rests."""
    cdef i32 i = s.offers[o].interaction
    cdef i32 j = s.offers[o].agent
    cdef i32 q = s.classes[s.entries[s.offers[o].entry].class_].queue
    cdef Agent* agent = &s.agents[j]
    cdef i64 after = s.queues[q].rona[2 * cause]
    cdef i64 rest = s.queues[q].rona[2 * cause + 1]
    cdef bint turns
    cdef i32 doubled
    end_offer(s, o, event, cause)
    part(s, i, j, PREFER)
    agent.misses[cause] += 1
    turns = after > 0 and agent.misses[cause] >= after
    if event == EV_DECLINED or not turns:
        exclude(s, i, j, q)
    if turns:
        change_presence(s, j, NOT_READY, cause_of_presence(cause), i)
        return
    if rest:
        doubled = agent.misses[cause] - 1
        let_rest(s, j, cause, s.now + (rest << (doubled if doubled < BACK_OFF else BACK_OFF)))
        show(s, j)
    back(s, i)
    serve(s, j)


# Leaving --------------------------------------------------------------------------------------------------------------


cdef inline void wrap_up(State* s, i32 i, i64 length) noexcept nogil:
    """The conversation is over; wrap-up begins (-1: until released)."""
    cdef Interaction* it = &s.interactions[i]
    cdef bint took = takes(s, it)
    cdef i64 handled
    wake(s, i)
    handled = s.now - it.clock
    if omni_rare(s.looks_back or s.sharing):
        ended(s, it.agent, s.classes[s.entries[it.entries].class_].queue, handled)
        show(s, it.agent)
    it.state = WRAP_UP
    it.clock = -1 if length < 0 else s.now + length
    tell(s, EV_FINISHED, i, it.agent, handled, it.clock)
    if length > 0:
        arm(s, it.clock, WRAP_UP_END, it.seq, i)
    change_hold(s, i, took)


cdef inline void release(State* s, i32 i) noexcept nogil:
    cdef i32 j = s.interactions[i].agent
    cdef i32 channel = s.interactions[i].channel
    cdef bint took = takes(s, &s.interactions[i])
    tell(s, EV_RELEASED, i, j, -1, -1)
    out_of_hand(s, i)
    gone(s, i)
    let_go(s, j, channel, took)
    remember(s, j)


cdef inline void do_finish(State* s, i32 i, i64 wrap) noexcept nogil:
    wrap_up(s, i, wrap)
    if wrap == 0:
        release(s, i)
    wind_up(s)


cdef inline void do_release(State* s, i32 i) noexcept nogil:
    if s.interactions[i].state != WRAP_UP:
        wrap_up(s, i, 0)
    release(s, i)
    wind_up(s)


cdef inline void do_leave(State* s, i32 i, i32 how) noexcept nogil:
    leave_queue(s, i, how)
    wind_up(s)


# Turns ----------------------------------------------------------------------------------------------------------------


cdef inline void do_hold(State* s, i32 i) noexcept nogil:
    cdef bint took = takes(s, &s.interactions[i])
    s.interactions[i].state = ON_HOLD
    tell(s, EV_HELD, i, s.interactions[i].agent, -1, -1)
    change_hold(s, i, took)
    wind_up(s)


cdef inline void do_resume(State* s, i32 i) noexcept nogil:
    cdef bint took = takes(s, &s.interactions[i])
    s.interactions[i].state = CONNECTED
    tell(s, EV_RESUMED, i, s.interactions[i].agent, -1, -1)
    change_hold(s, i, took)
    interrupt(s, i)
    wind_up(s)


cdef inline void do_requeue(State* s, i32 i, i64 due) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = it.agent
    cdef i32 q = s.classes[s.entries[it.entries].class_].queue
    cdef bint took = takes(s, it)
    cdef i64 away
    wake(s, i)
    away = s.now - it.clock
    if omni_rare(s.looks_back or s.sharing):
        ended(s, j, q, away)
    it.wait_from += away
    it.step_from += away
    it.state = WAITING
    it.clock = -1
    tell(s, EV_REQUEUED, i, j, q, s.now - it.wait_from)
    out_of_hand(s, i)
    if due >= 0:
        still(s, i, due)
    else:
        count_in(s, it, +1)
    exclude(s, i, j, q)
    let_go(s, j, it.channel, took)
    if due < 0:
        back(s, i)
    remember(s, j)
    wind_up(s)


cdef inline void do_transfer(
    State* s, i32 i, const i32* classes, i32 n, i64 tier, i64 since, const TieTo* ties, i32 n_ties
) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = it.agent
    cdef i32 q, channel = it.channel
    cdef bint took = takes(s, it)
    withdraw(s, i, -1)
    wake(s, i)
    if j >= 0:
        it.wait_from += s.now - it.clock
        if omni_rare(s.looks_back or s.sharing):
            ended(s, j, s.classes[s.entries[it.entries].class_].queue, s.now - it.clock)
        out_of_hand(s, i)
    elif in_queue(it):
        count_entries(s, it, -1)
    disarm(s, &it.heap_at)
    drop_entries(s, i)
    part_for_now(s, i)
    it.state = WAITING
    it.clock = -1
    it.step_from = s.now
    enter(s, i, classes, n, tier, since)
    bind(s, i, ties, n_ties)
    if s.failed:
        return
    q = s.classes[classes[0]].queue
    tell(s, EV_TRANSFERRED, i, j, q, s.now - it.wait_from)
    if j >= 0:
        exclude(s, i, j, q)
        let_go(s, j, channel, took)
        remember(s, j)
    arrive(s, i)
    wind_up(s)


cdef inline void do_update(State* s, i32 i, const i32* classes, i32 n, i64 tier, i64 since) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    cdef i32 e
    if n:
        withdraw(s, i, -1)
        if in_queue(it):
            count_entries(s, it, -1)
        drop_entries(s, i)
        enter(s, i, classes, n, tier, since)
        if s.failed:
            return
    else:
        e = it.entries
        while e >= 0:
            leave_tree(s, e)
            s.keys[e].a = tier
            s.keys[e].b = since
            e = s.entries[e].next
    tell(s, EV_UPDATED, i, -1, s.classes[s.entries[it.entries].class_].queue, tier)
    if it.state != PARKED:
        if n:
            arrive(s, i)
        else:
            place(s, i)
    wind_up(s)


cdef inline void do_park(State* s, i32 i, i64 due) noexcept nogil:
    withdraw(s, i, -1)
    count_out(s, i)
    still(s, i, due)
    arm_estimates(s)
    sync(s, i)
    wind_up(s)


cdef inline void awaken(State* s, i32 i) noexcept nogil:
    """The time of what is parked is over; where its customer is called first it goes on being parked, and says so."""
    cdef Interaction* it = &s.interactions[i]
    if s.gaps[i] != CUSTOMER_FIRST:
        activate(s, i)
        return
    disarm(s, &it.heap_at)
    it.clock = -1
    tell(s, EV_PARKED, i, -1, s.classes[s.entries[it.entries].class_].queue, -1)


cdef inline void activate(State* s, i32 i) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    disarm(s, &it.heap_at)
    wake(s, i)
    it.state = WAITING
    it.clock = -1
    tell(s, EV_QUEUED, i, -1, s.classes[s.entries[it.entries].class_].queue, s.keys[it.entries].a)
    arm_estimates(s)
    count_in(s, it, +1)
    arrive(s, i)


cdef inline void do_take_over(State* s, i32 i, i32 c) noexcept nogil:
    """The agent of a consultation takes the interaction; the consultation is over, its first agent free."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 a = it.agent
    cdef i32 b = s.interactions[c].agent
    cdef bint took = takes(s, it)
    wake(s, i)
    out_of_hand(s, i)
    it.state = CONNECTED
    into_hand(s, i, b)
    hold(s, b, it.channel, +1)
    tell(s, EV_TAKEN_OVER, i, b, a, -1)
    restart_idle(s, b)
    if omni_rare(s.looks_back or s.sharing):
        ended(s, a, s.classes[s.entries[it.entries].class_].queue, 0)
    if omni_rare(s.looks_back):
        has_taken(s, b)
        spare(s, b)
    show(s, b)
    wrap_up(s, c, 0)
    release(s, c)
    let_go(s, a, it.channel, took)
    interrupt(s, i)
    remember(s, a)
    wind_up(s)


# Deadlines ------------------------------------------------------------------------------------------------------------


cdef inline void step_due(State* s, i32 e) noexcept nogil:
    cdef i32 i = s.entries[e].interaction
    cdef Class* class_ = &s.classes[s.entries[e].class_]
    if class_.step_when < 0 or s.conditions[class_.step_when].holds:
        if s.n_windows and close_those_of(s, i):
            return  # what the windows held comes first
        disarm(s, &s.entries[e].heap_at)
        step(s, i)
    else:
        forgo_step(s, e)


cdef inline bint anything_waits(State* s) noexcept nogil:
    """Whether anything waits or is parked. O(interactions) at worst."""
    cdef i32 i
    for i in range(s.n_interactions):
        if in_queue(&s.interactions[i]) or s.interactions[i].state == PARKED:
            return True
    return False


cdef inline void estimates(State* s) noexcept nogil:
    """Estimates are due; again later while anything waits or is parked."""
    disarm(s, &s.estimates_at)
    s.estimates_due = -1
    tell(s, EV_ESTIMATES_DUE, -1, -1, -1, -1)
    if anything_waits(s):
        arm_estimates(s)


cdef inline void moved(State* s, i32 j) noexcept nogil:
    """An agent may be in another group, and asks again."""
    s.forgiving = True
    show(s, j)
    go_on(s, j)
    serve(s, j)


cdef inline void do_oblige(State* s, i64 now, i32 j, i64 until) noexcept nogil:
    """Tell an agent's obligation."""
    s.now = now
    s.agents[j].until = until
    climb(s, j)
    moved(s, j)
    wind_up(s)


cdef inline void fire(State* s) noexcept nogil:
    """Fire the soonest deadline, at its own time."""
    cdef Deadline item = s.heap[0]
    cdef i32 i
    if item.due > s.now:
        s.now = item.due
    if item.kind == WRAP_UP_END:
        release(s, item.what)
    elif item.kind == SETUP_END:
        fail(s, item.what, NONE)
    elif item.kind == OFFER_EXPIRY:
        unaccepted(s, item.what, EV_EXPIRED, C_NO_ANSWER)
    elif item.kind == TIE_END:
        i = s.ties[item.what].interaction
        drop_tie(s, item.what)
        place(s, i)
    elif item.kind == REST_END:
        disarm(s, &s.agents[item.what].heap_at)
        s.agents[item.what].rest = -1
        spare(s, item.what)
        show(s, item.what)
        serve(s, item.what)
    elif item.kind == EDGE:
        climb(s, item.what)
        moved(s, item.what)
    elif item.kind == ACTIVATION:
        awaken(s, item.what)
    elif item.kind == FURTHER_OFFER:
        hurry(s, item.what)
        place(s, item.what)
    elif item.kind == WINDOW:
        close_window(s, item.what)
    elif item.kind == STEP:
        step_due(s, item.what)
    elif item.kind == OPENING:
        i = s.entries[item.what].interaction
        disarm(s, &s.entries[item.what].heap_at)
        place(s, i)
    elif item.kind == CONTROL:
        disarm(s, &s.queues[item.what].heap_at)
        s.queues[item.what].control_due = -1
        tell(s, EV_REVISION_DUE, -1, -1, item.what, s.queues[item.what].version)
    else:
        estimates(s)
    wind_up(s)


cdef inline void advance(State* s, i64 now) noexcept nogil:
    """Fire every deadline up to ``now``."""
    while s.n_heap and s.heap[0].due <= now and not s.failed:
        fire(s)
    s.now = now
