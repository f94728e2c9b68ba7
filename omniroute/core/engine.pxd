"""Offers, agents and what is asked: every change that a command or a deadline is made of."""

from omniroute.core.conditions cimport look
from omniroute.core.deadlines cimport arm, disarm
from omniroute.core.hands cimport *
from omniroute.core.keys cimport came, counted, has_given, has_taken, offered_here, omni_rare, spared
from omniroute.core.layout cimport *
from omniroute.core.places cimport (
    arm_control,
    count_in,
    drop_entries,
    drop_tie,
    drop_ties,
    first_entry,
    forgive,
    forgo_steps,
    free_interaction,
    free_offer,
    leave_orders,
    leave_tree,
    new_entry,
    new_offer,
    part_for_now,
    sync,
)
from omniroute.core.selection cimport fits, in_queue, offers_full, omni_ctz, pick_agent, pick_entry, show
from omniroute.core.windows cimport hold_back, hold_back_from

cdef enum:  # PresenceReason
    ASKED = 0
    NO_ANSWER = 1
    EMPTY = 2

cdef enum:  # how an interaction leaves
    ABANDONED = 0
    CANCELLED = 1

cdef enum:
    BACK_OFF = 6


# Offers ---------------------------------------------------------------------------------------------------------------


cdef inline void link_offer(State* s, i32 o) noexcept nogil:
    """Append a live offer to the rings of its interaction and its agent."""
    cdef Offer* offer = &s.offers[o]
    cdef Interaction* it = &s.interactions[offer.interaction]
    cdef Agent* agent = &s.agents[offer.agent]
    cdef i32 first = it.offers
    if first < 0:
        it.offers = offer.next_of_interaction = offer.prev_of_interaction = o
    else:
        offer.next_of_interaction = first
        offer.prev_of_interaction = s.offers[first].prev_of_interaction
        s.offers[offer.prev_of_interaction].next_of_interaction = o
        s.offers[first].prev_of_interaction = o
    first = agent.offers
    if first < 0:
        agent.offers = offer.next_of_agent = offer.prev_of_agent = o
    else:
        offer.next_of_agent = first
        offer.prev_of_agent = s.offers[first].prev_of_agent
        s.offers[offer.prev_of_agent].next_of_agent = o
        s.offers[first].prev_of_agent = o
    it.live += 1


cdef inline void unlink_offer(State* s, i32 o) noexcept nogil:
    cdef Offer* offer = &s.offers[o]
    cdef Interaction* it = &s.interactions[offer.interaction]
    cdef Agent* agent = &s.agents[offer.agent]
    s.offers[offer.prev_of_interaction].next_of_interaction = offer.next_of_interaction
    s.offers[offer.next_of_interaction].prev_of_interaction = offer.prev_of_interaction
    if it.offers == o:
        it.offers = -1 if offer.next_of_interaction == o else offer.next_of_interaction
    s.offers[offer.prev_of_agent].next_of_agent = offer.next_of_agent
    s.offers[offer.next_of_agent].prev_of_agent = offer.prev_of_agent
    if agent.offers == o:
        agent.offers = -1 if offer.next_of_agent == o else offer.next_of_agent
    it.live -= 1


cdef inline void hurry(State* s, i32 i) noexcept nogil:
    """A further offer need not wait any more."""
    disarm(s, &s.interactions[i].heap_at)
    s.interactions[i].clock = -1


cdef inline void end_offer(State* s, i32 o, i64 event, i64 cause) noexcept nogil:
    """End a live offer by decline, expiry or withdrawal: the capacity comes back."""
    cdef Offer* offer = &s.offers[o]
    cdef i32 i = offer.interaction
    cdef i32 j = offer.agent
    cdef i32 c = s.interactions[i].channel
    cdef i64 number = offer.seq << SLOT_BITS | o
    unlink_offer(s, o)
    disarm(s, &offer.heap_at)
    free_offer(s, o)
    if s.channels[c].flags & RESERVES_OFFERED:
        hold(s, j, c, -1)
    else:
        s.agents[j].ringing &= ~(<uint32_t> 1 << c)
    if s.interactions[i].live == 0:
        s.interactions[i].state = WAITING
        hurry(s, i)
    show(s, j)
    tell(s, event, i, j, number, cause)


