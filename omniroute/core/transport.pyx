"""The optimum of a decision window, compiled. ``network`` says how it is found, the twin what is meant."""

from libc.stdint cimport int32_t, int64_t

from omniroute.core.network cimport NOT_ELIGIBLE, Net, best_match, unmake

ctypedef int64_t i64
ctypedef int32_t i32


def greatest(const i64[::1] cost):
    """Return the greatest magnitude of the costs of eligible pairs. O(cells)."""
    cdef i64 x, low = 0, high = 0
    for x in range(cost.shape[0]):
        if cost[x] < low:
            low = cost[x]
        elif cost[x] > high and cost[x] != NOT_ELIGIBLE:
            high = cost[x]
    return max(high, -int(low))


def solve(const i64[::1] weights, const i64[::1] first, const i64[::1] available, const i64[::1] cost, i64 most):
    """Return (class, group, how many) where any are matched, in order; see the twin. Ranges are the caller's."""
    cdef i64 classes = first.shape[0] - 1, groups = available.shape[0], x
    cdef const i64 *weight = &weights[0] if weights.shape[0] else NULL
    cdef bint made
    cdef Net n
    if classes < 1 or groups < 1:
        return []
    assert first[classes] == weights.shape[0] and cost.shape[0] == classes * groups
    try:
        with nogil:
            made = best_match(&n, <i32>classes, <i32>groups, weight, &first[0], &available[0], &cost[0], most)
        if not made:
            raise MemoryError
        return [(x // groups, x % groups, n.flow[x]) for x in range(classes * groups) if n.flow[x]]
    finally:
        unmake(&n)
