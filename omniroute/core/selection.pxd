"""The two questions. Each costs the classes or groups that could answer it, plus the ties of the one who asks."""

from omniroute.core.conditions cimport look, recount
from omniroute.core.keys cimport due, key_of, lot_of, mixed, omni_rare
from omniroute.core.layout cimport *
from omniroute.core.order cimport first_of_later_tier, following, join, less, part

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline int omni_ctz(unsigned long long x) { unsigned long n; _BitScanForward64(&n, x); return (int)n; }
    #else
    static inline int omni_ctz(unsigned long long x) { return __builtin_ctzll(x); }
    #endif
    #if defined(__GNUC__)
    #define omni_soon(at) __builtin_prefetch(at)
    #else
    #define omni_soon(at) ((void)(at))
    #endif
    """
    int omni_ctz(u64 x) noexcept nogil
    void omni_soon(void* at) noexcept nogil  # it will be read soon: fetch it while other work goes on


cdef inline bint is_open(State* s, i64 since, i32 opens) noexcept nogil:
    """Whether a pair is open for an entry of this ordering instant; 0 opens at once."""
    return opens == 0 or (opens != NEVER and s.now - since >= opens)


cdef inline bint in_queue(Interaction* it) noexcept nogil:
    return it.state == WAITING or it.state == OFFERED


cdef inline bint offers_full(State* s, Interaction* it) noexcept nogil:
    """Whether the interaction has all the live offers that its queue makes at this instant."""
    cdef Queue* queue = &s.queues[s.classes[s.entries[it.entries].class_].queue]
    if queue.every > 0 and it.live > 0 and it.clock >= 0:
        return True
    if queue.offers == OFFERS_ALL:
        return it.live > 0 and queue.every <= 0
    return it.live >= queue.offers


cdef inline bint excluded(State* s, Interaction* it, i32 j) noexcept nogil:
    """Whether a tie keeps an interaction from an agent."""
    cdef i32 x = it.ties
    while x >= 0:
        if s.ties[x].agent == j and s.ties[x].kind == FORBID:
            return True
        x = s.ties[x].next_of_interaction
    return False


cdef inline bint is_bound(State* s, Interaction* it) noexcept nogil:
    """Whether an interaction is for certain agents only."""
    cdef i32 x = it.ties
    while x >= 0:
        if s.ties[x].kind >= ONLY:
            return True
        x = s.ties[x].next_of_interaction
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
    return (it.ties >= 0 and excluded(s, it, j)) or (it.live > 0 and already_offered(s, i, j))


# Agents in their lanes ------------------------------------------------------------------------------------------------


cdef inline void leave_lane(State* s, Lane* lane, i32 j, i32 g, i32 band) noexcept nogil:
    cdef Root* root = &lane.roots[<i64> band * s.cap_groups + g]
    part(lane.links, lane.keys, root, j)
    if root.root < 0:
        lane.available[band * (s.cap_groups >> 6) + (g >> 6)] &= ~(<u64> 1 << (g & 63))


cdef inline uint32_t held_pools(State* s, i32 j) noexcept nogil:
    """The pools of which an agent holds something, as bits."""
    return s.agents[j].pools


cdef inline bint fits(State* s, i32 j, i32 c, uint32_t held) noexcept nogil:
    """Whether there is room for one more of a channel; what gives way to it takes none. O(pools)."""
    cdef Agent* agent = &s.agents[j]
    cdef Group* group = &s.groups[agent.group]
    cdef Channel* channel = &s.channels[c]
    cdef uint32_t giving_way = group.interrupts[c] & held
    cdef uint32_t bits
    cdef i64 used = agent.used
    cdef i32 p
    if held & ~group.allow[c] & ~giving_way:
        return False
    bits = giving_way
    while bits:
        p = omni_ctz(bits)
        bits &= bits - 1
        used -= s.counts[j * POOLS + p] * s.pool_load[p]
    if used + channel.load > group.units:
        return False
    bits = channel.pools
    while bits:
        p = omni_ctz(bits)
        bits &= bits - 1
        if s.counts[j * POOLS + p] >= group.at_most[p]:
            return False
    return True


cdef inline uint32_t rooms(State* s, i32 j, uint32_t* band_out) noexcept nogil:
    """The channels of which a ready agent has room for one more; of these, those that would interrupt something."""
    cdef Agent* agent = &s.agents[j]
    cdef Group* group = &s.groups[agent.group]
    cdef uint32_t held = agent.pools
    cdef uint32_t room = 0, band = 0
    cdef i32 c
    if group.units - agent.used < s.least_load and not s.interrupting:
        return 0
    for c in range(s.n_channels):
        if not (agent.ringing >> c) & 1 and fits(s, j, c, held):
            room |= <uint32_t> 1 << c
            if group.interrupts[c] & held:
                band |= <uint32_t> 1 << c
    band_out[0] = band
    return room


cdef inline void line_up(State* s, i32 j, uint32_t room, uint32_t band) noexcept nogil:
    """Bring the lanes up to date with where an agent has room now. O(lanes * log agents)."""
    cdef Agent* agent = &s.agents[j]
    cdef i32 g = agent.group
    cdef i32 l, before, after, n = s.n_lanes
    cdef Lane* lanes = s.lanes
    cdef Lane* lane
    cdef Link* link
    cdef Key* old
    cdef Key key
    for l in range(n):
        lane = &lanes[l]
        link = &lane.links[j]
        before = (agent.band >> lane.channel) & 1
        if not (room >> lane.channel) & 1:
            if link.size:
                leave_lane(s, lane, j, g, before)
            continue
        if omni_rare(lane.queue >= 0) and not (lane.members[g >> 6] >> (g & 63)) & 1:
            continue
        after = (band >> lane.channel) & 1
        key = key_of(s, j, lane.key, lane.queue)
        old = &lane.keys[j]
        if link.size:
            if before == after and key.a == old.a and key.b == old.b and key.c == old.c:
                continue
            leave_lane(s, lane, j, g, before)
        old[0] = key
        join(lane.links, lane.keys, &lane.roots[<i64> after * s.cap_groups + g], j)
        lane.available[after * (s.cap_groups >> 6) + (g >> 6)] |= <u64> 1 << (g & 63)


cdef inline void show(State* s, i32 j) noexcept nogil:
    """Bring the lanes and gauges up to date with the agent's presence, capacity and keys. O(lanes * log agents)."""
    cdef Agent* agent = &s.agents[j]
    cdef i32 shown = agent.presence != SIGNED_OUT
    cdef uint32_t room = 0, band = 0
    if agent.presence == READY and agent.rest < 0:
        room = rooms(s, j, &band)
        if agent.offers < 0 and agent.held == 0:
            shown |= 2
    if s.n_gauges:
        recount(s, j, room, shown)
    agent.shown = shown
    if room | agent.room:
        line_up(s, j, room, band)
    agent.room = room
    agent.band = band
    if s.n_conditions:
        look(s)