cdef inline void withdraw(State* s, i32 i, i32 keep) noexcept nogil:
    """Withdraw the live offers of an interaction but ``keep``, oldest first; the agents who lost one are asked for."""
    cdef i32 o = s.interactions[i].offers
    cdef i32 left = s.interactions[i].live
    cdef i32 after, j
    while left:
        left -= 1
        after = s.offers[o].next_of_interaction
        if o != keep:
            j = s.offers[o].agent
            end_offer(s, o, EV_WITHDRAWN, -1)
            remember(s, j)
        o = after


cdef inline void withdraw_excess(State* s, i32 i) noexcept nogil:
    """Withdraw the newest offers of an interaction whose queue makes fewer now."""
    cdef Interaction* it = &s.interactions[i]
    cdef i64 offers = s.queues[s.classes[s.entries[it.entries].class_].queue].offers
    cdef i32 o, j
    while offers != OFFERS_ALL and it.live > offers:
        o = s.offers[it.offers].prev_of_interaction
        j = s.offers[o].agent
        end_offer(s, o, EV_WITHDRAWN, -1)
        remember(s, j)


cdef inline void together(State* s, i32 i, i64 number, bint routed) noexcept nogil:
    """Customer and agent are connected."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 q = s.classes[s.entries[it.entries].class_].queue
    cdef i64 wait = s.now - it.wait_from
    it.clock = s.now
    s.gaps[i] = 0
    if routed:
        s.queues[q].connected += 1
        if s.queues[q].target >= 0 and wait <= s.queues[q].target:
            s.queues[q].in_target += 1
        arm_control(s, q)
    tell(s, EV_CONNECTED, i, it.agent, number, wait)
    interrupt(s, i)


cdef inline void clear_misses(Agent* agent) noexcept nogil:
    agent.misses[0] = agent.misses[1] = agent.misses[2] = agent.misses[3] = 0


cdef inline void count_handled(State* s, i32 i, i32 j) noexcept nogil:
    """An agent is connected with one more; ``show`` follows."""
    s.agents[j].handled += 1
    if omni_rare(s.looks_back):
        counted(s, j, s.classes[s.entries[s.interactions[i].entries].class_].queue)


cdef inline void take_up(State* s, i32 i, i32 j, i32 state) noexcept nogil:
    """An interaction that left its queue is in an agent's hands; his capacity is held already."""
    s.interactions[i].state = state
    leave_orders(s, i)
    part_for_now(s, i)
    into_hand(s, i, j)
    restart_idle(s, j)
    if omni_rare(s.looks_back):
        has_taken(s, j)
        spare(s, j)
    if state == CONNECTED:
        count_handled(s, i, j)
    show(s, j)


cdef inline void connect(State* s, i32 i, i32 j, i32 e, i64 number, i64 setup) noexcept nogil:
    """The offer is accepted; after a set-up, or at once, they are together. No offer is live, the capacity is held."""
    cdef Interaction* it = &s.interactions[i]
    if it.entries != e:
        first_entry(s, i, e)
    count_out(s, i)
    clear_misses(&s.agents[j])
    take_up(s, i, j, ACCEPTING if setup else CONNECTED)
    if not setup:
        together(s, i, number, True)
        return
    it.clock = s.now + setup
    arm(s, it.clock, SETUP_END, it.seq, i)
    tell(s, EV_ACCEPTED, i, j, number, it.clock)


cdef inline void count_out(State* s, i32 i) noexcept nogil:
    """Count an interaction that waits out of its queues."""
    count_in(s, &s.interactions[i], -1)


cdef inline i64 setup_of(State* s, i32 e) noexcept nogil:
    cdef i64 setup = s.queues[s.classes[s.entries[e].class_].queue].setup_timeout
    return setup if setup > 0 else 0


