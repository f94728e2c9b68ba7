"""How commands and deadlines move the state: judge, move, tell, ask. Everything here has been judged already."""

from omniroute.core.deadlines cimport arm, disarm
from omniroute.core.layout cimport (
    CONNECTED,
    CONTROL,
    DRAINING,
    EV_ABANDONED,
    EV_CONNECTED,
    EV_DECLINED,
    EV_EXPIRED,
    EV_FINISHED,
    EV_OFFERED,
    EV_PRESENCE,
    EV_QUEUED,
    EV_RELEASED,
    EV_REQUEUED,
    EV_REVISION_DUE,
    EV_STEPPED,
    EV_TRANSFERRED,
    EV_UNMATCHED,
    EV_WITHDRAWN,
    EXCLUSION_END,
    EXCLUSIONS,
    GONE,
    NOT_READY,
    OFFER_EXPIRY,
    OFFERED,
    OFFERS_ALL,
    OPENING,
    READY,
    SIGNED_OUT,
    SLOT_BITS,
    STEP,
    WAITING,
    WRAP_UP,
    WRAP_UP_END,
    Agent,
    Class,
    Deadline,
    Entry,
    Exclusion,
    Interaction,
    Key,
    Link,
    Offer,
    Queue,
    State,
    grow,
    i32,
    i64,
    next_seq,
    tell,
    u64,
)
from omniroute.core.order cimport insert, remove
from omniroute.core.selection cimport in_queue, offers_full, pick_agent, pick_entry, show

cdef enum:  # PresenceReason
    ASKED = 0
    NO_ANSWER = 1
    EMPTY = 2


# Numbers --------------------------------------------------------------------------------------------------------------


cdef inline i32 new_interaction(State* s) noexcept nogil:
    """A free number, the last freed first; -1 where memory ran out."""
    cdef i32 i = s.free_interaction
    if i >= 0:
        s.free_interaction = s.interactions[i].entries
        s.n_free_interactions -= 1
        return i
    i = s.n_interactions
    if not grow(s, <void**> &s.interactions, &s.cap_interactions, i + 1, sizeof(Interaction)):
        return -1
    s.n_interactions += 1
    return i


cdef inline void free_interaction(State* s, i32 i) noexcept nogil:
    s.interactions[i].state = GONE
    s.interactions[i].entries = s.free_interaction
    s.free_interaction = i
    s.n_free_interactions += 1


cdef inline i32 new_entry(State* s) noexcept nogil:
    cdef i32 e = s.free_entry
    cdef i32 cap
    if e >= 0:
        s.free_entry = s.entries[e].next
        return e
    e = s.n_entries
    if e == s.cap_entries:
        cap = s.cap_entries
        if not grow(s, <void**> &s.links, &cap, e + 1, sizeof(Link)):
            return -1
        cap = s.cap_entries
        if not grow(s, <void**> &s.keys, &cap, e + 1, sizeof(Key)):
            return -1
        if not grow(s, <void**> &s.entries, &s.cap_entries, e + 1, sizeof(Entry)):
            return -1
    s.n_entries += 1
    s.links[e].size = 0
    s.entries[e].heap_at = -1
    return e


cdef inline i32 new_offer(State* s) noexcept nogil:
    cdef i32 o = s.free_offer
    if o >= 0:
        s.free_offer = s.offers[o].next_of_interaction
        s.n_free_offers -= 1
        return o
    o = s.n_offers
    if not grow(s, <void**> &s.offers, &s.cap_offers, o + 1, sizeof(Offer)):
        return -1
    s.n_offers += 1
    s.offers[o].heap_at = -1
    return o


cdef inline void free_offer(State* s, i32 o) noexcept nogil:
    s.offers[o].interaction = -1
    s.offers[o].next_of_interaction = s.free_offer
    s.free_offer = o
    s.n_free_offers += 1


# Trees and deadlines of entries ---------------------------------------------------------------------------------------


cdef inline void leave_tree(State* s, i32 e) noexcept nogil:
    """Take an entry out of its class's order, if it is in it."""
    cdef i32 k
    if s.links[e].size:
        k = s.entries[e].class_
        remove(s.links, s.keys, &s.classes[k].root, e)
        if s.classes[k].root.root < 0:
            s.nonempty[k >> 6] &= ~(<u64> 1 << (k & 63))


