"""The two questions. Each costs the classes or groups that could answer it, plus the exclusions of the one who asks."""

from omniroute.core.layout cimport (
    LEAST_LOADED,
    LONGEST_IDLE,
    NEVER,
    FEWEST_HANDLED,
    FIXED_ORDER,
    OFFERED,
    OFFERS_ALL,
    READY,
    WAITING,
    Agent,
    Class,
    Group,
    InPair,
    Interaction,
    Key,
    Lane,
    OutPair,
    State,
    i32,
    i64,
    u64,
    uint32_t,
)
from omniroute.core.order cimport first_of_later_tier, following, insert, less, remove

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline int omni_ctz(unsigned long long x) { unsigned long n; _BitScanForward64(&n, x); return (int)n; }
    #else
    static inline int omni_ctz(unsigned long long x) { return __builtin_ctzll(x); }
    #endif
    """
    int omni_ctz(u64 x) noexcept nogil


cdef inline bint is_open(State* s, i64 since, i32 opens) noexcept nogil:
    """Whether a pair is open for an entry of this ordering instant; 0 opens at once."""
    return opens == 0 or (opens != NEVER and s.now - since >= opens)


cdef inline bint in_queue(Interaction* it) noexcept nogil:
    return it.state == WAITING or it.state == OFFERED


cdef inline bint offers_full(State* s, Interaction* it) noexcept nogil:
    """Whether the interaction has all the live offers that its queue makes at a time."""
    cdef i64 offers = s.queues[s.classes[s.entries[it.entries].class_].queue].offers
    if offers == OFFERS_ALL:
        return it.live > 0
    return it.live >= offers


cdef inline bint excluded(State* s, Interaction* it, i32 j) noexcept nogil:
    cdef i32 x = it.exclusions
    while x >= 0:
        if s.exclusions[x].agent == j:
            return True
        x = s.exclusions[x].next_of_interaction
    return False


cdef inline bint already_offered(State* s, i32 i, i32 j) noexcept nogil:
    """Whether agent j has a live offer of interaction i: a walk over his offers, of which he has few."""
    cdef i32 o = s.agents[j].offers
    cdef i32 first = o
    while o >= 0:
        if s.offers[o].interaction == i:
            return True
        o = s.offers[o].next_of_agent
        if o == first:
            break
    return False


cdef inline bint barred(State* s, Interaction* it, i32 i, i32 j) noexcept nogil:
    """Whether the pair list or a live offer keeps this interaction from this agent."""
    return (it.exclusions >= 0 and excluded(s, it, j)) or (it.live > 0 and already_offered(s, i, j))


# Agents in their lanes ------------------------------------------------------------------------------------------------


cdef inline Key key_of(State* s, i32 j, i32 kind) noexcept nogil:
    """What orders an agent among equals."""
    cdef Agent* agent = &s.agents[j]
    cdef Key key
    key.a = agent.idle_since if s.groups[agent.group].idle_rate else 0
    key.c = agent.stamp
    if kind == LONGEST_IDLE:
        key.b = agent.idle_since
    elif kind == FEWEST_HANDLED:
        key.b = agent.handled
    elif kind == LEAST_LOADED:
        key.b = agent.used
    elif kind == FIXED_ORDER:
        key.b = agent.order
    else:
        key.b = agent.offered
    return key


cdef inline void leave_lane(State* s, Lane* lane, i32 j, i32 g) noexcept nogil:
    remove(lane.links, lane.keys, &lane.roots[g], j)
    if lane.roots[g].root < 0:
        lane.available[g >> 6] &= ~(<u64> 1 << (g & 63))


cdef inline void show(State* s, i32 j) noexcept nogil:
    """Bring the lanes up to date with the agent's presence, capacity and keys. O(lanes * log agents)."""
    cdef Agent* agent = &s.agents[j]
    cdef Group* group = &s.groups[agent.group]
    cdef i32 g = agent.group
    cdef i32 c, l
    cdef uint32_t room = 0
    cdef Lane* lane
    cdef Key key
    if agent.presence == READY:
        for c in range(s.n_channels):
            if agent.used + s.loads[c] <= group.units and s.counts[j * 32 + c] < group.at_most[c]:
                room |= <uint32_t> 1 << c
    agent.room = room
    for l in range(s.n_lanes):
        lane = s.lanes[l]
        if not (room >> lane.channel) & 1:
            if lane.links[j].size:
                leave_lane(s, lane, j, g)
            continue
        key = key_of(s, j, lane.key)
        if lane.links[j].size:
            if key.a == lane.keys[j].a and key.b == lane.keys[j].b and key.c == lane.keys[j].c:
                continue
            remove(lane.links, lane.keys, &lane.roots[g], j)
        lane.keys[j] = key
        insert(lane.links, lane.keys, &lane.roots[g], j)
        lane.available[g >> 6] |= <u64> 1 << (g & 63)


cdef inline void hide(State* s, i32 j) noexcept nogil:
    """Take the agent out of every lane, before he changes group."""
    cdef i32 l
    for l in range(s.n_lanes):
        if s.lanes[l].links[j].size:
            leave_lane(s, s.lanes[l], j, s.agents[j].group)
    s.agents[j].room = 0


