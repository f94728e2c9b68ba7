"""Gauges, and the conditions that compare them with thresholds."""

from omniroute.core.layout cimport *


cdef inline void recount(State* s, i32 j, uint32_t room, i32 shown) noexcept nogil:
    """Bring what gauges count of an agent from what they counted last to this. O(gauges)."""
    cdef Agent* agent = &s.agents[j]
    cdef Gauge* gauge
    cdef i32 x
    for x in range(s.n_gauges):
        gauge = &s.gauges[x]
        if gauge.kind == LENGTH or gauge.kind == GIVEN:
            continue
        if not (gauge.members[agent.group >> 6] >> (agent.group & 63)) & 1:
            continue
        if gauge.kind == STAFFED:
            gauge.value += (shown & 1) - (agent.shown & 1)
        elif gauge.kind == IDLE:
            gauge.value += ((shown >> 1) & 1) - ((agent.shown >> 1) & 1)
        else:
            gauge.value += <i64> ((room >> gauge.subject) & 1) - <i64> ((agent.room >> gauge.subject) & 1)


cdef inline void open_pair(State* s, i32 k, i32 g) noexcept nogil:
    """Write the three bits of a pair: may ever, may now as its condition says, seen from both sides."""
    cdef u64 bit = <u64> 1 << (g & 63)
    cdef i64 at = <i64> k * (s.cap_groups >> 6) + (g >> 6)
    cdef u64* serves = &s.serves[<i64> g * (s.cap_classes >> 6) + (k >> 6)]
    cdef i32 condition = s.conditional[<i64> k * s.wide + g] - 1
    cdef bint ever = s.out[<i64> k * s.wide + g].opens != NEVER
    if ever:
        s.ever[at] |= bit
    else:
        s.ever[at] &= ~bit
    if ever and (condition < 0 or s.conditions[condition].holds):
        s.openable[at] |= bit
        serves[0] |= <u64> 1 << (k & 63)
    else:
        s.openable[at] &= ~bit
        serves[0] &= ~(<u64> 1 << (k & 63))


cdef inline i64 gauge_value(State* s, i32 x) noexcept nogil:
    if s.gauges[x].kind == LENGTH:
        return s.queues[s.gauges[x].subject].length
    return s.gauges[x].value


cdef inline void look(State* s) noexcept nogil:
    """Look at every gauge again. O(conditions), and O(classes * groups) for one that flips."""
    cdef Condition* cell
    cdef i64 value
    cdef i32 x, k, g
    cdef bint holds
    if s.blind:
        return
    for x in range(s.n_conditions):
        cell = &s.conditions[x]
        value = gauge_value(s, cell.gauge)
        if cell.holds:
            holds = value <= cell.off if cell.below else value >= cell.off
        else:
            holds = value <= cell.on if cell.below else value >= cell.on
        if holds == cell.holds:
            continue
        cell.holds = holds
        s.stale = s.stale or not holds
        if holds and not cell.fresh:
            cell.fresh = True
            s.n_fresh += 1
        for k in range(s.n_classes):
            if s.classes[k].conditioned:
                for g in range(s.n_groups):
                    if s.conditional[<i64> k * s.wide + g] == x + 1:
                        open_pair(s, k, g)