cdef inline void arm_entry(State* s, Interaction* it, i32 e) noexcept nogil:
    """Set the entry's one deadline: its next step or, while it may be offered, its next opening."""
    cdef Class* class_ = &s.classes[s.entries[e].class_]
    cdef i64 due = -1
    cdef i64 age, opening
    cdef i32 kind = STEP
    cdef i32 low, high, middle
    if class_.step_at >= 0 and in_queue(it):
        due = it.step_from + class_.step_at
    if class_.openings_length and s.links[e].size:
        age = s.now - s.keys[e].b
        low = 0
        high = class_.openings_length
        while low < high:
            middle = (low + high) >> 1
            if class_.openings[middle] > age:
                high = middle
            else:
                low = middle + 1
        if low < class_.openings_length:
            opening = s.keys[e].b + class_.openings[low]
            if due < 0 or opening < due:
                due = opening
                kind = OPENING
    if due >= 0:
        arm(s, due, kind, s.keys[e].c, e)
    else:
        disarm(s, &s.entries[e].heap_at)


cdef inline void sync(State* s, i32 i) noexcept nogil:
    """Put the entries where the interaction's state says: in order while it may be offered, out otherwise."""
    cdef Interaction* it = &s.interactions[i]
    cdef bint seeking = in_queue(it) and not offers_full(s, it)
    cdef i32 e = it.entries
    cdef i32 k
    while e >= 0:
        k = s.entries[e].class_
        if not seeking:
            leave_tree(s, e)
        elif not s.links[e].size:
            insert(s.links, s.keys, &s.classes[k].root, e)
            s.nonempty[k >> 6] |= <u64> 1 << (k & 63)
        if s.entries[e].heap_at >= 0 or s.classes[k].step_at >= 0 or s.classes[k].openings_length:
            arm_entry(s, it, e)
        e = s.entries[e].next


cdef inline void count_in(State* s, Interaction* it, i32 sign) noexcept nogil:
    """Count the entries into (+1) or out of (-1) their queues and classes."""
    cdef i32 e = it.entries
    cdef Class* class_
    while e >= 0:
        class_ = &s.classes[s.entries[e].class_]
        class_.in_queue += sign
        s.queues[class_.queue].length += sign
        e = s.entries[e].next


cdef inline void drop_entries(State* s, i32 i) noexcept nogil:
    """Forget the entries; they are counted out already."""
    cdef i32 e = s.interactions[i].entries
    cdef i32 following_entry
    while e >= 0:
        following_entry = s.entries[e].next
        leave_tree(s, e)
        disarm(s, &s.entries[e].heap_at)
        s.entries[e].next = s.free_entry
        s.free_entry = e
        e = following_entry
    s.interactions[i].entries = -1


cdef inline void arm_control(State* s, i32 q) noexcept nogil:
    cdef Queue* queue = &s.queues[q]
    if queue.control_every > 0 and queue.control_due < 0:
        queue.control_due = s.now + queue.control_every
        arm(s, queue.control_due, CONTROL, q, q)


# Exclusions -----------------------------------------------------------------------------------------------------------


cdef inline void drop_exclusion(State* s, i32 x) noexcept nogil:
    """Forget one exclusion, from both ends."""
    cdef Exclusion* cell = &s.exclusions[x]
    cdef Interaction* it = &s.interactions[cell.interaction]
    cdef i32* at = &it.exclusions
    while at[0] != x:
        at = &s.exclusions[at[0]].next_of_interaction
    at[0] = cell.next_of_interaction
    it.excluded -= 1
    if cell.prev_of_agent >= 0:
        s.exclusions[cell.prev_of_agent].next_of_agent = cell.next_of_agent
    else:
        s.agents[cell.agent].exclusions = cell.next_of_agent
    if cell.next_of_agent >= 0:
        s.exclusions[cell.next_of_agent].prev_of_agent = cell.prev_of_agent
    disarm(s, &cell.heap_at)
    cell.next_of_interaction = s.free_exclusion
    s.free_exclusion = x


cdef inline void drop_exclusions(State* s, i32 i) noexcept nogil:
    while s.interactions[i].exclusions >= 0:
        drop_exclusion(s, s.interactions[i].exclusions)