cdef inline void show_group(State* s, i32 g) noexcept nogil:
    """``show`` for the agents who are in a group now. O(agents)."""
    cdef i32 j
    for j in range(s.n_agents):
        if s.agents[j].group == g:
            show(s, j)


cdef inline void hide(State* s, i32 j) noexcept nogil:
    """Take the agent out of every lane and gauge, before he changes group."""
    cdef i32 l
    for l in range(s.n_lanes):
        if s.lanes[l].links[j].size:
            leave_lane(s, &s.lanes[l], j, s.agents[j].group, (s.agents[j].band >> s.lanes[l].channel) & 1)
    if s.n_gauges:
        recount(s, j, 0, 0)
    s.agents[j].shown = 0
    s.agents[j].room = 0
    s.agents[j].band = 0


# The questions --------------------------------------------------------------------------------------------------------


cdef inline bint may_take(State* s, i32 e, i32 j, i32 kind) noexcept nogil:
    """Whether requirement, condition and opening let agent j take entry e; a tie of this kind may ignore them."""
    cdef i32 k = s.entries[e].class_
    cdef i32 g = s.agents[j].group
    if kind == PREFER_ANY or kind == ONLY_ANY:
        return True
    if not (s.openable[<i64> k * (s.cap_groups >> 6) + (g >> 6)] >> (g & 63)) & 1:
        return False
    return is_open(s, s.keys[e].b, s.out[<i64> k * s.wide + g].opens)


