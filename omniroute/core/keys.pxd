"""Agent keys: what orders agents who are otherwise equal, and what has to be kept of them for it."""

from omniroute.core.layout cimport *

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline int omni_top(unsigned long long x) { unsigned long n; _BitScanReverse64(&n, x); return (int)n; }
    static __inline int omni_rare(int x) { return x; }
    #else
    static inline int omni_top(unsigned long long x) { return 63 - __builtin_clzll(x); }
    static inline int omni_rare(int x) { return (int)__builtin_expect(x, 0); }
    #endif
    static const long long OMNI_NOTHING = -(1LL << 62);
    static const unsigned long long OMNI_ROOTS[16] = {
        1518500249, 1805811301, 1969251187, 2056437386, 2101467501, 2124350982, 2135885998, 2141676972,
        2144578345, 2146030504, 2146756953, 2147120269, 2147301951, 2147392797, 2147438222, 2147460935};
    """
    int omni_top(u64 x) noexcept nogil
    int omni_rare(int x) noexcept nogil  # true: not where it has to be fast
    const i64 OMNI_NOTHING  # the key of who has done nothing of late
    const u64 OMNI_ROOTS[16]  # 2 ** -(1/2), 2 ** -(1/4)... in 2**-31

cdef enum:
    INTERACTION = 4096  # one handled
    TRIFLE = 16  # by which a share may be over a cap, as a logarithm: more than what is rounded


cdef inline u64 mixed(u64 z) noexcept nogil:
    """One step of splitmix64."""
    z += <u64> 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * <u64> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <u64> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline i64 binary_log(u64 n) noexcept nogil:
    """The logarithm to base 2 of ``1..2**33``, in 2**-16, rounded down."""
    cdef i64 found = omni_top(n)
    cdef u64 mantissa = n >> (found - 31) if found > 31 else n << (31 - found)
    cdef u64 carried
    cdef int x
    for x in range(16):
        mantissa = (mantissa * mantissa) >> 31
        carried = mantissa >> 32
        mantissa >>= carried
        found = 2 * found + <i64> carried
    return found


cdef inline i64 faded(State* s, i64 value, i64 at) noexcept nogil:
    """What is left of a number of an instant, rounded down."""
    cdef i64 passed = s.now - at
    cdef i64 whole = passed // s.half_life
    cdef i64 part
    cdef u64 factor = <u64> 1 << 31
    cdef int x
    if whole > 31:
        return 0
    part = ((passed % s.half_life) << 16) // s.half_life
    for x in range(16):
        if (part >> (15 - x)) & 1:
            factor = (factor * OMNI_ROOTS[x]) >> 31
    return <i64> ((<u64> value * factor) >> (31 + whole))


cdef inline i64 spent(State* s, Fading* it) noexcept nogil:
    """The instant at which a fading number will be down to one; the least for nothing at all."""
    if it.value == 0:
        return OMNI_NOTHING
    return it.at + ((s.half_life * binary_log(it.value)) >> 16)


cdef inline void add_to(State* s, Fading* it, i64 more) noexcept nogil:
    """Add to what is left of a fading number."""
    it.value = faded(s, it.value, it.at) + more
    if it.value > <i64> 0xFFFFFFFF:
        it.value = <i64> 0xFFFFFFFF
    it.at = s.now


# What is kept --------------------------------------------------------------------------------------------------------


cdef inline void share_now(State* s, Past* past, Fading* it) noexcept nogil:
    """Bring a share of time with something in hand up to now."""
    cdef i64 one = <i64> 1 << 31
    if past.busy:
        it.value = one - faded(s, one - it.value, it.at)
    else:
        it.value = faded(s, it.value, it.at)
    it.at = s.now


cdef inline void occupied(State* s, i32 j) noexcept nogil:
    """Bring the shares up to now; an own one that was not kept so far begins where the other stands."""
    cdef Past* past = &s.pasts[j]
    if omni_rare(s.capping):
        if past.own.at < past.fading[OCCUPIED].at:
            past.own = past.fading[OCCUPIED]
        share_now(s, past, &past.own)
    share_now(s, past, &past.fading[OCCUPIED])
    past.busy = s.agents[j].held > 0


cdef inline void look_for_caps(State* s) noexcept nogil:
    """Find out whether some group has a cap. O(groups)."""
    cdef i32 g
    s.capping = False
    for g in range(s.n_groups):
        s.capping = s.capping or s.groups[g].busiest < 1000


cdef inline i64 spared(State* s, i32 j) noexcept nogil:
    """Until when whoever is over the cap of his group rests, with empty hands; -1 for who is not."""
    cdef i64 busiest = s.groups[s.agents[j].group].busiest
    cdef i64 cap = (busiest << 31) // 1000
    cdef i64 over
    if busiest == 1000:
        return -1
    occupied(s, j)
    if s.pasts[j].own.value <= cap:
        return -1
    over = binary_log(s.pasts[j].own.value) - binary_log(cap)
    return s.now + ((s.half_life * over) >> 16) + 1 if over > TRIFLE else -1


cdef inline void has_taken(State* s, i32 j) noexcept nogil:
    """The agent has taken something in hand."""
    s.pasts[j].accepted = s.now
    occupied(s, j)


cdef inline void has_given(State* s, i32 j) noexcept nogil:
    """Something has left the agent's hands."""
    s.pasts[j].released = s.now
    occupied(s, j)


