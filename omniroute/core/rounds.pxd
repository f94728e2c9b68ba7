"""A round of a window that closes: rows of those who wait, columns of those who have room, and what each pair gives.

See the reference core. A round takes its memory when it begins and gives it back when it ends.
"""

from libc.stdlib cimport calloc, free, qsort

from omniroute.core.hands cimport hold
from omniroute.core.layout cimport *
from omniroute.core.order cimport following, less
from omniroute.core.selection cimport (
    barred,
    fits,
    held_pools,
    in_window,
    is_open,
    omni_ctz,
    weigh,
)

cdef enum:
    PLACES_MAX = 64

cdef struct Waiter:  # an entry that waits
    Key key
    i32 interaction
    i32 entry
    i32 position  # of the entry in its interaction
    i32 passed  # openings of its class
    bint own
    i32 row

cdef struct Row:  # waiters that can be matched alike; own: all of one interaction that is like no other
    Key first
    i32 begin
    i32 many
    bint own

cdef struct Hand:  # an agent with room
    i64 stamp
    i32 agent
    i32 group
    uint32_t room
    uint32_t band
    i32 places
    i32 alone  # he is a column of his own, or -1
    i32 taken

cdef struct Column:
    i64 stamp
    i32 agent
    i32 begin
    i32 many

cdef struct Cell:
    i32 waiter  # by which entry; -1: not of least standing
    i32 band
    i32 rank
    i64 tier
    i64 value

cdef struct Pair:
    Key key
    i32 waiter
    i32 agent
    i32 column
    i32 row

cdef struct Round:
    Waiter* waiters
    i32 n_waiters
    i32 cap_waiters
    Row* rows
    i32 n_rows
    Hand* hands
    i32 n_hands
    Column* columns
    i32 n_columns
    Cell* cells
    i64* first  # of each row, for a match
    i64* weight
    i64* available
    i64* cost
    i64* left  # of each cell, what is still to be given
    i32* served
    Pair* pairs
    i32 n_pairs
    bint owned  # some row is an interaction like no other


# Rows and columns -----------------------------------------------------------------------------------------------------


cdef inline int by_interaction(const void* p, const void* q) noexcept nogil:
    cdef const Waiter* a = <const Waiter*> p
    cdef const Waiter* b = <const Waiter*> q
    if a.interaction != b.interaction:
        return (a.interaction > b.interaction) - (a.interaction < b.interaction)
    return a.position - b.position


cdef inline int by_first(const void* p, const void* q) noexcept nogil:
    return -1 if less(<Key*> p, <Key*> q) else less(<Key*> q, <Key*> p)


cdef inline int by_kind(const void* p, const void* q) noexcept nogil:
    cdef const Hand* a = <const Hand*> p
    cdef const Hand* b = <const Hand*> q
    if a.group != b.group:
        return (a.group > b.group) - (a.group < b.group)
    if a.room != b.room:
        return (a.room > b.room) - (a.room < b.room)
    if a.band != b.band:
        return (a.band > b.band) - (a.band < b.band)
    if a.places != b.places:
        return a.places - b.places
    if a.alone != b.alone:
        return (a.alone > b.alone) - (a.alone < b.alone)
    if a.stamp != b.stamp:
        return (a.stamp > b.stamp) - (a.stamp < b.stamp)
    return (a.agent > b.agent) - (a.agent < b.agent)


cdef inline int by_stamp(const void* p, const void* q) noexcept nogil:
    cdef const Column* a = <const Column*> p
    cdef const Column* b = <const Column*> q
    if a.stamp != b.stamp:
        return (a.stamp > b.stamp) - (a.stamp < b.stamp)
    return (a.agent > b.agent) - (a.agent < b.agent)


cdef inline i32 passed_of(State* s, Class* class_, i64 since) noexcept nogil:
    """How many openings of a class have passed for an entry. O(openings)."""
    cdef i32 x, n = 0
    for x in range(class_.openings_length):
        n += s.now - since >= class_.openings[x]
    return n


cdef inline bint could_match(State* s, i32 w) noexcept nogil:
    """Whether tables, conditions and room let anybody take something that a window holds. O(classes * groups / 64)."""
    cdef i32 words = s.cap_groups >> 6
    cdef i32 x, y, k
    cdef u64 bits
    cdef u64* available
    for x in range(s.cap_classes >> 6):
        bits = s.held[<i64> w * (s.cap_classes >> 6) + x]
        while bits:
            k = (x << 6) + omni_ctz(bits)
            bits &= bits - 1
            available = s.lanes[s.classes[k].lane].available
            for y in range(words):
                if s.openable[<i64> k * words + y] & (available[y] | available[words + y]):
                    return True
    return False


cdef inline bint gather(State* s, Round* r, i32 w) noexcept nogil:
    """Write down who waits in a window for a further offer, class by class, each in order; who is like no other last."""
    cdef i32 own
    if not note_waiters(s, r, w, False):
        return False
    own = r.n_waiters
    if not note_waiters(s, r, w, True):
        return False
    qsort(&r.waiters[own], r.n_waiters - own, sizeof(Waiter), by_interaction)
    return True