cdef inline void accept_offer(State* s, i32 o, i64 setup) noexcept nogil:
    """Take a live offer; its siblings are withdrawn."""
    cdef Offer* offer = &s.offers[o]
    cdef i32 i = offer.interaction
    cdef i32 j = offer.agent
    cdef i32 e = offer.entry
    cdef i32 c = s.interactions[i].channel
    cdef i64 number = offer.seq << SLOT_BITS | o
    withdraw(s, i, o)
    unlink_offer(s, o)
    disarm(s, &offer.heap_at)
    free_offer(s, o)
    hurry(s, i)
    if not s.channels[c].flags & RESERVES_OFFERED:
        s.agents[j].ringing &= ~(<uint32_t> 1 << c)
        hold(s, j, c, +1)
        remember(s, j)  # he may be offered the next one now
    connect(s, i, j, e, number, setup)


cdef inline void let_rest(State* s, i32 j, i64 cause, i64 until) noexcept nogil:
    """Leave an agent alone until then; a longer rest stays. ``show`` follows."""
    cdef Agent* agent = &s.agents[j]
    if until > s.now and until > agent.rest:
        agent.rest = until
        arm(s, until, REST_END, j, j)
        tell(s, EV_RESTING, -1, j, cause, until)


cdef inline void spare(State* s, i32 j) noexcept nogil:
    """Whoever is over the cap of his group rests until he is not. ``show`` follows."""
    let_rest(s, j, C_OCCUPIED, spared(s, j))


cdef inline void count_burst(State* s, i32 j) noexcept nogil:
    cdef Agent* agent = &s.agents[j]
    cdef Group* group = &s.groups[agent.group]
    if group.burst == 0:
        return
    if agent.burst_from < 0 or s.now - agent.burst_from >= group.burst_per:
        agent.burst_from = s.now
        agent.burst_count = 0
    agent.burst_count += 1
    if agent.burst_count >= group.burst:
        let_rest(s, j, C_BURST, agent.burst_from + group.burst_per)