cdef inline i32 pick_wished(State* s, i32 i, i32* entry_out) noexcept nogil:
    """The first agent whom the interaction prefers, or who alone may have it, and who may take it now; -1: none."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 x = it.ties
    cdef i32 least = ONLY if is_bound(s, it) else PREFER
    cdef i32 e, j
    while x >= 0:
        j = s.ties[x].agent
        if s.ties[x].kind >= least and (s.agents[j].room >> it.channel) & 1 and not barred(s, it, i, j):
            e = it.entries
            while e >= 0:
                if may_take(s, e, j, s.ties[x].kind):
                    entry_out[0] = e
                    return j
                e = s.entries[e].next
        x = s.ties[x].next_of_interaction
    return -1


cdef inline i32 pick_agent(State* s, i32 i, i32* entry_out, i64* standing_out) noexcept nogil:
    """Agent selection: who should get interaction i, through which entry, with what standing; -1: nobody now.

    Whom it prefers, then whom it does not interrupt, then the others. O(entries * groups that could answer + ties).
    """
    cdef Interaction* it = &s.interactions[i]
    cdef i32 j = -1
    if it.ties >= 0:
        j = pick_wished(s, i, entry_out)
        standing_out[0] = -1
        if j >= 0 or is_bound(s, it):
            return j
    j = pick_in_band(s, i, 0, entry_out, standing_out)
    if j < 0 and s.interrupting:
        j = pick_in_band(s, i, 1, entry_out, standing_out)
    return j


cdef struct Choice:  # an agent in agent selection; agent -1: none yet
    i32 agent
    i32 rank
    i64 cost
    Key key


cdef inline i32 drawn(State* s, Lane* lane, i32 i, i32 n, Key* lot_out) noexcept nogil:
    """Of agent n and those equal to him in his tree, who draws the best lot. O(available agents of the group)."""
    cdef Interaction* it = &s.interactions[i]
    cdef u64 base = mixed(mixed(mixed(s.seed) ^ <u64> it.seq) ^ <u64> s.seq)
    cdef u64 number, most = 0
    cdef i32 best = -1
    lot_out[0] = lane.keys[n]
    while n >= 0 and lane.keys[n].a == lot_out.a:
        number = mixed(base ^ <u64> n) >> 32
        if (best < 0 or number > most) and not barred(s, it, i, n):
            best = n
            most = number
        n = following(lane.links, n)
    lot_out.b = lot_of(most, s.groups[s.agents[best].group].weight)
    lot_out.c = lane.keys[best].c
    return best


cdef inline bint choose_by_lot(State* s, i32 i, i32 k, i64 since, i32 band, Choice* best) noexcept nogil:
    """``choose`` where agents draw lots. O(available agents of the groups that could answer)."""
    cdef i32 words = s.cap_groups >> 6
    cdef i32 w, g, n
    cdef i64 cost
    cdef u64 bits
    cdef Lane* lane = &s.lanes[s.classes[k].lane]
    cdef OutPair* pair
    cdef Key lot
    cdef bint better = False
    for w in range(words):
        bits = s.openable[<i64> k * words + w] & lane.available[band * words + w]
        while bits:
            g = (w << 6) + omni_ctz(bits)
            bits &= bits - 1
            pair = &s.out[<i64> k * s.wide + g]
            n = lane.roots[<i64> band * s.cap_groups + g].first
            while n >= 0 and barred(s, &s.interactions[i], i, n):
                n = following(lane.links, n)
            if n < 0 or not is_open(s, since, pair.opens):
                continue
            n = drawn(s, lane, i, n, &lot)
            cost = pair.cost + s.groups[g].term - s.groups[g].idle_rate * (s.now - s.agents[n].idle_since)
            if (best.agent < 0 or pair.rank < best.rank or (pair.rank == best.rank and (
                    cost < best.cost or (cost == best.cost and less(&lot, &best.key))))):
                best.agent = n
                best.rank = pair.rank
                best.cost = cost
                best.key = lot
                better = True
    return better


cdef inline bint choose(
    State* s, Interaction* it, i32 i, i32 k, i64 since, i32 band, Choice* best
) noexcept nogil:
    """Find a better agent in one class, for an entry that is ordered since then; whether there is one.

    ``it`` is NULL where nothing can bar the interaction from anybody. O(groups that could answer).
    """
    cdef i32 words = s.cap_groups >> 6
    cdef i32 w, g, n
    cdef i64 cost
    cdef u64 bits
    cdef Class* class_ = &s.classes[k]
    cdef Lane* lane = &s.lanes[class_.lane]
    cdef OutPair* row = &s.out[<i64> k * s.wide]
    cdef u64* openable = &s.openable[<i64> k * words]
    cdef u64* available = &lane.available[band * words]
    cdef OutPair* pair
    cdef Group* group
    cdef bint better = False
    for w in range(words):
        bits = openable[w] & available[w]
        while bits:
            g = (w << 6) + omni_ctz(bits)
            bits &= bits - 1
            pair = &row[g]
            if (best.agent >= 0 and pair.rank > best.rank) or not is_open(s, since, pair.opens):
                continue
            n = lane.roots[<i64> band * s.cap_groups + g].first
            while n >= 0 and it != NULL and barred(s, it, i, n):
                n = following(lane.links, n)
            if n < 0:
                continue
            group = &s.groups[g]
            cost = pair.cost + group.term
            if group.idle_rate:
                cost -= group.idle_rate * (s.now - s.agents[n].idle_since)
            if (best.agent < 0 or pair.rank < best.rank or cost < best.cost
                    or (cost == best.cost and less(&lane.keys[n], &best.key))):
                best.agent = n
                best.rank = pair.rank
                best.cost = cost
                best.key = lane.keys[n]
                better = True
    return better


cdef inline bint in_window(State* s, i32 e) noexcept nogil:
    """Whether a decision window holds an entry back."""
    cdef i32 w
    if s.n_windows == 0:
        return False
    w = s.classes[s.entries[e].class_].window
    return w >= 0 and w != s.loose


cdef inline i32 pick_in_band(State* s, i32 i, i32 band, i32* entry_out, i64* standing_out) noexcept nogil:
    """The best of those whom it would interrupt in something (band 1), or in nothing (0)."""
    cdef Interaction* it = &s.interactions[i]
    cdef i32 e = it.entries
    cdef i32 k
    cdef bint better
    cdef Choice best
    best.agent = -1
    best.rank = 0
    while e >= 0:
        k = s.entries[e].class_
        if in_window(s, e):
            better = False
        elif omni_rare(s.drawing and s.classes[k].agent_key == WEIGHTED_RANDOM):
            better = choose_by_lot(s, i, k, s.keys[e].b, band, &best)
        else:
            better = choose(s, it, i, k, s.keys[e].b, band, &best)
        if better:
            entry_out[0] = e
        e = s.entries[e].next
    standing_out[0] = (<i64> band << 32) + best.rank
    return best.agent


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


cdef inline i64 weigh(State* s, Class* class_, i64 since, i64 cost) noexcept nogil:
    """What an entry of a class weighs: rates times age (capped) and length, and what is conceded."""
    cdef i64 weight, age = s.now - since
    if class_.age_cap >= 0 and age > class_.age_cap:
        age = class_.age_cap
    weight = class_.age_rate * age + class_.offset - cost
    if class_.length_rate:
        weight += class_.length_rate * s.queues[class_.queue].length
    return weight


cdef inline i32 pick_tied(State* s, i32 j) noexcept nogil:
    """The first entry, by (tier, since, seq), of what prefers agent j or is for him, if he may take it now; -1: none."""
    cdef i32 x = s.agents[j].ties
    cdef i32 i, e, best = -1
    cdef Interaction* it
    while x >= 0:
        i = s.ties[x].interaction
        it = &s.interactions[i]
        if (s.ties[x].kind != FORBID and in_queue(it) and (s.agents[j].room >> it.channel) & 1
                and not offers_full(s, it) and not barred(s, it, i, j)
                and (s.ties[x].kind >= ONLY or not is_bound(s, it))):
            e = it.entries
            while e >= 0:
                if may_take(s, e, j, s.ties[x].kind) and (best < 0 or less(&s.keys[e], &s.keys[best])):
                    best = e
                e = s.entries[e].next
        x = s.ties[x].next_of_agent
    return best


cdef inline bint has_choice(State* s, i32 j) noexcept nogil:
    """Whether somebody waits whom agent j may serve, as far as tables can say. O(classes / 64)."""
    cdef i32 words = s.cap_classes >> 6
    cdef i32 w
    cdef u64* serves = &s.serves[<i64> s.agents[j].group * words]
    for w in range(words):
        if serves[w] & s.nonempty[w]:
            return True
    return s.agents[j].ties >= 0


cdef inline i32 pick_of_classes(State* s, i32 j, u64* waiting, bint trusting) noexcept nogil:
    """The entry of classes with somebody waiting, as bits, that agent j should get next, his ties left out; -1: none.

    Nobody in a class beats its head, so a class whose head has lost is left. ``trusting``, an open head is taken for one
    that nothing bars: whether that is so is in a record far away.
    """
    cdef Agent* agent = &s.agents[j]
    cdef i32 words = s.cap_classes >> 6
    cdef i32 w, k
    cdef u64 bits
    cdef u64* serves = &s.serves[<i64> agent.group * words]
    cdef InPair* row = &s.in_[<i64> agent.group * s.deep]
    cdef InPair* pair
    cdef Class* class_
    cdef Candidate best, found
    best.entry = -1
    for w in range(words):
        bits = serves[w] & waiting[w]
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
            found.weight = weigh(s, class_, found.key.b, pair.cost)
            if omni_rare(s.sharing):
                found.weight = due(s, j, class_.queue, found.weight)
            if not beats(&found, &best):
                continue
            if not trusting or not is_open(s, found.key.b, pair.opens):
                found.entry = first_open(s, class_, j, pair.opens)
                if found.entry < 0:
                    continue
                found.key = s.keys[found.entry]
                found.weight = weigh(s, class_, found.key.b, pair.cost)
                if omni_rare(s.sharing):
                    found.weight = due(s, j, class_.queue, found.weight)
                if not beats(&found, &best):
                    continue
            best = found
            omni_soon(&s.entries[best.entry])
            omni_soon(&s.links[best.entry])
    return best.entry


cdef inline i32 pick_entry(State* s, i32 j) noexcept nogil:
    """Interaction selection: the entry that agent j should get next; -1: none.

    O(classes with somebody waiting that he could serve + barred entries + his ties).
    """
    cdef i32 e
    if s.agents[j].room == 0:
        return -1
    if s.agents[j].ties >= 0:
        e = pick_tied(s, j)
        if e >= 0:
            return e
    return pick_among(s, j, s.nonempty)


cdef inline i32 pick_among(State* s, i32 j, u64* waiting) noexcept nogil:
    """As ``pick_of_classes``, of nobody who is barred."""
    cdef i32 e = pick_of_classes(s, j, waiting, True)
    cdef i32 i
    if e >= 0:
        i = s.entries[e].interaction
        return pick_of_classes(s, j, waiting, False) if barred(s, &s.interactions[i], i, j) else e
    return -1


cdef inline i32 pick_held(State* s, i32 j, i32 w) noexcept nogil:
    """The entry that agent j would get of those that a window holds; -1: none."""
    if s.agents[j].room == 0 or w == s.loose:
        return -1
    return pick_among(s, j, &s.held[<i64> w * (s.cap_classes >> 6)])