cdef inline bint note_waiters(State* s, Round* r, i32 w, bint own) noexcept nogil:
    """Write down those who are like no other, or the rest."""
    cdef i32 words = s.cap_classes >> 6
    cdef i32 x, k, e, at
    cdef u64 bits
    cdef Waiter* one
    cdef Interaction* it
    if own and not r.owned:
        return True
    for x in range(words):
        bits = s.held[<i64> w * words + x]
        while bits:
            k = (x << 6) + omni_ctz(bits)
            bits &= bits - 1
            e = s.classes[k].root.first
            while e >= 0:
                it = &s.interactions[s.entries[e].interaction]
                if (it.ties >= 0 or s.entries[it.entries].next >= 0 or it.live > 0) != own:
                    r.owned = True
                    e = following(s.links, e)
                    continue
                if not grow(s, <void**> &r.waiters, &r.cap_waiters, r.n_waiters + 1, sizeof(Waiter)):
                    return False
                one = &r.waiters[r.n_waiters]
                r.n_waiters += 1
                one.key = s.keys[e]
                one.interaction = s.entries[e].interaction
                one.entry = e
                one.passed = passed_of(s, &s.classes[k], s.keys[e].b)
                one.own = own
                one.position = 0
                at = it.entries
                while at != e:
                    one.position += 1
                    at = s.entries[at].next
                e = following(s.links, e)
    return True


cdef inline bint alike(State* s, Waiter* p, Waiter* q) noexcept nogil:
    """Whether two waiters, the one behind the other, are of one row."""
    if p.own or q.own:
        return p.own and q.own and p.interaction == q.interaction
    return (s.entries[p.entry].class_ == s.entries[q.entry].class_ and p.key.a == q.key.a and p.passed == q.passed)


cdef inline bint make_rows(State* s, Round* r) noexcept nogil:
    """Put the waiters into rows, those in the order of their first."""
    cdef i32 x, y
    cdef Row* row
    r.rows = <Row*> calloc(r.n_waiters + 1, sizeof(Row))
    if r.rows == NULL:
        return False
    for x in range(r.n_waiters):
        if x == 0 or not alike(s, &r.waiters[x - 1], &r.waiters[x]):
            row = &r.rows[r.n_rows]
            r.n_rows += 1
            row.begin = x
            row.first = r.waiters[x].key
            row.own = r.waiters[x].own
        row.many += 1
        if less(&r.waiters[x].key, &row.first):
            row.first = r.waiters[x].key
    qsort(r.rows, r.n_rows, sizeof(Row), by_first)
    for x in range(r.n_rows):
        for y in range(r.rows[x].many):
            r.waiters[r.rows[x].begin + y].row = x
    return True


cdef inline i32 places_of(State* s, i32 j, i32 channel) noexcept nogil:
    """How many more of a channel an agent could be offered at once, at least 1; 1 where more is not safe to say."""
    cdef Group* group = &s.groups[s.agents[j].group]
    cdef i32 places = 0, x
    if not s.channels[channel].flags & RESERVES_OFFERED or group.burst or group.interrupts[channel]:
        return 1
    while places < PLACES_MAX and fits(s, j, channel, held_pools(s, j)):
        hold(s, j, channel, +1)
        places += 1
    for x in range(places):
        hold(s, j, channel, -1)
    return places if places else 1


cdef inline void mark_unlike(State* s, Round* r, char* unlike) noexcept nogil:
    """Mark those to whom an interaction like no other has a tie or a live offer."""
    cdef i32 x, t, o, left
    cdef Interaction* it
    for x in range(r.n_waiters):
        if r.waiters[x].own:
            it = &s.interactions[r.waiters[x].interaction]
            t = it.ties
            while t >= 0:
                unlike[s.ties[t].agent] = 1
                t = s.ties[t].next_of_interaction
            o = it.offers
            left = it.live
            while left:
                unlike[s.offers[o].agent] = 1
                o = s.offers[o].next_of_interaction
                left -= 1


cdef inline void mark_able(State* s, Round* r, u64* able) noexcept nogil:
    """Mark the groups that some row is open to, as far as tables and conditions say."""
    cdef i32 words = s.cap_groups >> 6
    cdef i32 x, k, w, last = -1
    for x in range(r.n_waiters):
        k = s.entries[r.waiters[x].entry].class_
        if k != last:
            for w in range(words):
                able[w] |= s.openable[<i64> k * words + w]
        last = k


