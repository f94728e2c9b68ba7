"""Where interactions are: numbers, their places in the orders of classes, and what ties them to agents."""

from omniroute.core.conditions cimport look
from omniroute.core.deadlines cimport arm, disarm
from omniroute.core.layout cimport *
from omniroute.core.order cimport insert, remove
from omniroute.core.selection cimport in_queue, is_bound, offers_full, omni_ctz

cdef enum:
    FORGIVE_MS = 5000


# Numbers --------------------------------------------------------------------------------------------------------------


cdef inline i32 new_interaction(State* s) noexcept nogil:
    """A free number, the last freed first; -1 where memory ran out."""
    cdef i32 i = s.free_interaction
    if i >= 0:
        s.free_interaction = s.interactions[i].entries
        s.n_free_interactions -= 1
    else:
        i = s.n_interactions
        if not grow_interactions(s, i + 1):
            return -1
        if i % AHEAD == 0:
            touch(s.interactions, i, s.cap_interactions, sizeof(Interaction))
        s.n_interactions += 1
    s.gaps[i] = 0
    return i


cdef inline bint grow_interactions(State* s, i32 n) noexcept nogil:
    """Make room for so many interactions; False where memory ran out."""
    cdef i32 cap = s.cap_interactions
    if not grow(s, <void**> &s.gaps, &cap, n, sizeof(i32)):
        return False
    return grow(s, <void**> &s.interactions, &s.cap_interactions, n, sizeof(Interaction))


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
    if e % AHEAD == 0:
        touch(s.entries, e, s.cap_entries, sizeof(Entry))
        touch(s.links, e, s.cap_entries, sizeof(Link))
        touch(s.keys, e, s.cap_entries, sizeof(Key))
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


cdef inline u64* marks(State* s, i32 k) noexcept nogil:
    """Where it is marked whether somebody waits in a class: for offers at once, or held by a window."""
    cdef i32 w = s.classes[k].window if s.n_windows else -1
    return &s.nonempty[k >> 6] if w < 0 else &s.held[<i64> w * (s.cap_classes >> 6) + (k >> 6)]


cdef inline void leave_tree(State* s, i32 e) noexcept nogil:
    """Take an entry out of its class's order, if it is in it."""
    cdef i32 k
    if s.links[e].size:
        k = s.entries[e].class_
        if is_bound(s, &s.interactions[s.entries[e].interaction]):
            remove(s.links, s.keys, &s.classes[k].bound, e)
            return
        remove(s.links, s.keys, &s.classes[k].root, e)
        if s.classes[k].root.root < 0:
            marks(s, k)[0] &= ~(<u64> 1 << (k & 63))


cdef inline void join_tree(State* s, i32 e, bint bound) noexcept nogil:
    """Put an entry into its class's order, or into that of entries for certain agents only."""
    cdef i32 k = s.entries[e].class_
    if bound:
        insert(s.links, s.keys, &s.classes[k].bound, e)
        return
    insert(s.links, s.keys, &s.classes[k].root, e)
    marks(s, k)[0] |= <u64> 1 << (k & 63)


cdef inline void arm_entry(State* s, Interaction* it, i32 e) noexcept nogil:
    """Set the entry's one deadline: its next step or, while it may be offered, its next opening."""
    cdef Class* class_ = &s.classes[s.entries[e].class_]
    cdef i64 due = -1
    cdef i64 age, opening
    cdef i32 kind = STEP
    cdef i32 low, high, middle
    if class_.step_at >= 0 and in_queue(it):
        due = it.step_from + class_.step_at
        if due <= s.now and class_.step_when >= 0 and not s.conditions[class_.step_when].holds:
            due = -1  # the condition's flip takes it
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


cdef inline void rearm_class(State* s, i32 k) noexcept nogil:
    """Set the deadlines of all entries of a class anew. O(interactions), only when somebody is in it."""
    cdef i32 i, e
    if s.classes[k].in_queue == 0:
        return
    for i in range(s.n_interactions):
        if in_queue(&s.interactions[i]):
            e = s.interactions[i].entries
            while e >= 0:
                if s.entries[e].class_ == k:
                    arm_entry(s, &s.interactions[i], e)
                e = s.entries[e].next


cdef inline void forgo_step(State* s, i32 e) noexcept nogil:
    """A due step waits for its condition: what comes after it has the deadline, also what is due at this instant."""
    cdef Class* class_ = &s.classes[s.entries[e].class_]
    cdef i32 x
    disarm(s, &s.entries[e].heap_at)
    arm_entry(s, &s.interactions[s.entries[e].interaction], e)
    for x in range(class_.openings_length if s.links[e].size else 0):
        if s.keys[e].b + class_.openings[x] == s.now:
            arm(s, s.now, OPENING, s.keys[e].c, e)


cdef inline i32 forgone(State* s, i32 at) noexcept nogil:
    """A place in the heap, from ``at`` down, of a due step whose condition does not hold any more; -1: none."""
    cdef i32 found, when
    if at >= s.n_heap or s.heap[at].due > s.now:
        return -1
    if s.heap[at].kind == STEP:
        when = s.classes[s.entries[s.heap[at].what].class_].step_when
        if when >= 0 and not s.conditions[when].holds:
            return at
    found = forgone(s, 2 * at + 1)
    return found if found >= 0 else forgone(s, 2 * at + 2)