# The questions --------------------------------------------------------------------------------------------------------


cdef inline i32 pick_agent(State* s, i32 i, i32* entry_out, i32* rank_out) noexcept nogil:
    """Agent selection: who should get interaction i, through which entry, at which rank; -1: nobody now.

    O(entries * groups that could answer + barred agents).
    """
    cdef Interaction* it = &s.interactions[i]
    cdef i32 words = s.cap_groups >> 6
    cdef i32 best = -1, best_rank = 0, e = it.entries
    cdef i32 w, g, n
    cdef i64 best_cost = 0, cost, since
    cdef Key best_key = [0, 0, 0], key
    cdef u64 bits
    cdef u64* openable
    cdef Class* class_
    cdef Lane* lane
    cdef OutPair* row
    cdef OutPair* pair
    cdef Group* group
    while e >= 0:
        class_ = &s.classes[s.entries[e].class_]
        since = s.keys[e].b
        lane = s.lanes[class_.lane]
        row = &s.out[<i64> s.entries[e].class_ * s.cap_groups]
        openable = &s.openable[<i64> s.entries[e].class_ * words]
        for w in range(words):
            bits = openable[w] & lane.available[w]
            while bits:
                g = (w << 6) + omni_ctz(bits)
                bits &= bits - 1
                pair = &row[g]
                if (best >= 0 and pair.rank > best_rank) or not is_open(s, since, pair.opens):
                    continue
                n = lane.roots[g].first
                while n >= 0 and barred(s, it, i, n):
                    n = following(lane.links, n)
                if n < 0:
                    continue
                group = &s.groups[g]
                cost = pair.cost + group.term
                if group.idle_rate:
                    cost -= group.idle_rate * (s.now - s.agents[n].idle_since)
                key = lane.keys[n]
                if (best < 0 or pair.rank < best_rank or cost < best_cost
                        or (cost == best_cost and less(&key, &best_key))):
                    best = n
                    best_rank = pair.rank
                    best_cost = cost
                    best_key = key
                    entry_out[0] = e
        e = s.entries[e].next
    rank_out[0] = best_rank
    return best


cdef inline i32 first_open(State* s, Class* class_, i32 j, i32 opens) noexcept nogil:
    """The first entry of a class, by (tier, since, seq), that is open and not barred for agent j; -1: none."""
    cdef i32 e = class_.root.first
    cdef i32 i
    while e >= 0:
        if not is_open(s, s.keys[e].b, opens):
            # Behind it in its tier everybody is younger: go on with the next tier.
            e = first_of_later_tier(s.links, s.keys, &class_.root, s.keys[e].a)
            continue
        i = s.entries[e].interaction
        if not barred(s, &s.interactions[i], i, j):
            return e
        e = following(s.links, e)
    return -1


cdef struct Candidate:  # a place in interaction selection; entry -1: none yet
    i32 entry
    i32 rank
    i64 weight
    Key key


cdef inline bint beats(Candidate* p, Candidate* q) noexcept nogil:
    """Whether p is taken before q: least rank, least tier, most weight, then since, then sequence."""
    if q.entry < 0:
        return True
    if p.rank != q.rank:
        return p.rank < q.rank
    if p.key.a != q.key.a:
        return p.key.a < q.key.a
    if p.weight != q.weight:
        return p.weight > q.weight
    if p.key.b != q.key.b:
        return p.key.b < q.key.b
    return p.key.c < q.key.c


cdef inline i32 pick_entry(State* s, i32 j) noexcept nogil:
    """Interaction selection: the entry that agent j should get next; -1: none.

    O(classes with somebody waiting that he could serve + barred entries). Nobody in a class beats its head, so a class
    whose head has lost already is left without looking at its entries.
    """
    cdef Agent* agent = &s.agents[j]
    cdef i32 words = s.cap_classes >> 6
    cdef i32 w, k, i
    cdef u64 bits
    cdef u64* serves
    cdef InPair* row
    cdef InPair* pair
    cdef Class* class_
    cdef Candidate best, found
    best.entry = -1
    if agent.room == 0:
        return -1
    serves = &s.serves[<i64> agent.group * words]
    row = &s.in_[<i64> agent.group * s.cap_classes]
    for w in range(words):
        bits = serves[w] & s.nonempty[w]
        while bits:
            k = (w << 6) + omni_ctz(bits)
            bits &= bits - 1
            class_ = &s.classes[k]
            if not (agent.room >> class_.channel) & 1:
                continue
            pair = &row[k]
            found.entry = class_.root.first
            found.rank = pair.rank
            found.key = class_.root.head
            found.weight = (class_.age_rate * (s.now - found.key.b) + class_.offset - pair.cost
                            + class_.length_rate * s.queues[class_.queue].length)
            if not beats(&found, &best):
                continue
            i = s.entries[found.entry].interaction
            if not is_open(s, found.key.b, pair.opens) or barred(s, &s.interactions[i], i, j):
                found.entry = first_open(s, class_, j, pair.opens)
                if found.entry < 0:
                    continue
                found.weight += class_.age_rate * (found.key.b - s.keys[found.entry].b)
                found.key = s.keys[found.entry]
                if not beats(&found, &best):
                    continue
            best = found
    return best.entry