cdef inline void make_offer(State* s, i32 i, i32 e, i32 j) noexcept nogil:
    """Offer an interaction to an agent through one of its entries; ``sync`` of the interaction follows."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 channel = it.channel
    cdef Queue* queue = &s.queues[s.classes[s.entries[e].class_].queue]
    cdef i64 due = -1 if queue.offer_timeout < 0 else s.now + queue.offer_timeout
    cdef bint auto = queue.auto or s.groups[s.agents[j].group].auto
    cdef i64 seq = next_seq(s)
    cdef i32 o = new_offer(s)
    cdef Offer* offer
    if o < 0:
        return
    s.agents[j].offered = seq
    if omni_rare(s.n_watched):
        offered_here(s, j, s.classes[s.entries[e].class_].queue, seq)
    tell(s, EV_OFFERED, i, j, seq << SLOT_BITS | o, due)
    count_burst(s, j)
    if s.auto_accept:
        hold(s, j, channel, +1)
        free_offer(s, o)
        connect(s, i, j, e, seq << SLOT_BITS | o, 0)
        if grow(s, <void**> &s.connected, &s.cap_connected, s.n_connected + 1, sizeof(i32)):
            s.connected[s.n_connected] = i
            s.n_connected += 1
        return
    if s.channels[channel].flags & RESERVES_OFFERED:
        hold(s, j, channel, +1)
    else:
        s.agents[j].ringing |= <uint32_t> 1 << channel
    offer = &s.offers[o]
    offer.due = due
    offer.seq = seq
    offer.interaction = i
    offer.entry = e
    offer.agent = j
    link_offer(s, o)
    it.state = OFFERED
    if due >= 0:
        arm(s, due, OFFER_EXPIRY, seq, o)
    hurry(s, i)
    due = s.queues[s.classes[s.entries[it.entries].class_].queue].every
    if due > 0:
        it.clock = s.now + due
        arm(s, it.clock, FURTHER_OFFER, it.seq, i)
    show(s, j)
    if auto:
        accept_offer(s, o, setup_of(s, e))


# Asking ---------------------------------------------------------------------------------------------------------------


cdef inline bint servable(State* s, i32 k) noexcept nogil:
    """Whether an agent who is known may ever serve the class. O(groups)."""
    cdef i32 words = s.cap_groups >> 6
    cdef i32 w
    cdef u64 bits
    for w in range(words):
        bits = s.ever[<i64> k * words + w]
        while bits:
            if s.groups[(w << 6) + omni_ctz(bits)].members:
                return True
            bits &= bits - 1
    return False


cdef inline bint reachable(State* s, i32 k) noexcept nogil:
    """Whether an agent who is known may ever serve the class, or one of the steps that follow it."""
    cdef Class* class_
    while k >= 0:
        if servable(s, k):
            return True
        class_ = &s.classes[k]
        if class_.step_at < 0:
            return False
        if class_.step_copy >= 0 and reachable(s, class_.step_copy):
            return True
        k = class_.step_next
    return False


cdef inline bint steps_on(State* s, i32 i, i32 e) noexcept nogil:
    """Whether an entry takes its step now: it is due, it is skipped, or only later steps could find anybody."""
    cdef Class* class_ = &s.classes[s.entries[e].class_]
    if class_.step_at < 0:
        return False
    if s.interactions[i].step_from + class_.step_at <= s.now:
        return class_.step_when < 0 or s.conditions[class_.step_when].holds
    if class_.skip_if >= 0 and s.interactions[i].state == WAITING and s.conditions[class_.skip_if].holds:
        return True
    return not class_.patient and not servable(s, s.entries[e].class_) and reachable(s, s.entries[e].class_)


cdef inline void arrived(State* s, i32 before, i32 q) noexcept nogil:
    """Count an entry that came from another queue by a step."""
    if q != before:
        s.queues[q].entered += 1
        arm_control(s, q)


cdef inline void copy_entry(State* s, i32 i, i32 e, i32 k, i32 before) noexcept nogil:
    """Append a second entry of an interaction, in another class, at the same place; not where one is, nor a ninth."""
    cdef i32 last = s.interactions[i].entries
    cdef i32 n = 1, fresh
    while True:
        if s.entries[last].class_ == k:
            return
        if s.entries[last].next < 0:
            break
        last = s.entries[last].next
        n += 1
    if n >= ENTRIES:
        return
    fresh = new_entry(s)
    if fresh < 0:
        return
    s.entries[fresh].class_ = k
    s.entries[fresh].interaction = i
    s.entries[fresh].next = -1
    s.keys[fresh].a = s.keys[e].a
    s.keys[fresh].b = s.keys[e].b
    s.keys[fresh].c = next_seq(s)
    s.entries[last].next = fresh
    s.classes[k].in_queue += 1
    s.queues[s.classes[k].queue].length += 1
    arrived(s, before, s.classes[k].queue)


cdef inline bint settle(State* s, i32 i) noexcept nogil:
    """Move every entry whose step is due into its next class; it keeps its place. True: a step ended it.

    ``place`` follows unless it did.
    """
    cdef i32 e = s.interactions[i].entries
    cdef i32 k, after
    cdef Class* class_
    while e >= 0:
        while steps_on(s, i, e):
            k = s.entries[e].class_
            class_ = &s.classes[k]
            after = class_.step_next
            if after == CANCEL:
                leave_queue(s, i, CANCELLED)
                return True
            leave_tree(s, e)
            class_.in_queue -= 1
            s.queues[class_.queue].length -= 1
            s.entries[e].class_ = after
            if class_.step_tier >= 0:
                s.keys[e].a = class_.step_tier
            s.classes[after].in_queue += 1
            s.queues[s.classes[after].queue].length += 1
            arrived(s, class_.queue, s.classes[after].queue)
            if class_.step_copy >= 0:
                copy_entry(s, i, e, class_.step_copy, class_.queue)
            tell(s, EV_STEPPED, i, -1, after, s.now - s.interactions[i].wait_from)
            if s.n_conditions:
                look(s)
        e = s.entries[e].next
    return False


cdef inline void place(State* s, i32 i) noexcept nogil:
    """Agent selection for a waiting interaction, as far as its queue still makes offers."""
    cdef Interaction* it = &s.interactions[i]
    cdef Queue* queue
    cdef i64 left, standing = 0
    cdef i32 e = -1, j
    if it.ties >= 0:
        forgive(s, i, False)
    if in_queue(it) and not offers_full(s, it):
        queue = &s.queues[s.classes[s.entries[it.entries].class_].queue]
        if queue.offers == OFFERS_ALL and queue.every <= 0:
            place_all(s, i)
        else:
            left = 1 if queue.every > 0 else queue.offers - it.live
            while left and not s.failed and in_queue(it):
                if s.n_fresh:
                    place_later(s, i)  # those who waited for the condition longer come first
                    return
                j = pick_agent(s, i, &e, &standing)
                if j < 0:
                    if s.n_windows:
                        hold_back(s, i)
                    break
                make_offer(s, i, e, j)
                left -= 1
    if in_queue(it):
        sync(s, i)


cdef inline void place_all(State* s, i32 i) noexcept nogil:
    """Offer to everybody of the best standing at once."""
    cdef Interaction* it = &s.interactions[i]
    cdef i64 standing = 0, best = 0
    cdef i32 e = -1, j
    cdef bint first = True
    if s.n_fresh:
        place_later(s, i)
        return
    while not s.failed and in_queue(it):
        j = pick_agent(s, i, &e, &standing)
        if j < 0 and s.n_windows:
            hold_back(s, i)
        if j < 0 or (not first and standing != best):
            return
        best = standing
        first = False
        make_offer(s, i, e, j)


cdef inline void back(State* s, i32 i) noexcept nogil:
    """It waits in its old place, again or still."""
    if in_queue(&s.interactions[i]) and not settle(s, i):
        withdraw_excess(s, i)
        place(s, i)


cdef inline void serve(State* s, i32 j) noexcept nogil:
    """Interaction selection for an agent, until he is full or nothing fits."""
    cdef i32 e, i
    while not s.failed:
        e = pick_entry(s, j)
        if e < 0:
            if s.n_windows:
                hold_back_from(s, j)
            return
        i = s.entries[e].interaction
        make_offer(s, i, e, j)
        # While more offers may follow it stays where it is, with an opening that may be due at this very instant.
        if in_queue(&s.interactions[i]) and offers_full(s, &s.interactions[i]):
            sync(s, i)


cdef inline void arrive(State* s, i32 i) noexcept nogil:
    """Take the steps that are due at once, say so if nobody could ever serve it, and ask for an agent."""
    cdef i32 e
    if s.stepping and settle(s, i):
        return
    e = -1 if s.quiet else s.interactions[i].entries
    while e >= 0 and not reachable(s, s.entries[e].class_):
        e = s.entries[e].next
    if e < 0 and not s.quiet:
        tell(s, EV_UNMATCHED, i, -1, s.entries[s.interactions[i].entries].class_, -1)
    place(s, i)


# Agents ---------------------------------------------------------------------------------------------------------------


cdef inline void empty(State* s, i32 j) noexcept nogil:
    """A draining agent with nothing in hand that binds him is signed out."""
    cdef Agent* agent = &s.agents[j]
    if agent.presence == DRAINING and agent.held == agent.kept:
        agent.presence = SIGNED_OUT
        s.groups[agent.group].staffed -= 1
        tell(s, EV_PRESENCE, -1, j, SIGNED_OUT, EMPTY)
        show(s, j)
        went(s, j)


cdef inline void change_presence(State* s, i32 j, i32 presence, i64 reason, i32 first) noexcept nogil:
    """Move, withdraw what he was offered, and ask for those who lost it, and for ``first``."""
    cdef Agent* agent = &s.agents[j]
    cdef bint signed_out = agent.presence == SIGNED_OUT
    cdef i32 loser
    if first >= 0:
        place_later(s, first)
    if agent.presence == READY:
        while agent.offers >= 0:
            loser = s.offers[agent.offers].interaction
            end_offer(s, agent.offers, EV_WITHDRAWN, -1)
            place_later(s, loser)
    s.groups[agent.group].staffed += (presence != SIGNED_OUT) - (agent.presence != SIGNED_OUT)
    agent.presence = presence
    tell(s, EV_PRESENCE, -1, j, presence, reason)
    if presence == READY:
        clear_misses(agent)
        restart_idle(s, j)
        if omni_rare(s.looks_back):
            came(s, j, signed_out)
            spare(s, j)
    elif presence == NOT_READY and reason == ASKED and s.looks_back:
        s.pasts[j].away = 1
    show(s, j)
    if presence == READY:
        serve(s, j)
    if presence == SIGNED_OUT:
        went(s, j)
    empty(s, j)


cdef inline void let_go(State* s, i32 j, i32 channel, bint took) noexcept nogil:
    """Something has left an agent's hands, with the capacity that it took."""
    if took:
        hold(s, j, channel, -1)
    restart_idle(s, j)
    if omni_rare(s.looks_back):
        has_given(s, j)
        spare(s, j)
    show(s, j)
    go_on(s, j)
    empty(s, j)