cdef inline void add_exclusion(State* s, i32 i, i32 j, i64 until, i64 seq) noexcept nogil:
    """Append an exclusion to the interaction's list."""
    cdef Interaction* it = &s.interactions[i]
    cdef Exclusion* cell
    cdef i32* at
    cdef i32 x = s.free_exclusion
    if x >= 0:
        s.free_exclusion = s.exclusions[x].next_of_interaction
    else:
        x = s.n_exclusions
        if not grow(s, <void**> &s.exclusions, &s.cap_exclusions, x + 1, sizeof(Exclusion)):
            return
        s.n_exclusions += 1
        s.exclusions[x].heap_at = -1
    cell = &s.exclusions[x]
    cell.interaction = i
    cell.agent = j
    cell.until = until
    cell.seq = seq
    cell.next_of_interaction = -1
    at = &it.exclusions
    while at[0] >= 0:
        at = &s.exclusions[at[0]].next_of_interaction
    at[0] = x
    it.excluded += 1
    cell.prev_of_agent = -1
    cell.next_of_agent = s.agents[j].exclusions
    if cell.next_of_agent >= 0:
        s.exclusions[cell.next_of_agent].prev_of_agent = x
    s.agents[j].exclusions = x
    if until >= 0:
        arm(s, until, EXCLUSION_END, seq, x)


cdef inline void exclude(State* s, i32 i, i32 j, i32 q) noexcept nogil:
    """Keep an interaction from an agent for the queue's retry time; the oldest exclusion gives way to a 65th."""
    cdef i64 retry_after = s.queues[q].retry_after
    if s.interactions[i].excluded == EXCLUSIONS:
        drop_exclusion(s, s.interactions[i].exclusions)
    add_exclusion(s, i, j, -1 if retry_after < 0 else s.now + retry_after, next_seq(s))


# Offers ---------------------------------------------------------------------------------------------------------------


cdef inline void hold(State* s, i32 j, i32 channel, i32 sign) noexcept nogil:
    """Take (+1) or give back (-1) the capacity of one interaction of a channel; ``show`` follows."""
    s.agents[j].used += sign * s.loads[channel]
    s.counts[j * 32 + channel] += sign


cdef inline void restart_idle(State* s, i32 j) noexcept nogil:
    s.agents[j].idle_since = s.now
    s.agents[j].stamp = next_seq(s)


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


cdef inline void end_offer(State* s, i32 o, i64 event) noexcept nogil:
    """End a live offer by decline, expiry or withdrawal: the capacity comes back."""
    cdef Offer* offer = &s.offers[o]
    cdef i32 i = offer.interaction
    cdef i32 j = offer.agent
    cdef i64 number = offer.seq << SLOT_BITS | o
    unlink_offer(s, o)
    disarm(s, &offer.heap_at)
    free_offer(s, o)
    hold(s, j, s.interactions[i].channel, -1)
    if s.interactions[i].live == 0:
        s.interactions[i].state = WAITING
    show(s, j)
    tell(s, event, i, j, number, -1)


cdef inline void remember(State* s, i32 number) noexcept nogil:
    """Append to the work list."""
    if grow(s, <void**> &s.work, &s.cap_work, s.n_work + 1, sizeof(i32)):
        s.work[s.n_work] = number
        s.n_work += 1


cdef inline void withdraw(State* s, i32 i, i32 keep) noexcept nogil:
    """Withdraw the live offers of an interaction but ``keep``, oldest first; remember the agents who lost one."""
    cdef i32 o = s.interactions[i].offers
    cdef i32 left = s.interactions[i].live
    cdef i32 after
    while left:
        left -= 1
        after = s.offers[o].next_of_interaction
        if o != keep:
            remember(s, s.offers[o].agent)
            end_offer(s, o, EV_WITHDRAWN)
        o = after


cdef inline void withdraw_excess(State* s, i32 i) noexcept nogil:
    """Withdraw the newest offers of an interaction whose queue makes fewer now; remember the agents who lose one."""
    cdef Interaction* it = &s.interactions[i]
    cdef i64 offers = s.queues[s.classes[s.entries[it.entries].class_].queue].offers
    cdef i32 o
    while offers != OFFERS_ALL and it.live > offers:
        o = s.offers[it.offers].prev_of_interaction
        remember(s, s.offers[o].agent)
        end_offer(s, o, EV_WITHDRAWN)


