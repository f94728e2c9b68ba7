"""What the plan and the strategies said, as bitmaps and flat tables, and how they grow."""

from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy

from omniroute.core.blocks cimport common, drop_list, new_list
from omniroute.core.conditions cimport open_pair
from omniroute.core.layout cimport *
from omniroute.core.places cimport rearm_class
from omniroute.core.order cimport clear_root
from omniroute.core.selection cimport show, show_group

cdef enum:  # operators of a requirement program; >= 0 pushes that atom
    AND = -1
    OR = -2
    NOT = -3
    TRUE = -4
    FALSE = -5
    DEPTH = 256


cdef inline bint relayout(
    State* s, void** data, i64 rows, i64 width, i64 new_rows, i64 new_width, size_t size
) noexcept nogil:
    """Give a table room for more rows and columns; new cells are zero. False where memory ran out."""
    cdef char* fresh = <char*> calloc(<size_t> (new_rows * new_width) + 1, size)
    cdef char* old = <char*> data[0]
    cdef i64 row
    if fresh == NULL:
        s.failed = True
        return False
    for row in range(rows if old != NULL else 0):
        memcpy(fresh + row * new_width * size, old + row * width * size, width * size)
    free(old)
    data[0] = fresh
    return True


cdef inline bint own_cells(State* s) noexcept nogil:
    """Make the tables of pairs this core's own before it writes to them. False where memory ran out.

    O(1) for the only owner, O(classes * groups) where a fork has them too.
    """
    cdef size_t n = <size_t> s.deep * s.wide
    cdef OutPair* out
    cdef InPair* in_
    cdef i32* conditional
    if s.cells == NULL or (s.cells - 1)[0] == 1:
        return True
    out = <OutPair*> malloc(n * sizeof(OutPair) + 1)
    in_ = <InPair*> malloc(n * sizeof(InPair) + 1)
    conditional = <i32*> malloc(n * sizeof(i32) + 1)
    if out == NULL or in_ == NULL or conditional == NULL:
        free(out)
        free(in_)
        free(conditional)
        s.failed = True
        return False
    memcpy(out, s.out, n * sizeof(OutPair))
    memcpy(in_, s.in_, n * sizeof(InPair))
    memcpy(conditional, s.conditional, n * sizeof(i32))
    drop_list(s.cells)
    s.cells = NULL
    s.out = out
    s.in_ = in_
    s.conditional = conditional
    return True


cdef inline bint share_cells(State* s, State* t) noexcept nogil:
    """Let a fork read the same tables of pairs. False where memory ran out."""
    if s.cells == NULL:
        s.cells = new_list(0)
        if s.cells == NULL:
            return False
    t.cells = common(s.cells)
    t.out = s.out
    t.in_ = s.in_
    t.conditional = s.conditional
    return True


cdef inline void drop_cells(State* s) noexcept nogil:
    """The tables of pairs have one owner less."""
    if s.cells == NULL or (s.cells - 1)[0] == 1:
        free(s.out)
        free(s.in_)
        free(s.conditional)
    drop_list(s.cells)


cdef inline bint grow_cells(State* s, i32 deep, i32 wide) noexcept nogil:
    """Lay the tables of pairs out anew for more classes or groups, and the lists of both."""
    if not (own_cells(s)
            and relayout(s, <void**> &s.groups, 1, s.wide, 1, wide, sizeof(Group))
            and relayout(s, <void**> &s.classes, 1, s.deep, 1, deep, sizeof(Class))
            and relayout(s, <void**> &s.out, s.deep, s.wide, deep, wide, sizeof(OutPair))
            and relayout(s, <void**> &s.conditional, s.deep, s.wide, deep, wide, sizeof(i32))
            and relayout(s, <void**> &s.in_, s.wide, s.deep, wide, deep, sizeof(InPair))):
        return False
    s.deep = deep
    s.wide = wide
    return True


