"""One indexed heap of all deadlines, ordered by (due, kind, sequence); everything armed knows its place in it."""

from omniroute.core.layout cimport *


cdef inline i32* place_of(State* s, i32 kind, i32 what) noexcept nogil:
    """Where the place of a deadline in the heap is kept."""
    if kind == WRAP_UP_END or kind == SETUP_END or kind == ACTIVATION or kind == FURTHER_OFFER:
        return &s.interactions[what].heap_at
    if kind == OFFER_EXPIRY:
        return &s.offers[what].heap_at
    if kind == TIE_END:
        return &s.ties[what].heap_at
    if kind == REST_END:
        return &s.agents[what].heap_at
    if kind == EDGE:
        return &s.agents[what].edge_at
    if kind == WINDOW:
        return &s.windows[what].heap_at
    if kind == CONTROL:
        return &s.queues[what].heap_at
    if kind == ESTIMATES:
        return &s.estimates_at
    return &s.entries[what].heap_at


cdef inline bint sooner(Deadline* p, Deadline* q) noexcept nogil:
    """Whether p fires before q."""
    if p.due != q.due:
        return p.due < q.due
    if p.kind != q.kind:
        return p.kind < q.kind
    return p.seq < q.seq


cdef inline void put(State* s, i32 at, Deadline item) noexcept nogil:
    s.heap[at] = item
    place_of(s, item.kind, item.what)[0] = at


cdef inline void sift_up(State* s, i32 at) noexcept nogil:
    cdef Deadline item = s.heap[at]
    cdef i32 up
    while at > 0:
        up = (at - 1) >> 1
        if not sooner(&item, &s.heap[up]):
            break
        put(s, at, s.heap[up])
        at = up
    put(s, at, item)


cdef inline void sift_down(State* s, i32 at) noexcept nogil:
    cdef Deadline item = s.heap[at]
    cdef i32 down
    while True:
        down = 2 * at + 1
        if down >= s.n_heap:
            break
        if down + 1 < s.n_heap and sooner(&s.heap[down + 1], &s.heap[down]):
            down += 1
        if not sooner(&s.heap[down], &item):
            break
        put(s, at, s.heap[down])
        at = down
    put(s, at, item)


cdef inline void disarm(State* s, i32* place) noexcept nogil:
    """Take a deadline out, if it is armed. O(log deadlines)."""
    cdef i32 at = place[0]
    if at < 0:
        return
    place[0] = -1
    s.n_heap -= 1
    if at == s.n_heap:
        return
    s.heap[at] = s.heap[s.n_heap]
    put(s, at, s.heap[at])
    if at > 0 and sooner(&s.heap[at], &s.heap[(at - 1) >> 1]):
        sift_up(s, at)
    else:
        sift_down(s, at)


cdef inline void arm(State* s, i64 due, i32 kind, i64 seq, i32 what) noexcept nogil:
    """Set a deadline, in place of the one that ``what`` had. O(log deadlines)."""
    cdef Deadline item
    cdef i32* place = place_of(s, kind, what)
    if place[0] >= 0:
        if s.heap[place[0]].due == due and s.heap[place[0]].kind == kind:
            return
        disarm(s, place)
    if not grow(s, <void**> &s.heap, &s.cap_heap, s.n_heap + 1, sizeof(Deadline)):
        return
    item.due = due
    item.kind = kind
    item.seq = seq
    item.what = what
    s.heap[s.n_heap] = item
    s.n_heap += 1
    sift_up(s, s.n_heap - 1)