cdef inline void connect(State* s, i32 i, i32 j, i32 e, i64 number) noexcept nogil:
    """Interaction and agent are together; the capacity is held already and no offer is live."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 q = s.classes[s.entries[e].class_].queue
    cdef i64 wait = s.now - it.wait_from
    it.state = CONNECTED
    it.agent = j
    it.clock = s.now
    count_in(s, it, -1)
    sync(s, i)
    if it.exclusions >= 0:
        drop_exclusions(s, i)
    s.agents[j].handled += 1
    s.agents[j].held += 1
    restart_idle(s, j)
    show(s, j)
    s.queues[q].connected += 1
    if s.queues[q].target >= 0 and wait <= s.queues[q].target:
        s.queues[q].in_target += 1
    arm_control(s, q)
    tell(s, EV_CONNECTED, i, j, number, wait)


cdef inline void make_offer(State* s, i32 i, i32 e, i32 j) noexcept nogil:
    """Offer an interaction to an agent through one of its entries; ``sync`` of the interaction follows."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 channel = it.channel
    cdef i64 timeout = s.queues[s.classes[s.entries[e].class_].queue].offer_timeout
    cdef i64 due = -1 if timeout < 0 else s.now + timeout
    cdef i64 seq = next_seq(s)
    cdef i32 o = new_offer(s)
    cdef Offer* offer
    if o < 0:
        return
    s.agents[j].offered = seq
    hold(s, j, channel, +1)
    tell(s, EV_OFFERED, i, j, seq << SLOT_BITS | o, due)
    if s.auto_accept:
        free_offer(s, o)
        connect(s, i, j, e, seq << SLOT_BITS | o)
        if grow(s, <void**> &s.connected, &s.cap_connected, s.n_connected + 1, sizeof(i32)):
            s.connected[s.n_connected] = i
            s.n_connected += 1
        return
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
    show(s, j)


# Asking ---------------------------------------------------------------------------------------------------------------