cdef inline bint grow_groups(State* s) noexcept nogil:
    """Room for one more group."""
    cdef i32 old = s.cap_groups
    cdef i32 cap = 64 if old == 0 else 2 * old
    cdef i32 classes = s.cap_classes
    cdef i32 l
    if s.n_groups == s.wide and not grow_cells(s, s.deep, 4 if s.wide == 0 else 2 * s.wide):
        return False
    if s.n_groups < old:
        return True
    for l in range(s.n_lanes):
        if not (relayout(s, <void**> &s.lanes[l].roots, 2, old, 2, cap, sizeof(Root))
                and relayout(s, <void**> &s.lanes[l].available, 2, old >> 6, 2, cap >> 6, sizeof(u64))
                and relayout(s, <void**> &s.lanes[l].members, 1, old >> 6, 1, cap >> 6, sizeof(u64))):
            return False
    for l in range(s.n_watched):
        if not relayout(s, <void**> &s.watched[l].levels, 1, old, 1, cap, sizeof(Fading)):
            return False
    for l in range(s.n_gauges):
        if not relayout(s, <void**> &s.gauges[l].members, 1, old >> 6, 1, cap >> 6, sizeof(u64)):
            return False
    if not (relayout(s, <void**> &s.atoms, s.cap_atoms, old >> 6, s.cap_atoms, cap >> 6, sizeof(u64))
            and relayout(s, <void**> &s.ever, classes, old >> 6, classes, cap >> 6, sizeof(u64))
            and relayout(s, <void**> &s.openable, classes, old >> 6, classes, cap >> 6, sizeof(u64))
            and relayout(s, <void**> &s.serves, old, classes >> 6, cap, classes >> 6, sizeof(u64))):
        return False
    s.cap_groups = cap
    return True


cdef inline bint grow_classes(State* s) noexcept nogil:
    """Room for one more class."""
    cdef i32 old = s.cap_classes
    cdef i32 cap = 64 if old == 0 else 2 * old
    cdef i32 groups = s.cap_groups
    if s.n_classes == s.deep and not grow_cells(s, 4 if s.deep == 0 else 2 * s.deep, s.wide):
        return False
    if s.n_classes < old:
        return True
    if not (relayout(s, <void**> &s.nonempty, 1, old >> 6, 1, cap >> 6, sizeof(u64))
            and relayout(s, <void**> &s.held, s.n_windows, old >> 6, s.n_windows, cap >> 6, sizeof(u64))
            and relayout(s, <void**> &s.ever, old, groups >> 6, cap, groups >> 6, sizeof(u64))
            and relayout(s, <void**> &s.openable, old, groups >> 6, cap, groups >> 6, sizeof(u64))
            and relayout(s, <void**> &s.serves, groups, old >> 6, groups, cap >> 6, sizeof(u64))):
        return False
    s.cap_classes = cap
    return True


cdef inline u64 program_word(State* s, const i32* program, i32 length, i32 word) noexcept nogil:
    """For which of 64 groups a program is true, as bits. O(length)."""
    cdef u64 stack[DEPTH]
    cdef i32 top = 0, at, op
    for at in range(length):
        op = program[at]
        if op == NOT:
            stack[top - 1] = ~stack[top - 1]
        elif op == AND:
            top -= 1
            stack[top - 1] &= stack[top]
        elif op == OR:
            top -= 1
            stack[top - 1] |= stack[top]
        else:
            if op >= 0:
                stack[top] = s.atoms[<i64> op * (s.cap_groups >> 6) + word]
            else:
                stack[top] = ~<u64> 0 if op == TRUE else 0
            top += 1
    return stack[0]


cdef inline bint holds(State* s, i32 k, i32 g) noexcept nogil:
    """Whether the requirement of a class holds for a group."""
    return (program_word(s, s.classes[k].program, s.classes[k].program_length, g >> 6) >> (g & 63)) & 1


cdef inline bint grow_beside(State* s, void** data, size_t size) noexcept nogil:
    """Room for one more agent in an array that has as much as the agents' own, which grows last."""
    cdef i32 cap = s.cap_agents
    return grow(s, data, &cap, s.n_agents + 1, size)


cdef inline bint grow_agents(State* s) noexcept nogil:
    """Room for one more agent."""
    cdef i32 l
    if s.n_agents < s.cap_agents:
        return True
    for l in range(s.n_lanes):
        if not (grow_beside(s, <void**> &s.lanes[l].links, sizeof(Link))
                and grow_beside(s, <void**> &s.lanes[l].keys, sizeof(Key))):
            return False
    for l in range(s.n_watched):
        if not grow_beside(s, <void**> &s.watched[l].agents, sizeof(Here)):
            return False
    return (grow_beside(s, <void**> &s.pasts, sizeof(Past))
            and grow_beside(s, <void**> &s.counts, POOLS * sizeof(i32))
            and grow(s, <void**> &s.agents, &s.cap_agents, s.n_agents + 1, sizeof(Agent)))


cdef inline bint watch_queue(State* s, i32 q) noexcept nogil:
    """Keep what agents do for a queue from now on."""
    cdef Watched* it
    s.looks_back = True
    if s.queues[q].watched >= 0:
        return True
    if not grow(s, <void**> &s.watched, &s.cap_watched, s.n_watched + 1, sizeof(Watched)):
        return False
    it = &s.watched[s.n_watched]
    it.queue = q
    it.agents = <Here*> calloc(s.cap_agents + 1, sizeof(Here))
    it.levels = <Fading*> calloc(s.cap_groups + 1, sizeof(Fading))
    s.queues[q].watched = s.n_watched
    s.n_watched += 1
    s.failed = s.failed or it.agents == NULL or it.levels == NULL
    return not s.failed


