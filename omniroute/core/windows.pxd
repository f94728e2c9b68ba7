"""What decision windows hold back. How they close is in ``closing``."""

from omniroute.core.deadlines cimport arm
from omniroute.core.layout cimport *
from omniroute.core.selection cimport Choice, choose, in_queue, in_window, is_bound, offers_full, pick_held


cdef inline i32 held_from(State* s, i32 i, i32 w) noexcept nogil:
    """The agent who would get a waiting interaction now, of those from whom a window holds it; -1: none.

    Whom it prefers is not looked at apart: when this is asked, nobody of them could take it.
    """
    cdef Interaction* it = &s.interactions[i]
    cdef i32 e, band
    cdef Choice found
    found.agent = -1
    found.rank = 0
    if not in_queue(it) or offers_full(s, it) or (it.ties >= 0 and is_bound(s, it)):
        return -1
    for band in range(2 if s.interrupting else 1):
        e = it.entries
        while e >= 0:
            if s.classes[s.entries[e].class_].window == w and in_window(s, e):
                choose(s, it, i, s.entries[e].class_, s.keys[e].b, band, &found)
            e = s.entries[e].next
        if found.agent >= 0:
            break
    return found.agent


cdef inline void open_window(State* s, i32 w, i32 i, i32 j) noexcept nogil:
    """A window is open: it holds an offer back that would have been made now.

    It closes no later than the target wait of that interaction, and before that agent has too little time left.
    """
    cdef Window* window = &s.windows[w]
    cdef Interaction* it = &s.interactions[i]
    cdef i64 closes_at = window.closes_at
    cdef i64 target
    cdef i32 e = it.entries
    if closes_at < 0:
        closes_at = s.now + window.length
    while e >= 0:
        target = s.queues[s.classes[s.entries[e].class_].queue].target
        if s.classes[s.entries[e].class_].window == w and in_window(s, e) and target >= 0:
            if s.now < it.wait_from + target < closes_at:
                closes_at = it.wait_from + target
        e = s.entries[e].next
    e = s.agents[j].edge_at
    if e >= 0 and s.now < s.heap[e].due - 1 < closes_at:
        closes_at = s.heap[e].due - 1
    window.closes_at = closes_at
    arm(s, closes_at, WINDOW, w, w)


cdef inline void hold_back(State* s, i32 i) noexcept nogil:
    """Open the windows that hold an interaction from somebody who could take it now. O(entries * questions)."""
    cdef i32 e = s.interactions[i].entries
    cdef i32 w, j
    while e >= 0:
        w = s.classes[s.entries[e].class_].window
        j = held_from(s, i, w) if in_window(s, e) else -1
        if j >= 0:
            open_window(s, w, i, j)
        e = s.entries[e].next


cdef inline void hold_back_from(State* s, i32 j) noexcept nogil:
    """Open the windows that hold something from an agent who could take it now. O(windows * questions)."""
    cdef i32 w, e
    for w in range(s.n_windows):
        e = pick_held(s, j, w)
        if e >= 0:
            open_window(s, w, s.entries[e].interaction, j)