cdef inline void settle(State* s, i32 i) noexcept nogil:
    """Move every entry whose step is due into its next class; it keeps its place. ``place`` follows."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 e = it.entries
    cdef Class* class_
    while e >= 0:
        class_ = &s.classes[s.entries[e].class_]
        while class_.step_at >= 0 and it.step_from + class_.step_at <= s.now:
            leave_tree(s, e)
            class_.in_queue -= 1
            s.queues[class_.queue].length -= 1
            s.entries[e].class_ = class_.step_next
            if class_.step_tier >= 0:
                s.keys[e].a = class_.step_tier
            class_ = &s.classes[s.entries[e].class_]
            class_.in_queue += 1
            s.queues[class_.queue].length += 1
            tell(s, EV_STEPPED, i, -1, s.entries[e].class_, s.now - it.wait_from)
        e = s.entries[e].next


cdef inline void place(State* s, i32 i) noexcept nogil:
    """Agent selection for a waiting interaction, as far as its queue still makes offers."""
    cdef Interaction* it = &s.interactions[i]
    cdef i64 left
    cdef i32 e = -1, j, rank = 0, best_rank = -1
    if in_queue(it) and not offers_full(s, it):
        left = s.queues[s.classes[s.entries[it.entries].class_].queue].offers
        if left != OFFERS_ALL:
            left -= it.live
        while left:
            j = pick_agent(s, i, &e, &rank)
            if j < 0 or (left < 0 and best_rank >= 0 and rank > best_rank):
                break
            best_rank = rank
            make_offer(s, i, e, j)
            if s.auto_accept or s.failed:
                break
            if left > 0:
                left -= 1
    sync(s, i)


cdef inline void serve(State* s, i32 j) noexcept nogil:
    """Interaction selection for an agent, until he is full or nothing fits."""
    cdef i32 e, i
    while not s.failed:
        e = pick_entry(s, j)
        if e < 0:
            return
        i = s.entries[e].interaction
        make_offer(s, i, e, j)
        # While more offers may follow it stays where it is, with an opening that may be due at this very instant.
        if not in_queue(&s.interactions[i]) or offers_full(s, &s.interactions[i]):
            sync(s, i)


cdef inline bint reachable(State* s, i32 k) noexcept nogil:
    """Whether a group may serve the class, or one of the steps that follow it."""
    cdef i32 words = s.cap_groups >> 6
    cdef i32 w
    while True:
        for w in range(words):
            if s.openable[<i64> k * words + w]:
                return True
        if s.classes[k].step_at < 0:
            return False
        k = s.classes[k].step_next


cdef inline void arrive(State* s, i32 i) noexcept nogil:
    """Take the steps that are due at once, say so if nobody could ever serve it, and ask for an agent."""
    cdef i32 e
    settle(s, i)
    e = s.interactions[i].entries
    while e >= 0 and not reachable(s, s.entries[e].class_):
        e = s.entries[e].next
    if e < 0:
        tell(s, EV_UNMATCHED, i, -1, s.entries[s.interactions[i].entries].class_, -1)
    place(s, i)


# Agents ---------------------------------------------------------------------------------------------------------------


cdef inline void empty(State* s, i32 j) noexcept nogil:
    """A draining agent with nothing in hand is signed out."""
    if s.agents[j].presence == DRAINING and s.agents[j].held == 0:
        s.agents[j].presence = SIGNED_OUT
        tell(s, EV_PRESENCE, -1, j, SIGNED_OUT, EMPTY)


cdef inline void change_presence(State* s, i32 j, i32 presence, i64 reason, i32 first) noexcept nogil:
    """Move, withdraw what he was offered, and ask for those who lost it, ``first`` before the others."""
    cdef Agent* agent = &s.agents[j]
    cdef i32 before = s.n_work
    cdef i32 at
    if first >= 0:
        remember(s, first)
    if agent.presence == READY:
        while agent.offers >= 0:
            remember(s, s.offers[agent.offers].interaction)
            end_offer(s, agent.offers, EV_WITHDRAWN)
    agent.presence = presence
    tell(s, EV_PRESENCE, -1, j, presence, reason)
    if presence == READY:
        restart_idle(s, j)
        show(s, j)
        serve(s, j)
    else:
        show(s, j)
    empty(s, j)
    for at in range(before, s.n_work):
        place(s, s.work[at])
    s.n_work = before


cdef inline void serve_remembered(State* s) noexcept nogil:
    """Ask for every agent on the work list, in order, and clear it."""
    cdef i32 at
    for at in range(s.n_work):
        serve(s, s.work[at])
    s.n_work = 0


# Interactions ---------------------------------------------------------------------------------------------------------


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


cdef inline void enter(State* s, i32 i, const i32* classes, i32 n, i64 tier, i64 since) noexcept nogil:
    """Write the entries, count them in, and count the arrival once in each queue, least number first."""
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
    count_in(s, it, +1)
    q = next_queue(s, it, -1)
    while q >= 0:
        s.queues[q].entered += 1
        arm_control(s, q)
        q = next_queue(s, it, q)


cdef inline i32 do_enqueue(State* s, const i32* classes, i32 n, i64 tier, i64 since) noexcept nogil:
    cdef i64 seq = next_seq(s)
    cdef i32 i = new_interaction(s)
    cdef Interaction* it
    if i < 0:
        return -1
    it = &s.interactions[i]
    it.seq = seq
    it.wait_from = it.step_from = s.now
    it.clock = -1
    it.agent = it.offers = it.exclusions = it.heap_at = -1
    it.live = 0
    it.excluded = 0
    it.state = WAITING
    enter(s, i, classes, n, tier, since)
    if s.failed:
        return -1
    tell(s, EV_QUEUED, i, -1, s.classes[classes[0]].queue, tier)
    arrive(s, i)
    return i


cdef inline void gone(State* s, i32 i) noexcept nogil:
    drop_entries(s, i)
    if s.interactions[i].exclusions >= 0:
        drop_exclusions(s, i)
    free_interaction(s, i)


cdef inline void do_leave(State* s, i32 i) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    cdef i32 q
    withdraw(s, i, -1)
    q = next_queue(s, it, -1)
    while q >= 0:
        s.queues[q].abandoned += 1
        arm_control(s, q)
        q = next_queue(s, it, q)
    tell(s, EV_ABANDONED, i, -1, s.classes[s.entries[it.entries].class_].queue, s.now - it.wait_from)
    count_in(s, it, -1)
    gone(s, i)
    serve_remembered(s)


cdef inline void do_accept(State* s, i32 o) noexcept nogil:
    cdef Offer* offer = &s.offers[o]
    cdef i32 i = offer.interaction
    cdef i32 j = offer.agent
    cdef i32 e = offer.entry
    cdef i64 number = offer.seq << SLOT_BITS | o
    withdraw(s, i, o)
    unlink_offer(s, o)
    disarm(s, &offer.heap_at)
    free_offer(s, o)
    connect(s, i, j, e, number)
    serve_remembered(s)


cdef inline void do_decline(State* s, i32 o) noexcept nogil:
    cdef i32 i = s.offers[o].interaction
    cdef i32 j = s.offers[o].agent
    cdef i32 q = s.classes[s.entries[s.offers[o].entry].class_].queue
    end_offer(s, o, EV_DECLINED)
    exclude(s, i, j, q)
    place(s, i)
    serve(s, j)


cdef inline void do_expire(State* s, i32 o) noexcept nogil:
    """Redirection on no answer: the agent turns not ready, the interaction keeps its place."""
    cdef i32 i = s.offers[o].interaction
    cdef i32 j = s.offers[o].agent
    end_offer(s, o, EV_EXPIRED)
    change_presence(s, j, NOT_READY, NO_ANSWER, i)


cdef inline void wrap_up(State* s, i32 i, i64 length) noexcept nogil:
    """The conversation is over; wrap-up begins (-1: until released)."""
    cdef Interaction* it = &s.interactions[i]
    cdef i64 handled = s.now - it.clock
    it.state = WRAP_UP
    it.clock = -1 if length < 0 else s.now + length
    tell(s, EV_FINISHED, i, it.agent, handled, it.clock)
    if length > 0:
        arm(s, it.clock, WRAP_UP_END, it.seq, i)


cdef inline void let_go(State* s, i32 j, i32 channel) noexcept nogil:
    """Capacity comes back from a connected interaction."""
    hold(s, j, channel, -1)
    s.agents[j].held -= 1
    restart_idle(s, j)
    show(s, j)
    empty(s, j)


cdef inline void do_release(State* s, i32 i) noexcept nogil:
    cdef i32 j = s.interactions[i].agent
    cdef i32 channel = s.interactions[i].channel
    tell(s, EV_RELEASED, i, j, -1, -1)
    disarm(s, &s.interactions[i].heap_at)
    gone(s, i)
    let_go(s, j, channel)
    serve(s, j)


cdef inline void leave_agent(State* s, i32 i, i32 q) noexcept nogil:
    """A connected interaction leaves its agent, who is excluded as after a decline."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = it.agent
    it.agent = -1
    it.clock = -1
    exclude(s, i, j, q)
    let_go(s, j, it.channel)