cdef inline void forgo_steps(State* s) noexcept nogil:
    """Take out every due step whose condition does not hold any more. O(deadlines that are due)."""
    cdef i32 at = forgone(s, 0)
    while at >= 0:
        forgo_step(s, s.heap[at].what)
        at = forgone(s, 0)


cdef inline void sync(State* s, i32 i) noexcept nogil:
    """Put the entries where the interaction's state says: in order while it may be offered, out otherwise."""
    cdef Interaction* it = &s.interactions[i]
    cdef bint seeking = in_queue(it) and not offers_full(s, it)
    cdef bint bound = it.ties >= 0 and is_bound(s, it)
    cdef i32 e = it.entries
    cdef i32 k
    while e >= 0:
        k = s.entries[e].class_
        if not seeking:
            leave_tree(s, e)
        elif not s.links[e].size:
            join_tree(s, e, bound)
        if s.entries[e].heap_at >= 0 or s.classes[k].step_at >= 0 or s.classes[k].openings_length:
            arm_entry(s, it, e)
        e = s.entries[e].next


cdef inline void leave_orders(State* s, i32 i) noexcept nogil:
    """Take every entry of what is not in a queue any more out of its class's order, and its deadline."""
    cdef i32 e = s.interactions[i].entries
    while e >= 0:
        leave_tree(s, e)
        disarm(s, &s.entries[e].heap_at)
        e = s.entries[e].next


cdef inline void count_entries(State* s, Interaction* it, i32 sign) noexcept nogil:
    """Count the entries into (+1) or out of (-1) their queues and classes; conditions look when the move is whole."""
    cdef i32 e = it.entries
    cdef Class* class_
    while e >= 0:
        class_ = &s.classes[s.entries[e].class_]
        class_.in_queue += sign
        s.queues[class_.queue].length += sign
        e = s.entries[e].next


cdef inline void count_in(State* s, Interaction* it, i32 sign) noexcept nogil:
    """Count the entries into (+1) or out of (-1) their queues and classes, and look at conditions again."""
    count_entries(s, it, sign)
    if s.n_conditions:
        look(s)


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


cdef inline void arm_estimates(State* s) noexcept nogil:
    if s.estimates_every > 0 and s.estimates_due < 0:
        s.estimates_due = s.now + s.estimates_every
        arm(s, s.estimates_due, ESTIMATES, 0, 0)


cdef inline void first_entry(State* s, i32 i, i32 e) noexcept nogil:
    """Make the entry that won the first one of its interaction; the others keep their order."""
    cdef i32* at = &s.interactions[i].entries
    while at[0] != e:
        at = &s.entries[at[0]].next
    at[0] = s.entries[e].next
    s.entries[e].next = s.interactions[i].entries
    s.interactions[i].entries = e


# Ties -----------------------------------------------------------------------------------------------------------------


cdef inline void drop_tie(State* s, i32 x) noexcept nogil:
    """Forget one tie, from both ends; ``place`` or ``sync`` follows where it bound the interaction."""
    cdef Tie* cell = &s.ties[x]
    cdef Interaction* it = &s.interactions[cell.interaction]
    cdef i32* at = &it.ties
    cdef i32 e
    if cell.kind >= ONLY:
        e = it.entries
        while e >= 0:
            leave_tree(s, e)
            e = s.entries[e].next
    while at[0] != x:
        at = &s.ties[at[0]].next_of_interaction
    at[0] = cell.next_of_interaction
    it.tied -= 1
    if cell.prev_of_agent >= 0:
        s.ties[cell.prev_of_agent].next_of_agent = cell.next_of_agent
    else:
        s.agents[cell.agent].ties = cell.next_of_agent
    if cell.next_of_agent >= 0:
        s.ties[cell.next_of_agent].prev_of_agent = cell.prev_of_agent
    disarm(s, &cell.heap_at)
    cell.interaction = NONE
    cell.next_of_interaction = s.free_tie
    s.free_tie = x


cdef inline void drop_ties(State* s, i32 i) noexcept nogil:
    while s.interactions[i].ties >= 0:
        drop_tie(s, s.interactions[i].ties)


cdef inline void part_for_now(State* s, i32 i) noexcept nogil:
    """Forget the ties of the time that an interaction waited."""
    cdef i32 x = s.interactions[i].ties
    cdef i32 after
    while x >= 0:
        after = s.ties[x].next_of_interaction
        if s.ties[x].until != UNTIL_GONE:
            drop_tie(s, x)
        x = after


cdef inline void part(State* s, i32 i, i32 j, i32 least) noexcept nogil:
    """Forget what ties an interaction to an agent, but for what is less than a kind."""
    cdef i32 x = s.interactions[i].ties
    cdef i32 after
    while x >= 0:
        after = s.ties[x].next_of_interaction
        if s.ties[x].agent == j and s.ties[x].kind >= least:
            drop_tie(s, x)
        x = after


