"""Memory that forks hand on or have in common. All of it is touched only while Python's lock is held.

*Blocks* of forks that are gone are kept for the next fork: fresh memory costs more to touch than to copy into. Only
forks give them back and only forks take them, so a process that never forks keeps nothing.

*Lists* are written once and have as many owners as cores use them; the number of owners stands before the first item.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

cdef enum:
    BLOCKS = 64
    BLOCK_LEAST = 32768  # bytes; smaller ones are not worth the search
    BLOCKS_MOST = 67108864  # bytes kept at most, 64 MiB

cdef struct Block:
    void* data
    size_t size

cdef struct Store:
    Block blocks[BLOCKS]
    int n
    size_t size


cdef inline void give_back(Store* store, void* data, size_t size, bint keep) noexcept nogil:
    """Free a block, or keep it where there is room. O(1)."""
    if (not keep or data == NULL or size < BLOCK_LEAST or store.n == BLOCKS or store.size + size > BLOCKS_MOST):
        free(data)
        return
    store.blocks[store.n].data = data
    store.blocks[store.n].size = size
    store.n += 1
    store.size += size


cdef inline void* take_block(Store* store, size_t need, size_t wish, size_t* size_out) noexcept nogil:
    """The smallest block kept of at least ``need`` bytes and at most four times that; or a fresh one of ``wish``.

    NULL where memory ran out. O(blocks kept).
    """
    cdef int x, best = -1
    cdef void* data
    if need >= BLOCK_LEAST:
        for x in range(store.n):
            if (store.blocks[x].size >= need and store.blocks[x].size // 4 <= need
                    and (best < 0 or store.blocks[x].size < store.blocks[best].size)):
                best = x
    if best < 0:
        size_out[0] = wish
        return malloc(wish + 1)
    data = store.blocks[best].data
    size_out[0] = store.blocks[best].size
    store.size -= store.blocks[best].size
    store.n -= 1
    store.blocks[best] = store.blocks[store.n]
    return data


cdef inline int32_t* new_list(int32_t n) noexcept nogil:
    """Room for ``n`` numbers with one owner; NULL where memory ran out."""
    cdef int32_t* data = <int32_t*> malloc((<size_t> n + 1) * sizeof(int32_t))
    if data == NULL:
        return NULL
    data[0] = 1
    return data + 1


cdef inline int32_t* common(int32_t* data) noexcept nogil:
    """The same list, for one more owner."""
    if data != NULL:
        (data - 1)[0] += 1
    return data


cdef inline void drop_list(int32_t* data) noexcept nogil:
    """One owner less; the last one frees it."""
    if data != NULL:
        (data - 1)[0] -= 1
        if (data - 1)[0] == 0:
            free(data - 1)