cdef inline void do_requeue(State* s, i32 i) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = it.agent
    cdef i32 q = s.classes[s.entries[it.entries].class_].queue
    cdef i64 away = s.now - it.clock
    it.wait_from += away
    it.step_from += away
    it.state = WAITING
    count_in(s, it, +1)
    tell(s, EV_REQUEUED, i, j, q, s.now - it.wait_from)
    leave_agent(s, i, q)
    settle(s, i)
    place(s, i)
    serve(s, j)


cdef inline void do_transfer(State* s, i32 i, const i32* classes, i32 n, i64 tier, i64 since) noexcept nogil:
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = it.agent
    cdef i32 q
    if it.state == CONNECTED:
        it.wait_from += s.now - it.clock
        remember(s, j)
    else:
        withdraw(s, i, -1)
        count_in(s, it, -1)
    drop_entries(s, i)
    if it.exclusions >= 0:
        drop_exclusions(s, i)
    it.state = WAITING
    it.step_from = s.now
    enter(s, i, classes, n, tier, since)
    if s.failed:
        return
    q = s.classes[classes[0]].queue
    tell(s, EV_TRANSFERRED, i, j, q, s.now - it.wait_from)
    if j >= 0:
        leave_agent(s, i, q)
    arrive(s, i)
    serve_remembered(s)


# Deadlines ------------------------------------------------------------------------------------------------------------


cdef inline void fire(State* s) noexcept nogil:
    """Fire the soonest deadline, at its own time."""
    cdef Deadline item = s.heap[0]
    cdef i32 i
    if item.due > s.now:
        s.now = item.due
    if item.kind == WRAP_UP_END:
        do_release(s, item.what)
    elif item.kind == OFFER_EXPIRY:
        do_expire(s, item.what)
    elif item.kind == EXCLUSION_END:
        i = s.exclusions[item.what].interaction
        drop_exclusion(s, item.what)
        place(s, i)
    elif item.kind == STEP:
        i = s.entries[item.what].interaction
        disarm(s, &s.entries[item.what].heap_at)
        settle(s, i)
        withdraw_excess(s, i)
        place(s, i)
        serve_remembered(s)
    elif item.kind == OPENING:
        i = s.entries[item.what].interaction
        disarm(s, &s.entries[item.what].heap_at)
        place(s, i)
    else:
        disarm(s, &s.queues[item.what].heap_at)
        s.queues[item.what].control_due = -1
        tell(s, EV_REVISION_DUE, -1, -1, item.what, s.queues[item.what].version)


cdef inline void advance(State* s, i64 now) noexcept nogil:
    """Fire every deadline up to ``now``."""
    while s.n_heap and s.heap[0].due <= now and not s.failed:
        fire(s)
    s.now = now
