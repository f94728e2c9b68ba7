"""How a decision window closes: who waits in it against who is available, round after round. See the reference core."""

from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memset

from omniroute.core.deadlines cimport disarm
from omniroute.core.engine cimport make_offer, place
from omniroute.core.layout cimport *
from omniroute.core.network cimport NOT_ELIGIBLE, Net, best_match, unmake
from omniroute.core.order cimport less
from omniroute.core.places cimport sync
from omniroute.core.rounds cimport *
from omniroute.core.keys cimport key_of
from omniroute.core.selection cimport in_queue, offers_full, weigh
from omniroute.core.windows cimport held_from

cdef enum:
    CELLS_MAX = 65536  # limits.WINDOW_CELLS_MAX
    ENOUGH = 0  # how a round ends: nothing can be matched
    MATCHED = 1
    TOO_MANY = 2

cdef extern from *:
    """
    #define OMNI_WEIGHT ((int64_t)1 << 60)
    #define OMNI_REACH ((int64_t)1 << 58)
    """
    const i64 WEIGHT_MAX "OMNI_WEIGHT"  # limits.MATCH_WEIGHT_MAX
    const i64 REACH_MAX "OMNI_REACH"  # limits.MATCH_REACH_MAX


# Who, and by whom -----------------------------------------------------------------------------------------------------


cdef inline i64 reach_of(Round* r) noexcept nogil:
    """The greatest cost that a match of this size bears."""
    cdef i64 span = 1
    cdef i64 least = 2 * <i64> (r.n_rows if r.n_rows < r.n_columns else r.n_columns) + 2
    while span <= least:
        span *= 2
    return REACH_MAX // (span * span)


cdef inline i64 size_of(i64 x) noexcept nogil:
    return -x if x < 0 else x


cdef inline bint make_weights(State* s, Round* r) noexcept nogil:
    """Write down what waiters weigh and pairs concede, for those who choose whom to serve."""
    cdef i32 x, c, y
    cdef i64 at, n = 0, best, heavy = 0, dear = 0, reach = reach_of(r)
    cdef i32 shift = 0
    cdef bint any
    cdef Cell* row
    cdef Class* class_
    for x in range(r.n_rows):
        row = &r.cells[<i64> x * r.n_columns]
        class_ = &s.classes[s.entries[r.waiters[r.rows[x].begin].entry].class_]
        r.first[x] = n
        any = False
        best = 0
        for c in range(r.n_columns):
            if row[c].waiter >= 0 and (not any or row[c].value > best):
                any = True
                best = row[c].value
        if any and r.rows[x].own:
            r.weight[n] = best
            n += 1
        elif any:
            for y in range(r.rows[x].begin, r.rows[x].begin + r.rows[x].many):
                r.weight[n] = weigh(s, class_, r.waiters[y].key.b, 0)
                n += 1
        for c in range(r.n_columns):
            at = <i64> x * r.n_columns + c
            r.cost[at] = NOT_ELIGIBLE
            if row[c].waiter >= 0:
                r.cost[at] = best - row[c].value if r.rows[x].own else (
                    s.in_[<i64> r.hands[r.columns[c].begin].group * s.deep
                          + s.entries[r.waiters[r.rows[x].begin].entry].class_].cost)
                dear = size_of(r.cost[at]) if size_of(r.cost[at]) > dear else dear
    r.first[r.n_rows] = n
    for at in range(n):
        heavy = size_of(r.weight[at]) if size_of(r.weight[at]) > heavy else heavy
    while (heavy >> shift) >= WEIGHT_MAX or (dear >> shift) >= reach:
        shift += 1
    for at in range(n if shift else 0):
        r.weight[at] >>= shift
    for at in range(<i64> r.n_rows * r.n_columns if shift else 0):
        if r.cost[at] != NOT_ELIGIBLE:
            r.cost[at] >>= shift
    return True


cdef inline bint find(State* s, Round* r, Net* net) noexcept nogil:
    """The optimum of what is written down; ``unmake`` follows."""
    if best_match(net, r.n_rows, r.n_columns, r.weight, r.first, r.available, r.cost, 2 * WEIGHT_MAX):
        return True
    s.failed = True
    return False