# The end of a command -------------------------------------------------------------------------------------------------


cdef inline void untie(State* s, i32 j) noexcept nogil:
    """Nothing is kept for an agent who has signed out; the oldest interaction is asked for first."""
    cdef i32 x = s.agents[j].ties
    cdef i32 at, after
    s.n_turns = 0
    while x >= 0:
        after = s.ties[x].next_of_agent
        if s.ties[x].kind != FORBID:
            take_turn(s, s.interactions[s.ties[x].interaction].seq, s.ties[x].interaction)
        x = after
    sort_turns(s)
    for at in range(s.n_turns):
        x = s.agents[j].ties
        while x >= 0:
            after = s.ties[x].next_of_agent
            if s.ties[x].kind != FORBID and s.ties[x].interaction == s.turns[at].number:
                drop_tie(s, x)
            x = after
        place_later(s, <i32> s.turns[at].number)


cdef inline void forgive_all(State* s) noexcept nogil:
    """Look at everything that somebody has declined for good, the oldest first. O(ties log ties)."""
    cdef i32 x
    s.n_turns = 0
    for x in range(s.n_ties):
        if s.ties[x].interaction >= 0 and s.ties[x].kind == FORBID and s.ties[x].until == NONE:
            take_turn(s, s.interactions[s.ties[x].interaction].seq, s.ties[x].interaction)
    sort_turns(s)
    for x in range(s.n_turns):
        forgive(s, <i32> s.turns[x].number, False)