cdef inline void tie(State* s, i32 i, i32 j, i32 kind, i64 until, i64 seq) noexcept nogil:
    """Append a tie to the interaction's list; the oldest for now gives way to a 65th. What binds is in no tree."""
    cdef Interaction* it = &s.interactions[i]
    cdef Tie* cell
    cdef i32* at
    cdef i32 x
    if it.tied == TIES:
        x = it.ties
        while x >= 0 and s.ties[x].until == UNTIL_GONE:
            x = s.ties[x].next_of_interaction
        drop_tie(s, x if x >= 0 else it.ties)
    x = s.free_tie
    if x >= 0:
        s.free_tie = s.ties[x].next_of_interaction
    else:
        x = s.n_ties
        if not grow(s, <void**> &s.ties, &s.cap_ties, x + 1, sizeof(Tie)):
            return
        s.n_ties += 1
        s.ties[x].heap_at = -1
    cell = &s.ties[x]
    cell.interaction = i
    cell.agent = j
    cell.kind = kind
    cell.until = until
    cell.seq = seq
    cell.next_of_interaction = -1
    at = &it.ties
    while at[0] >= 0:
        at = &s.ties[at[0]].next_of_interaction
    at[0] = x
    it.tied += 1
    cell.prev_of_agent = -1
    cell.next_of_agent = s.agents[j].ties
    if cell.next_of_agent >= 0:
        s.ties[cell.next_of_agent].prev_of_agent = x
    s.agents[j].ties = x
    if until >= 0:
        arm(s, until, TIE_END, seq, x)


cdef inline bint all_declined(State* s, i32 i) noexcept nogil:
    """Whether everybody who could take an interaction is kept from it. O(entries * groups + ties**2)."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 words = s.cap_groups >> 6
    cdef bint bound = is_bound(s, it)
    cdef i32 able = 0, kept = 0, x, y, w, e, j
    cdef u64 bits
    if bound:
        x = it.ties
        while x >= 0:
            able += s.ties[x].kind >= ONLY and s.agents[s.ties[x].agent].presence != SIGNED_OUT
            x = s.ties[x].next_of_interaction
    else:
        for w in range(words):
            bits = 0
            e = it.entries
            while e >= 0:
                bits |= s.ever[<i64> s.entries[e].class_ * words + w]
                e = s.entries[e].next
            while bits:
                able += s.groups[(w << 6) + omni_ctz(bits)].staffed
                bits &= bits - 1
    if able == 0:
        return False
    x = it.ties
    while x >= 0:
        j = s.ties[x].agent
        if s.ties[x].kind == FORBID and s.agents[j].presence != SIGNED_OUT and (
                is_only(s, it, j) if bound else may_ever(s, it, j)):
            y = it.ties
            while y != x and not (s.ties[y].kind == FORBID and s.ties[y].agent == j):
                y = s.ties[y].next_of_interaction
            kept += y == x
        x = s.ties[x].next_of_interaction
    return kept == able


cdef inline bint is_only(State* s, Interaction* it, i32 j) noexcept nogil:
    cdef i32 x = it.ties
    while x >= 0:
        if s.ties[x].kind >= ONLY and s.ties[x].agent == j:
            return True
        x = s.ties[x].next_of_interaction
    return False


cdef inline bint may_ever(State* s, Interaction* it, i32 j) noexcept nogil:
    """Whether the requirement of one of its entries holds for agent j."""
    cdef i32 g = s.agents[j].group
    cdef i32 e = it.entries
    while e >= 0:
        if (s.ever[<i64> s.entries[e].class_ * (s.cap_groups >> 6) + (g >> 6)] >> (g & 63)) & 1:
            return True
        e = s.entries[e].next
    return False


cdef inline void forgive(State* s, i32 i, bint always) noexcept nogil:
    """When everybody who could take it is kept from it, end that soon, so that nobody waits for nothing."""
    cdef Interaction* it = &s.interactions[i]
    cdef bint lasting = False
    cdef i32 x = it.ties
    while x >= 0:
        lasting = lasting or (s.ties[x].kind == FORBID and s.ties[x].until == NONE)
        x = s.ties[x].next_of_interaction
    if not (always or lasting) or not in_queue(it) or not all_declined(s, i):
        return
    x = it.ties
    while x >= 0:
        if s.ties[x].kind == FORBID and s.ties[x].until == NONE:
            s.ties[x].until = s.now + FORGIVE_MS
            arm(s, s.ties[x].until, TIE_END, s.ties[x].seq, x)
        x = s.ties[x].next_of_interaction
    tell(s, EV_ALL_DECLINED, i, -1, s.classes[s.entries[it.entries].class_].queue, s.now - it.wait_from)


cdef inline void exclude(State* s, i32 i, i32 j, i32 q) noexcept nogil:
    """Keep an interaction from an agent for the queue's retry time, or until everybody has declined."""
    cdef i64 retry_after = s.queues[q].retry_after
    tie(s, i, j, FORBID, -1 if retry_after < 0 else s.now + retry_after, next_seq(s))
    forgive(s, i, True)