cdef inline bint serve_whom(State* s, Round* r) noexcept nogil:
    """How many of each row are served."""
    cdef i32 x, c
    cdef Net net
    cdef bint done
    make_weights(s, r)
    done = find(s, r, &net)
    for x in range(r.n_rows if done else 0):
        for c in range(r.n_columns):
            r.served[x] += net.flow[<i64> x * r.n_columns + c]
    unmake(&net)
    return done


cdef inline void make_costs(State* s, Round* r, i64 matches) noexcept nogil:
    """Write down what cells concede when it is chosen by whom: rank, then cost, as one number."""
    cdef i64 at, n = <i64> r.n_rows * r.n_columns
    cdef i64 rank = 0, ranks = 0, cheapest = 0, spread = 0, most, unit, cost
    cdef i32 shift = 0, g
    cdef OutPair* pair
    cdef bint any = False
    for at in range(n):
        if r.cells[at].waiter < 0:
            continue
        g = r.hands[r.columns[at % r.n_columns].begin].group
        pair = &s.out[<i64> s.entries[r.waiters[r.cells[at].waiter].entry].class_ * s.wide + g]
        cost = pair.cost + s.groups[g].term
        r.cost[at] = cost
        r.left[at] = pair.rank
        if not any:
            rank = ranks = pair.rank
            cheapest = spread = cost
            any = True
        rank = pair.rank if pair.rank < rank else rank
        ranks = pair.rank if pair.rank > ranks else ranks
        cheapest = cost if cost < cheapest else cheapest
        spread = cost if cost > spread else spread
    ranks -= rank
    spread -= cheapest
    most = (reach_of(r) // (ranks + 1) - 1) // matches
    while (spread >> shift) and (spread >> shift) >= most:
        shift += 1
    unit = (spread >> shift) * matches + 1
    for at in range(n):
        if r.cells[at].waiter >= 0:
            r.cost[at] = (r.left[at] - rank) * unit + ((r.cost[at] - cheapest) >> shift)


cdef inline i32 first_hand(State* s, Round* r, i32 c, Class* class_) noexcept nogil:
    """Whom of a column an entry gets: who was given least so far, then as agent selection orders equals."""
    cdef Column* column = &r.columns[c]
    cdef i32 x, best = -1
    cdef Hand* hand
    cdef Key key, least
    for x in range(column.begin, column.begin + column.many):
        hand = &r.hands[x]
        if hand.taken >= hand.places or (best >= 0 and hand.taken > r.hands[best].taken):
            continue
        key = key_of(s, hand.agent, class_.agent_key, class_.queue)
        if best < 0 or hand.taken < r.hands[best].taken or less(&key, &least) or (
                not less(&least, &key) and hand.agent < r.hands[best].agent):
            best = x
            least = key
    return best


cdef inline void choose_hands(State* s, Round* r) noexcept nogil:
    """Give each pair, in order, a column and one of its agents."""
    cdef i32 p, c, best, x
    cdef i64 row
    cdef Pair* pair
    cdef Cell* cell
    for p in range(r.n_pairs):
        pair = &r.pairs[p]
        row = <i64> pair.row * r.n_columns
        best = -1
        for c in range(r.n_columns):
            if r.left[row + c] and (best < 0 or r.cost[row + c] < r.cost[row + best]):
                best = c
        r.left[row + best] -= 1
        if r.rows[pair.row].own:
            cell = &r.cells[row + best]
            pair.waiter = cell.waiter
            pair.key = r.waiters[cell.waiter].key
        x = first_hand(s, r, best, &s.classes[s.entries[r.waiters[pair.waiter].entry].class_])
        r.hands[x].taken += 1
        pair.agent = r.hands[x].agent
        pair.column = best


cdef inline bint serve_by_whom(State* s, Round* r) noexcept nogil:
    """Find the pairs: those who are served, at the least cost of agent selection."""
    cdef i32 x, c, y
    cdef i64 at, n = 0
    cdef Net net
    cdef Pair* pair
    cdef bint done
    for x in range(r.n_rows):
        n += r.served[x]
    make_costs(s, r, n)
    r.pairs = <Pair*> calloc(n + 1, sizeof(Pair))
    if r.pairs == NULL:
        s.failed = True
        return False
    for x in range(r.n_rows):
        r.first[x] = r.n_pairs
        for y in range(r.served[x]):
            pair = &r.pairs[r.n_pairs]
            r.weight[r.n_pairs] = 0
            r.n_pairs += 1
            pair.row = x
            pair.waiter = r.rows[x].begin + y
            pair.key = r.waiters[pair.waiter].key
    r.first[r.n_rows] = r.n_pairs
    done = find(s, r, &net)
    for at in range(<i64> r.n_rows * r.n_columns if done else 0):
        r.left[at] = net.flow[at]
    unmake(&net)
    if done:
        qsort(r.pairs, r.n_pairs, sizeof(Pair), by_first)
        choose_hands(s, r)
        qsort(r.pairs, r.n_pairs, sizeof(Pair), by_first)
    return done


cdef inline bint was_passed(State* s, Round* r, Pair* by, i32 y) noexcept nogil:
    """Whether a waiter comes before the one of a pair in its class and tier, and could have had the same agent."""
    cdef Waiter* one = &r.waiters[y]
    cdef Cell* cell = &r.cells[<i64> one.row * r.n_columns + by.column]
    return (s.entries[one.entry].class_ == s.entries[r.waiters[by.waiter].entry].class_
            and one.key.a == by.key.a and less(&one.key, &by.key) and cell.waiter >= 0
            and (not one.own or cell.waiter == y))


cdef inline void put_in_order(State* s, Round* r) noexcept nogil:
    """Nobody passes somebody before him in his class and tier who could have had the same agent.

    Only what is a row of its own can have been passed, or have passed, where weights are equal. O(pairs * waiters).
    """
    cdef i32 p, y, z, best
    cdef Pair* pair
    cdef char* served = <char*> calloc(r.n_waiters + 1, 1)
    if served == NULL:
        s.failed = True
        return
    for p in range(r.n_pairs):
        mark_served(r, served, r.pairs[p].waiter)
    for p in range(r.n_pairs - 1, -1, -1):
        pair = &r.pairs[p]
        best = -1
        for y in range(r.n_waiters):
            if not served[y] and (best < 0 or less(&r.waiters[y].key, &r.waiters[best].key)):
                if was_passed(s, r, pair, y):
                    best = y
        if best >= 0:
            z = pair.waiter
            pair.waiter = best
            pair.key = r.waiters[best].key
            mark_served(r, served, best)
            served[z] = 0
    free(served)
    qsort(r.pairs, r.n_pairs, sizeof(Pair), by_first)


cdef inline void mark_served(Round* r, char* served, i32 y) noexcept nogil:
    """Mark every waiter of an interaction."""
    cdef Row* row = &r.rows[r.waiters[y].row]
    cdef i32 x
    if not row.own:
        served[y] = 1
        return
    for x in range(row.begin, row.begin + row.many):
        served[x] = 1


# The end of a window --------------------------------------------------------------------------------------------------


cdef inline void give_up(Round* r) noexcept nogil:
    free(r.waiters)
    free(r.rows)
    free(r.hands)
    free(r.columns)
    free(r.cells)
    free(r.first)
    free(r.weight)
    free(r.available)
    free(r.cost)
    free(r.left)
    free(r.served)
    free(r.pairs)


cdef inline bint make_room(Round* r) noexcept nogil:
    """Take the memory of a round's two matches."""
    cdef i64 n = <i64> r.n_rows * r.n_columns + 1
    cdef i32 c, x
    r.first = <i64*> calloc(r.n_rows + 1, sizeof(i64))
    r.weight = <i64*> calloc(r.n_waiters + 1, sizeof(i64))
    r.available = <i64*> calloc(r.n_columns + 1, sizeof(i64))
    r.cost = <i64*> calloc(n, sizeof(i64))
    r.left = <i64*> calloc(n, sizeof(i64))
    r.served = <i32*> calloc(r.n_rows + 1, sizeof(i32))
    if not (r.first and r.weight and r.available and r.cost and r.left and r.served):
        return False
    for c in range(r.n_columns):
        for x in range(r.columns[c].begin, r.columns[c].begin + r.columns[c].many):
            r.available[c] += r.hands[x].places
    return True


cdef inline int match_round(State* s, Round* r, i32 w) noexcept nogil:
    """Find the pairs of a round; how it ends. Where memory runs out nothing is found, and the core has failed."""
    cdef bint found = False
    if not could_match(s, w):
        return ENOUGH
    if not (gather(s, r, w) and make_rows(s, r) and make_columns(s, r)):
        s.failed = True
        return ENOUGH
    if <i64> r.n_rows * r.n_columns > CELLS_MAX:
        return TOO_MANY if anything_held(s, r) else ENOUGH
    if not make_cells(s, r, &found):
        s.failed = True
    if s.failed or not found:
        return ENOUGH
    if not make_room(r):
        s.failed = True
        return ENOUGH
    if not (serve_whom(s, r) and serve_by_whom(s, r)):
        return ENOUGH
    if r.owned:
        put_in_order(s, r)
    return MATCHED


cdef inline bint anything_held(State* s, Round* r) noexcept nogil:
    """Whether a window holds any pair at all. O(rows * columns) at worst."""
    cdef i32 x, c, y
    for x in range(r.n_rows):
        for c in range(r.n_columns):
            for y in range(r.rows[x].begin, r.rows[x].begin + (r.rows[x].many if r.rows[x].own else 1)):
                if held_pair(s, r.waiters[y].entry, r.hands[r.columns[c].begin].agent):
                    return True
    return False


cdef inline void offer_pairs(State* s, Round* r) noexcept nogil:
    """Make the offers of a round, each if it is still what a window alone keeps back."""
    cdef i32 p, e, i
    cdef Interaction* it
    for p in range(r.n_pairs):
        e = r.waiters[r.pairs[p].waiter].entry
        i = r.waiters[r.pairs[p].waiter].interaction
        it = &s.interactions[i]
        if s.failed or not in_queue(it) or offers_full(s, it) or not held_pair(s, e, r.pairs[p].agent):
            continue
        make_offer(s, i, e, r.pairs[p].agent)
        if in_queue(&s.interactions[i]) and offers_full(s, &s.interactions[i]):
            sync(s, i)


cdef inline void one_by_one(State* s, Round* r, i32 w) noexcept nogil:
    """Too many are unlike each other: decide as without a window, in order."""
    cdef i32 x
    cdef Row* row
    for x in range(r.n_rows):
        row = &r.rows[x]
        if row.own:
            r.waiters[row.begin].key = row.first
        while row.own and row.many > 1:  # an interaction is asked for once, by its first place
            row.many -= 1
            r.waiters[row.begin + row.many].interaction = -1
    qsort(r.waiters, r.n_waiters, sizeof(Waiter), by_first)
    s.loose = w
    for x in range(r.n_waiters):
        if r.waiters[x].interaction >= 0:
            place(s, r.waiters[x].interaction)
    s.loose = -1


cdef inline void close_window(State* s, i32 w) noexcept nogil:
    """Match what a window holds, round after round, and make the offers in order."""
    cdef Round r
    cdef int how = MATCHED
    disarm(s, &s.windows[w].heap_at)
    s.windows[w].closes_at = -1
    while how == MATCHED and not s.failed:
        memset(&r, 0, sizeof(Round))
        how = match_round(s, &r, w)
        if how == MATCHED:
            offer_pairs(s, &r)
        elif how == TOO_MANY:
            one_by_one(s, &r, w)
        give_up(&r)


cdef inline bint close_those_of(State* s, i32 i) noexcept nogil:
    """Close the windows that hold an interaction, before it takes a step; whether there are any."""
    cdef u64 held = 0
    cdef i32 w
    for w in range(s.n_windows):
        held |= <u64> (held_from(s, i, w) >= 0) << w
    w = 0
    while held >> w:
        if (held >> w) & 1:
            close_window(s, w)
        w += 1
        if w == 64:
            break
    return held != 0