cdef inline bint steps_by(State* s, i32 i, i32 c) noexcept nogil:
    """Whether a step of a waiting interaction is taken now that a condition holds."""
    cdef i32 e = s.interactions[i].entries
    cdef Class* class_
    if not in_queue(&s.interactions[i]):
        return False
    while e >= 0:
        class_ = &s.classes[s.entries[e].class_]
        if (class_.step_when == c or class_.skip_if == c) and steps_on(s, i, e):
            return True
        e = s.entries[e].next
    return False


cdef inline void step(State* s, i32 i) noexcept nogil:
    """A step of an interaction is due."""
    if not settle(s, i):
        withdraw_excess(s, i)
        place(s, i)


cdef inline bint concerns(State* s, i32 c, i32 g) noexcept nogil:
    """Whether a condition lets a group serve a class in which somebody waits."""
    cdef i32 k
    for k in range(s.n_classes):
        if (s.classes[k].conditioned and (s.classes[k].root.root >= 0 or s.classes[k].bound.root >= 0)
                and s.conditional[<i64> k * s.wide + g] == c + 1
                and s.out[<i64> k * s.wide + g].opens != NEVER):
            return True
    return False


cdef inline void flipped(State* s, i32 c) noexcept nogil:
    """A condition has become true: steps that waited for it, then the agents concerned, longest unchanged first."""
    cdef i32 x, k
    cdef bint waiting = False
    for k in range(s.n_classes):
        if s.classes[k].step_when == c or s.classes[k].skip_if == c:
            waiting = waiting or s.classes[k].in_queue > 0
    if waiting:
        s.n_turns = 0
        for x in range(s.n_interactions):
            if steps_by(s, x, c):
                take_turn(s, s.interactions[x].seq, x)
        sort_turns(s)
        for x in range(s.n_turns):
            k = <i32> s.turns[x].number
            if steps_by(s, k, c) and not settle(s, k):
                withdraw_excess(s, k)
                place_later(s, k)
    s.n_turns = 0
    for x in range(s.n_groups):
        if s.groups[x].members and concerns(s, c, x):
            for k in range(s.n_agents):
                if s.agents[k].group == x and s.agents[k].room:
                    take_turn(s, s.agents[k].stamp, k)
    sort_turns(s)
    for x in range(s.n_turns):
        serve(s, <i32> s.turns[x].number)