cdef inline bint make_columns(State* s, Round* r) noexcept nogil:
    """Put who has room into columns, those in the order of who has not changed for longest."""
    cdef i32 x, j, g, channel = -1
    cdef u64* able = <u64*> calloc((s.cap_groups >> 6) + 1, sizeof(u64))
    cdef bint one_channel = True
    cdef char* unlike = <char*> calloc(s.n_agents + 1, 1)
    cdef Hand* hand
    cdef Column* column
    r.hands = <Hand*> calloc(s.n_agents + 1, sizeof(Hand))
    r.columns = <Column*> calloc(s.n_agents + 1, sizeof(Column))
    if unlike == NULL or able == NULL or r.hands == NULL or r.columns == NULL:
        free(unlike)
        free(able)
        return False
    mark_unlike(s, r, unlike)
    mark_able(s, r, able)
    for x in range(r.n_waiters):
        j = s.interactions[r.waiters[x].interaction].channel
        one_channel = one_channel and (channel < 0 or channel == j)
        channel = j
    for j in range(s.n_agents):
        g = s.agents[j].group
        if s.agents[j].room == 0 or not (able[g >> 6] >> (g & 63)) & 1:
            continue
        hand = &r.hands[r.n_hands]
        r.n_hands += 1
        hand.stamp = s.agents[j].stamp
        hand.agent = j
        hand.group = g
        hand.room = s.agents[j].room
        hand.band = s.agents[j].band
        hand.places = places_of(s, j, channel) if one_channel and channel >= 0 else 1
        hand.alone = j if unlike[j] else -1
    free(unlike)
    free(able)
    qsort(r.hands, r.n_hands, sizeof(Hand), by_kind)
    for x in range(r.n_hands):
        hand = &r.hands[x]
        if x == 0 or (hand.group != r.hands[x - 1].group or hand.room != r.hands[x - 1].room
                      or hand.band != r.hands[x - 1].band or hand.places != r.hands[x - 1].places
                      or hand.alone != r.hands[x - 1].alone):
            column = &r.columns[r.n_columns]
            r.n_columns += 1
            column.stamp = hand.stamp
            column.agent = hand.agent
            column.begin = x
        column.many += 1
    qsort(r.columns, r.n_columns, sizeof(Column), by_stamp)
    return True


# Cells ----------------------------------------------------------------------------------------------------------------


cdef inline bint held_pair(State* s, i32 e, i32 j) noexcept nogil:
    """Whether a window alone keeps an entry that waits for a further offer from an agent, and no tie wishes the pair."""
    cdef i32 i = s.entries[e].interaction
    cdef Interaction* it = &s.interactions[i]
    cdef i32 k = s.entries[e].class_
    cdef i32 g = s.agents[j].group
    cdef i32 x = it.ties
    if not in_window(s, e) or not (s.agents[j].room >> it.channel) & 1:
        return False
    if not (s.openable[<i64> k * (s.cap_groups >> 6) + (g >> 6)] >> (g & 63)) & 1:
        return False
    if not is_open(s, s.keys[e].b, s.out[<i64> k * s.wide + g].opens):
        return False
    while x >= 0:
        if s.ties[x].agent == j:
            return False  # forbidden, or wished
        x = s.ties[x].next_of_interaction
    return not barred(s, it, i, j)


cdef inline bint better(Cell* p, Cell* q) noexcept nogil:
    """Whether p is of less standing than q, or of the same and of more value; the first of equals stays."""
    if q.waiter < 0:
        return True
    if p.band != q.band:
        return p.band < q.band
    if p.rank != q.rank:
        return p.rank < q.rank
    if p.tier != q.tier:
        return p.tier < q.tier
    return p.value > q.value


cdef inline bint make_cells(State* s, Round* r, bint* found) noexcept nogil:
    """Fill in the cells, and forget those that are not of least standing."""
    cdef i32 x, c, y, e
    cdef i64 n = <i64> r.n_rows * r.n_columns
    cdef i64 at
    cdef Hand* hand
    cdef InPair* pair
    cdef Class* class_
    cdef Cell cell, least
    r.cells = <Cell*> calloc(n + 1, sizeof(Cell))
    if r.cells == NULL:
        return False
    least.waiter = -1
    for x in range(r.n_rows):
        for c in range(r.n_columns):
            at = <i64> x * r.n_columns + c
            r.cells[at].waiter = -1
            hand = &r.hands[r.columns[c].begin]
            for y in range(r.rows[x].begin, r.rows[x].begin + (r.rows[x].many if r.rows[x].own else 1)):
                e = r.waiters[y].entry
                if not held_pair(s, e, hand.agent):
                    continue
                class_ = &s.classes[s.entries[e].class_]
                pair = &s.in_[<i64> hand.group * s.deep + s.entries[e].class_]
                cell.waiter = y
                cell.band = (hand.band >> class_.channel) & 1
                cell.rank = pair.rank
                cell.tier = s.keys[e].a
                cell.value = weigh(s, class_, s.keys[e].b, pair.cost)
                if better(&cell, &r.cells[at]):
                    r.cells[at] = cell
            cell = r.cells[at]
            cell.value = 0
            if cell.waiter >= 0 and better(&cell, &least):
                least = cell
    found[0] = least.waiter >= 0
    for at in range(n):
        if r.cells[at].waiter >= 0 and (r.cells[at].band != least.band or r.cells[at].rank != least.rank
                                        or r.cells[at].tier != least.tier):
            r.cells[at].waiter = -1
    return True