cdef inline void share_out(State* s, i32 j, i32 q, i64 talk) noexcept nogil:
    """Time of a conversation, through a queue, counts against its share of the agent's time. O(shares)."""
    cdef Group* group = &s.groups[s.agents[j].group]
    cdef Past* past = &s.pasts[j]
    cdef int x, y
    for x in range(group.n_shares):
        if group.share_of[x] == q:
            for y in range(SHARES):
                past.spent[y] = faded(s, past.spent[y], past.spent_at)
            past.spent_at = s.now
            past.spent[x] += talk
            if past.spent[x] > <i64> 0xFFFFFFFF:
                past.spent[x] = <i64> 0xFFFFFFFF


cdef inline Here* here(State* s, i32 j, i32 q) noexcept nogil:
    """What an agent did for a queue; NULL where that is not kept."""
    return &s.watched[s.queues[q].watched].agents[j] if s.queues[q].watched >= 0 else NULL


cdef inline void ended(State* s, i32 j, i32 q, i64 talk) noexcept nogil:
    """A conversation of so many ms, through a queue, is over for the agent; ``show`` follows."""
    cdef Here* it
    if s.sharing:
        share_out(s, j, q, talk)
    if not s.looks_back:
        return
    s.pasts[j].talked = s.now
    add_to(s, &s.pasts[j].fading[TALK], talk)
    it = here(s, j, q)
    if it != NULL:
        it.talked = s.now


cdef inline void counted(State* s, i32 j, i32 q) noexcept nogil:
    """One more is handled, through a queue, and where he stood before is his group's level."""
    cdef i32 g = s.agents[j].group
    cdef Here* it = here(s, j, q)
    cdef int x
    for x in range(FADINGS):
        s.groups[g].levels[x] = s.pasts[j].fading[x]
    add_to(s, &s.pasts[j].fading[HANDLED], INTERACTION)
    if it != NULL:
        s.watched[s.queues[q].watched].levels[g] = it.handled
        add_to(s, &it.handled, INTERACTION)


cdef inline void offered_here(State* s, i32 j, i32 q, i64 seq) noexcept nogil:
    """The agent is offered something through a queue; ``show`` follows."""
    cdef Here* it = here(s, j, q)
    if it != NULL:
        it.offered = seq


cdef inline void came(State* s, i32 j, bint signed_in) noexcept nogil:
    """The agent has turned ready; what was before a sign-in does not count."""
    cdef Past* past = &s.pasts[j]
    cdef i32 x
    past.ready = s.now
    if signed_in:
        past.accepted = past.talked = past.released = s.now
        for x in range(s.n_watched):
            s.watched[x].agents[j].talked = s.now
    if signed_in or past.away:
        past.rested = s.now
        past.away = 0
    occupied(s, j)
    rise(s, j)


cdef inline void rise(State* s, i32 j) noexcept nogil:
    """Whoever comes begins where those stand who are chosen among those he competes with. O(classes * groups / 64)."""
    cdef i32 own = s.agents[j].group
    cdef i32 words = s.cap_groups >> 6
    cdef i32 w, k, g, x
    cdef u64 bits
    cdef u64* row
    cdef Fading* it
    cdef Fading* best[FADINGS]
    if omni_rare(s.capping):
        occupied(s, j)
    for x in range(FADINGS):
        best[x] = &s.pasts[j].fading[x]
    for w in range(words):
        bits = 0
        for k in range(s.n_classes):
            row = &s.ever[<i64> k * words]
            if (row[own >> 6] >> (own & 63)) & 1:
                bits |= row[w]
        while bits:
            g = (w << 6) + omni_top(bits & (~bits + 1))
            bits &= bits - 1
            for x in range(FADINGS):
                if spent(s, &s.groups[g].levels[x]) > spent(s, best[x]):
                    best[x] = &s.groups[g].levels[x]
            for x in range(s.n_watched):
                it = &s.watched[x].agents[j].handled
                if spent(s, &s.watched[x].levels[g]) > spent(s, it):
                    it[0] = s.watched[x].levels[g]
    for x in range(FADINGS):
        it = &s.pasts[j].fading[x]
        if best[x] != it:
            it.value = faded(s, best[x].value, best[x].at)
            it.at = s.now


