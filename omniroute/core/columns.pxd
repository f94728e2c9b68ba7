"""The columns: the commands in the order of time, without a Python object."""

from omniroute.core.keys cimport mixed
from omniroute.core.layout cimport State, grow, i32, i64, u64

cdef enum:  # what comes, in this order at one instant
    FINISH = 0
    LEAVE = 1
    ESTABLISH = 2
    ACCEPT = 3
    DECLINE = 4
    RETURN = 5

cdef enum:  # how a row has ended
    OPEN = 0
    SERVED = 1
    LEFT = 2
    FULL = 3
    DROPPED = 4

cdef enum:
    BLOCKED = -2
    NUMBER_BITS = 44

cdef struct Future:
    i64 at
    i64 order  # kind << NUMBER_BITS | number: a row, the sequence of an offer, or an agent
    i32 subject  # the interaction, the slot of the offer, or the agent

cdef struct Futures:
    Future* heap
    i32 n
    i32 cap

cdef struct Given:  # the columns that are read
    i64 n
    const i64* at
    const i64* class_
    const i64* tier
    const i64* head_start
    const i64* handle
    const i64* wrap
    const i64* patience
    i64 m
    const i64* p_at
    const i64* p_agent
    const i64* p_move
    const i64* p_until  # NULL: nobody is told an obligation
    const i64* number  # NULL: agents accept at once
    const i64* answer
    const i64* decline
    const i64* ignore
    const i64* class2  # NULL: nothing is transferred
    const i64* tier2
    const i64* head_start2
    const i64* handle2
    const i64* wrap2
    const i64* keeps
    const i64* wraps  # for each class; of rows that say -1

cdef struct Told:  # the columns that are written
    i64* agent
    i64* start
    i64* end
    i64* how  # NULL: the three above are all
    i64* wait
    i64* offers
    i64* class_
    i64* moved
    i64* agent2
    i64* start2

cdef struct Drive:  # what outlives a call
    Futures f
    i64* rows  # for each interaction number the row
    i32 cap_rows
    u64 seed
    i64 back
    i64* away  # for each agent when he comes back by himself, or -1
    i64* habits  # NULL, or for each agent answer, decline, ignore; -1: as the row says
    i64 first  # rows that are known already
    i64 p  # presences that are done
    i64 until
    bint more
    i64* asked  # queues whose control interval is over: with details, what they want is an answer before anything else
    i32 n_asked
    i32 cap_asked
    bint plain  # the short way does
    i64 stuck  # a row that has been offered too often, or -1
    Given g
    Told t


cdef inline i64 chance(u64 seed, i64 number, i64 attempt) noexcept nogil:
    """0..999, by nothing but its arguments."""
    return <i64> (mixed(mixed(mixed(seed) ^ <u64> number) ^ <u64> attempt) % 1000)


cdef inline bint before(Future* p, Future* q) noexcept nogil:
    return (p.at < q.at) | ((p.at == q.at) & (p.order < q.order))


cdef inline void push(State* s, Futures* f, i64 at, i64 kind, i64 number, i32 subject) noexcept nogil:
    cdef Future item
    cdef i32 here = f.n, up
    if not grow(s, <void**> &f.heap, &f.cap, f.n + 1, sizeof(Future)):
        return
    f.n += 1
    item.at = at
    item.order = kind << NUMBER_BITS | number
    item.subject = subject
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
