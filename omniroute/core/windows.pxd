"""What decision windows hold back. How they close is in ``closing``."""

from omniroute.core.deadlines cimport arm
from omniroute.core.layout cimport *
from omniroute.core.selection cimport Choice, choose, in_queue, in_window, is_bound, offers_full, pick_held


cdef inline bint holds(State* s, i32 i, i32 w) noexcept nogil:
    """Whether a window holds a waiting interaction from somebody who could take it now.

    Whom it prefers is not looked at apart: when this is asked, nobody of them could take it.
    """
    cdef Interaction* it = &s.interactions[i]
    cdef i32 e = it.entries
    cdef Choice found
    if not in_queue(it) or offers_full(s, it) or (it.ties >= 0 and is_bound(s, it)):
        return False
    found.agent = -1
    found.rank = 0
    while e >= 0:
        if s.classes[s.entries[e].class_].window == w and in_window(s, e):
            if choose(s, it, i, s.entries[e].class_, s.keys[e].b, 0, &found):
                return True
            if s.interrupting and choose(s, it, i, s.entries[e].class_, s.keys[e].b, 1, &found):
                return True
        e = s.entries[e].next
    return False


cdef inline void open_window(State* s, i32 w, i32 i) noexcept nogil:
    """A window is open, and closes no later than the target wait of the one for whom it holds an offer back."""
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
    window.closes_at = closes_at
    arm(s, closes_at, WINDOW, w, w)


cdef inline void hold_back(State* s, i32 i) noexcept nogil:
    """Open the windows that hold an interaction from somebody who could take it now. O(entries * questions)."""
    cdef i32 e = s.interactions[i].entries
    cdef i32 w
    while e >= 0:
        w = s.classes[s.entries[e].class_].window
        if in_window(s, e) and holds(s, i, w):
            open_window(s, w, i)
        e = s.entries[e].next


cdef inline void hold_back_from(State* s, i32 j) noexcept nogil:
    """Open the windows that hold something from an agent who could take it now. O(windows * questions)."""
    cdef i32 w, e
    for w in range(s.n_windows):
        e = pick_held(s, j, w)
        if e >= 0:
            open_window(s, w, s.entries[e].interaction)