cdef inline i64 due(State* s, i32 j, i32 q, i64 weight) noexcept nogil:
    """How far a queue is behind its share of the agent's time; the weight where his time is not shared out."""
    cdef Group* group = &s.groups[s.agents[j].group]
    cdef Past* past = &s.pasts[j]
    cdef i64 all = 0
    cdef int x, found = -1
    if group.n_shares == 0:
        return weight
    for x in range(SHARES):
        all += past.spent[x]
    for x in range(group.n_shares):
        if group.share_of[x] == q:
            found = x
    if found < 0:
        return OMNI_NOTHING
    return group.share[found] * all - 1000 * past.spent[found]


# What is asked -------------------------------------------------------------------------------------------------------


cdef inline i64 behind(State* s, i32 j, i32 q) noexcept nogil:
    """How far the share of his time that goes to a queue is above its own, in 2**-20; 0 where it is not shared out."""
    cdef Group* group = &s.groups[s.agents[j].group]
    cdef Past* past = &s.pasts[j]
    cdef i64 all = 0
    cdef int x
    if group.n_shares == 0:
        return 0
    for x in range(SHARES):
        all += past.spent[x]
    for x in range(group.n_shares):
        if group.share_of[x] == q:
            return ((past.spent[x] << 20) // all if all else 0) - (<i64> group.share[x] << 20) // 1000
    return <i64> 1 << 62


cdef inline i64 in_hand(State* s, i32 j) noexcept nogil:
    """How many interactions an agent has in hand or on offer. O(offers to him)."""
    cdef i64 found = s.agents[j].held
    cdef i32 first = s.agents[j].offers
    cdef i32 o = first
    while o >= 0:
        found += 1
        o = s.offers[o].next_of_agent
        if o == first:
            break
    return found


cdef inline i64 looked_up(State* s, i32 j, i32 kind, i32 q) noexcept nogil:
    """The columns that not everybody wants; for a queue those from BEHIND_SHARE on."""
    cdef Past* past
    cdef Here* it
    if kind == MOST_SPARE:
        return s.agents[j].used - s.groups[s.agents[j].group].units
    if kind == FEWEST_IN_HAND:
        return in_hand(s, j)
    if kind == WEIGHTED_RANDOM:
        return 0
    if kind == BEHIND_SHARE:
        return behind(s, j, q)
    if kind > BEHIND_SHARE:
        it = here(s, j, q)
        if kind == FEWEST_HANDLED_IN_QUEUE:
            return OMNI_NOTHING if it == NULL else spent(s, &it.handled)
        if it == NULL:
            return 0
        return it.offered if kind == ROUND_ROBIN_IN_QUEUE else it.talked
    past = &s.pasts[j]
    if kind == FEWEST_HANDLED:
        return spent(s, &past.fading[HANDLED])
    if kind == LEAST_TALK_TIME:
        return spent(s, &past.fading[TALK])
    if kind == LEAST_OCCUPIED:
        return spent(s, &past.fading[OCCUPIED])
    if kind == LATEST_BREAK:
        return -past.rested
    if kind == LONGEST_READY:
        return past.ready
    if kind == LONGEST_SINCE_ACCEPT:
        return past.accepted
    if kind == LONGEST_SINCE_CONVERSATION:
        return past.talked
    if kind == LONGEST_SINCE_RELEASE:
        return past.released
    return past.accepted if past.accepted > past.talked else past.talked


cdef inline Key key_of(State* s, i32 j, i32 kind, i32 q) noexcept nogil:
    """What orders an agent among equals, in a queue."""
    cdef Agent* agent = &s.agents[j]
    cdef Key key
    key.a = agent.idle_since if s.groups[agent.group].idle_rate else 0
    key.c = agent.stamp
    if kind == LONGEST_IDLE:
        key.b = agent.idle_since
    elif kind == LEAST_LOADED:
        key.b = agent.used
    elif kind == FIXED_ORDER:
        key.b = agent.order
    elif kind == LOAD_RATIO:
        key.b = (agent.used << 20) // (s.groups[agent.group].units if s.groups[agent.group].units else 1)
    elif kind == ROUND_ROBIN:
        key.b = agent.offered
    elif omni_rare(True):
        key.b = looked_up(s, j, kind, q)
    return key


cdef inline i64 lot_of(u64 number, i64 weight) noexcept nogil:
    """An exponential time with this rate, made of 32 bits; in its last 32 bits they are the other way round."""
    cdef i64 time = (32 << 16) - binary_log(number + 1)
    return (((time << 9) // weight) << 32) + <i64> (<u64> 0xFFFFFFFF - number)
