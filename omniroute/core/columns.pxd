"""The columns: the commands in the order of time, without a Python object."""

from omniroute.core.layout cimport State, grow, i32, i64

cdef enum:
    FINISH = 0
    LEAVE = 1
    BLOCKED = -2
    ROW_BITS = 40

cdef struct Future:  # an end of handling or of patience; order = kind << ROW_BITS | row
    i64 at
    i64 order
    i32 interaction

cdef struct Futures:
    Future* heap
    i32 n
    i32 cap
    i64* rows  # for each interaction number the row of the arrivals
    i32 cap_rows


cdef inline bint before(Future* p, Future* q) noexcept nogil:
    return (p.at < q.at) | ((p.at == q.at) & (p.order < q.order))


cdef inline void push(State* s, Futures* f, i64 at, i64 kind, i64 row, i32 i) noexcept nogil:
    cdef Future item
    cdef i32 here = f.n, up
    if not grow(s, <void**> &f.heap, &f.cap, f.n + 1, sizeof(Future)):
        return
    f.n += 1
    item.at = at
    item.order = kind << ROW_BITS | row
    item.interaction = i
    while here > 0:
        up = (here - 1) >> 1
        if not before(&item, &f.heap[up]):
            break
        f.heap[here] = f.heap[up]
        here = up
    f.heap[here] = item


cdef inline Future pop(Futures* f) noexcept nogil:
    """The soonest one, taken out: the gap goes down to a leaf, and what was last comes up from there, seldom far."""
    cdef Future* heap = f.heap
    cdef Future top = heap[0]
    cdef i32 here = 0, down = 1, n = f.n - 1
    cdef Future item = heap[n]
    f.n = n
    while down + 1 < n:
        down += before(&heap[down + 1], &heap[down])
        heap[here] = heap[down]
        here = down
        down = 2 * here + 1
    if down < n:
        heap[here] = heap[down]
        here = down
    while here > 0 and before(&item, &heap[(here - 1) >> 1]):
        heap[here] = heap[(here - 1) >> 1]
        here = (here - 1) >> 1
    heap[here] = item
    return top