cdef inline i32 lane_for(State* s, i32 channel, i32 agent_key, i32 queue) noexcept nogil:
    """The lane of a channel and an agent key, made when it is first asked for; -1 where memory ran out."""
    cdef i32 l, g
    cdef Lane* lane
    if agent_key < BEHIND_SHARE:
        queue = NONE
    for l in range(s.n_lanes):
        if s.lanes[l].channel == channel and s.lanes[l].key == agent_key and s.lanes[l].queue == queue:
            return l
    if not grow(s, <void**> &s.lanes, &s.cap_lanes, s.n_lanes + 1, sizeof(Lane)):
        return -1
    lane = &s.lanes[s.n_lanes]
    lane.channel = channel
    lane.key = agent_key
    lane.queue = queue
    lane.roots = <Root*> calloc(2 * s.cap_groups + 1, sizeof(Root))
    lane.available = <u64*> calloc(2 * (s.cap_groups >> 6) + 1, sizeof(u64))
    lane.members = <u64*> calloc((s.cap_groups >> 6) + 1, sizeof(u64))
    lane.links = <Link*> calloc(s.cap_agents + 1, sizeof(Link))
    lane.keys = <Key*> calloc(s.cap_agents + 1, sizeof(Key))
    if (lane.roots == NULL or lane.available == NULL or lane.members == NULL or lane.links == NULL
            or lane.keys == NULL):
        s.failed = True
        return -1
    for g in range(s.n_groups):
        clear_root(&lane.roots[g])
        clear_root(&lane.roots[s.cap_groups + g])
    s.n_lanes += 1
    for l in range(s.n_agents):
        show(s, l)
    return s.n_lanes - 1


cdef inline int by_value(const void* p, const void* q) noexcept nogil:
    cdef i32 a = (<const i32*> p)[0]
    cdef i32 b = (<const i32*> q)[0]
    return (a > b) - (a < b)


cdef inline bint list_openings(State* s, i32 k) noexcept nogil:
    """Write down the distinct opening delays of a class and arm its entries by them. O(groups log groups)."""
    cdef Class* class_ = &s.classes[k]
    cdef OutPair* row = &s.out[<i64> k * s.wide]
    cdef i32 n = 0, kept = 0, g, at
    cdef i32* fresh
    for g in range(s.n_groups):
        n += row[g].opens > 0
    if n == 0 and class_.openings_length == 0:
        return True
    fresh = new_list(n)
    if fresh == NULL:
        s.failed = True
        return False
    n = 0
    for g in range(s.n_groups):
        if row[g].opens > 0:
            fresh[n] = row[g].opens
            n += 1
    qsort(fresh, n, sizeof(i32), by_value)
    for at in range(n):
        if at == 0 or fresh[at] != fresh[at - 1]:
            fresh[kept] = fresh[at]
            kept += 1
    drop_list(class_.openings)
    class_.openings = fresh
    class_.openings_length = kept
    rearm_class(s, k)
    return True


cdef inline void admit(State* s, Lane* lane, i32 g) noexcept nogil:
    """Let the agents of a group into the lane of a queue's key, of which they may serve a class; once."""
    if lane.queue >= 0 and not (lane.members[g >> 6] >> (g & 63)) & 1:
        lane.members[g >> 6] |= <u64> 1 << (g & 63)
        show_group(s, g)


cdef inline void set_pair(
    State* s, i32 k, i32 g, i64 opens, i64 rank_out, i64 cost_out, i64 rank_in, i64 cost_in
) noexcept nogil:
    """Write one cell; a pair that does not match stays not allowed."""
    cdef OutPair* out
    cdef InPair* in_
    if not own_cells(s):
        return
    out = &s.out[<i64> k * s.wide + g]
    in_ = &s.in_[<i64> g * s.deep + k]
    if opens != NEVER and not holds(s, k, g):
        opens = NEVER
    out.opens = in_.opens = <i32> opens
    out.rank = <i32> rank_out
    out.cost = cost_out
    in_.rank = <i32> rank_in
    in_.cost = cost_in
    open_pair(s, k, g)
    if opens != NEVER:
        admit(s, &s.lanes[s.classes[k].lane], g)


cdef inline void condition_pair(State* s, i32 k, i32 g, i32 condition) noexcept nogil:
    """Let a pair hold only while a condition does (-1: always)."""
    cdef i32* cell
    if not own_cells(s):
        return
    cell = &s.conditional[<i64> k * s.wide + g]
    s.classes[k].conditioned += (condition >= 0) - (cell[0] > 0)
    cell[0] = condition + 1
    open_pair(s, k, g)