cdef inline void wind_up(State* s) noexcept nogil:
    """What a command left to be asked.

    Ties of who went; agents who got free; conditions that became true; interactions, in order.
    """
    cdef i32 c
    if not (s.n_left or s.forgiving or s.n_work or s.n_fresh or s.n_late or s.stale):
        return
    while not s.failed:
        if s.left_at < s.n_left:
            s.left_at += 1
            untie(s, s.left[s.left_at - 1])
        elif s.forgiving:
            s.forgiving = False
            forgive_all(s)
        elif s.work_at < s.n_work:
            s.work_at += 1
            serve(s, s.work[s.work_at - 1])
        elif s.n_fresh:
            c = 0
            while not s.conditions[c].fresh:
                c += 1
            s.conditions[c].fresh = False
            s.n_fresh -= 1
            if s.conditions[c].holds:
                flipped(s, c)
        elif s.n_late:
            c = first_of_late(s)
            back(s, c)
        elif s.stale:
            s.stale = False
            forgo_steps(s)
        else:
            break
    s.n_left = s.left_at = s.n_work = s.work_at = 0


# Leaving --------------------------------------------------------------------------------------------------------------


cdef inline i32 next_queue(State* s, Interaction* it, i32 last) noexcept nogil:
    """The least queue number above ``last`` in which the interaction has an entry, or -1: each queue comes once."""
    cdef i32 e = it.entries
    cdef i32 q, least = -1
    while e >= 0:
        q = s.classes[s.entries[e].class_].queue
        if q > last and (least < 0 or q < least):
            least = q
        e = s.entries[e].next
    return least


cdef inline void gone(State* s, i32 i) noexcept nogil:
    disarm(s, &s.interactions[i].heap_at)
    drop_entries(s, i)
    if s.interactions[i].ties >= 0:
        drop_ties(s, i)
    free_interaction(s, i)


cdef inline void leave_queue(State* s, i32 i, i32 how) noexcept nogil:
    """The customer left while waiting or during the set-up, or it is taken out."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 q, j = it.agent
    withdraw(s, i, -1)
    if how == ABANDONED:
        q = next_queue(s, it, -1)
        while q >= 0:
            s.queues[q].abandoned += 1
            arm_control(s, q)
            q = next_queue(s, it, q)
    tell(s, EV_CANCELLED if how else EV_ABANDONED, i, j, s.classes[s.entries[it.entries].class_].queue,
         real_wait(s, it))
    if in_queue(it):
        it.state = GONE
        count_out(s, i)
    q = it.channel
    if j >= 0:
        out_of_hand(s, i)
    gone(s, i)
    if j >= 0:
        let_go(s, j, q, True)
        remember(s, j)
