"""The network of a match between classes and groups: the ways of ``reference/transport``, repaired instead of found anew.

A way's length is one integer: what it concedes times ``2**shift``, plus its arcs. As the naive twin has it, of equal
lengths the least number is next; so both take the same ways. Matching along shortest ways never shortens one, and
lengths are sums of at least one arc, so who is next leads nowhere back. A node keeps its length until the last node
that could be next is lost; only then it and those behind it are measured again, by Dijkstra on what each would gain.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

ctypedef int64_t i64
ctypedef int32_t i32

cdef extern from *:
    """
    #define OMNI_FAR ((int64_t)1 << 61)
    #define OMNI_NEAR ((int64_t)1 << 60)
    #define OMNI_NOT_ELIGIBLE INT64_MAX
    """
    const i64 FAR "OMNI_FAR"  # no way; twice this still fits
    const i64 NEAR "OMNI_NEAR"  # a length below is one
    const i64 NOT_ELIGIBLE "OMNI_NOT_ELIGIBLE"  # limits.NOT_ELIGIBLE

cdef enum:
    SINK = -1  # next of a group with an agent left
    NOBODY = -2
    ABSENT = -1  # not in the heap


cdef struct Net:
    i32 classes
    i32 groups
    i32 shift
    const i64 *weight  # of all entries, class by class
    i32 *entry  # per class: the next to be served, and where its entries end
    i32 *stop
    i32 *left  # per group: agents
    i64 *price  # [class, group]: length of the arc, or FAR
    i32 *row  # eligible groups of each class: to[row[k]..row[k+1]]
    i32 *to
    i32 *flow  # [class, group]
    i32 *owners  # per group: classes that it serves, owners[place[g]..] and how many
    i32 *place
    i32 *owned
    i64 *of_class  # lengths
    i64 *of_group
    i32 *via  # per class: where in ``to`` the next group is
    i32 *next_group
    i32 *next_class  # per group
    i64 *adds  # per class: what its next match would add, 2 * FAR for nothing
    i64 *old  # of nodes that are measured again: groups, then classes
    i64 *gained  # what their ways have grown by: the key of the heap
    i32 *heap
    i32 *spot  # of a node in it
    i32 heaped
    i32 *lost_groups
    i32 *lost_classes
    char *lost
    i32 *queue  # of the lost
    i32 many


cdef inline i64 add_of(Net *n, i32 k) noexcept nogil:
    """What the next match of a class would add; the greatest integer where there is none."""
    if n.entry[k] == n.stop[k] or n.of_class[k] >= NEAR:
        return 2 * FAR
    return (n.of_class[k] >> n.shift) - n.weight[n.entry[k]]


cdef inline void lose(Net *n, i32 node) noexcept nogil:
    n.lost[node] = 1
    n.queue[n.many] = node
    n.many += 1


cdef inline bint next_of_group(Net *n, i32 g) noexcept nogil:
    """Find the class of least number that a group's way may lead to; false where every one is lost."""
    cdef i32 at, k, best = NOBODY
    for at in range(n.place[g], n.place[g] + n.owned[g]):
        k = n.owners[at]
        if (best == NOBODY or k < best) and not n.lost[n.groups + k]:
            if n.of_class[k] - n.price[<i64>k * n.groups + g] + 2 == n.of_group[g]:
                best = k
    n.next_class[g] = best
    return best != NOBODY


cdef inline bint next_of_class(Net *n, i32 k, i32 begin) noexcept nogil:
    """Find the group of least number, from a place in ``to``, that a class's way may lead to; false for none."""
    cdef i32 at, g
    cdef i64 want = n.of_class[k]
    cdef i64 *price = n.price + <i64>k * n.groups
    for at in range(begin, n.row[k + 1]):
        g = n.to[at]
        if price[g] + n.of_group[g] == want and not n.lost[g]:
            n.via[k] = at
            n.next_group[k] = g
            return True
    n.next_group[k] = NOBODY
    return False


cdef inline void lose_behind(Net *n) noexcept nogil:
    """Add to the lost everybody whose only ways lead through them."""
    cdef i32 done = 0, node, k, g
    while done < n.many:
        node = n.queue[done]
        done += 1
        if node < n.groups:
            for k in range(n.classes):
                if n.next_group[k] == node and not n.lost[n.groups + k] and not next_of_class(n, k, n.via[k] + 1):
                    lose(n, n.groups + k)
        else:
            k = node - n.groups
            for g in range(n.groups):
                if n.next_class[g] == k and not n.lost[g] and not next_of_group(n, g):
                    lose(n, g)


cdef inline void nearer(Net *n, i32 node, i64 gained) noexcept nogil:
    """Put a lost node into the heap, or forward in it, with what its way has grown by."""
    cdef i32 at = n.spot[node], up
    if at == ABSENT:
        at = n.heaped
        n.heaped += 1
    n.gained[node] = gained
    while at:
        up = (at - 1) >> 1
        if n.gained[n.heap[up]] <= gained:
            break
        n.heap[at] = n.heap[up]
        n.spot[n.heap[at]] = at
        at = up
    n.heap[at] = node
    n.spot[node] = at


cdef inline i32 nearest(Net *n) noexcept nogil:
    """Take the node whose way has grown least out of the heap."""
    cdef i32 first = n.heap[0], last, at = 0, down = 1
    n.heaped -= 1
    n.spot[first] = ABSENT
    if n.heaped == 0:
        return first
    last = n.heap[n.heaped]
    while down < n.heaped:
        if down + 1 < n.heaped and n.gained[n.heap[down + 1]] < n.gained[n.heap[down]]:
            down += 1
        if n.gained[n.heap[down]] >= n.gained[last]:
            break
        n.heap[at] = n.heap[down]
        n.spot[n.heap[at]] = at
        at = down
        down = 2 * at + 1
    n.heap[at] = last
    n.spot[last] = at
    return first


cdef inline void begin_measure(Net *n) noexcept nogil:
    """Give each lost node the shortest way that leads through none of them."""
    cdef i32 x, node, k, g, at
    cdef i64 way, best, old
    cdef i64 *price
    for x in range(n.many):
        node = n.queue[x]
        best = FAR
        if node < n.groups:
            for at in range(n.place[node], n.place[node] + n.owned[node]):
                k = n.owners[at]
                if not n.lost[n.groups + k]:
                    way = n.of_class[k] - n.price[<i64>k * n.groups + node] + 2
                    if way < best:
                        best = way
        else:
            k = node - n.groups
            price = n.price + <i64>k * n.groups
            for at in range(n.row[k], n.row[k + 1]):
                g = n.to[at]
                if not n.lost[g]:
                    way = price[g] + n.of_group[g]
                    if way < best:
                        best = way
        n.gained[node] = best if best < NEAR else FAR
    for x in range(n.many):
        node = n.queue[x]
        way = n.gained[node]
        n.spot[node] = ABSENT
        if node < n.groups:
            old = n.of_group[node]
            n.of_group[node] = way
        else:
            old = n.of_class[node - n.groups]
            n.of_class[node - n.groups] = way
        n.old[node] = old
        if way < NEAR:
            nearer(n, node, way - old)


cdef inline void measure(Net *n) noexcept nogil:
    """Measure the lost again: those first whose way has grown least. O(lost classes * lost groups * log)."""
    cdef i32 x, node, k, g, groups = 0, classes = 0
    cdef i64 way
    begin_measure(n)
    for x in range(n.many):
        if n.queue[x] < n.groups:
            n.lost_groups[groups] = n.queue[x]
            groups += 1
        else:
            n.lost_classes[classes] = n.queue[x] - n.groups
            classes += 1
    while n.heaped:
        node = nearest(n)
        if node < n.groups:
            for x in range(classes):
                k = n.lost_classes[x]
                way = n.price[<i64>k * n.groups + node] + n.of_group[node]
                if way < n.of_class[k]:
                    n.of_class[k] = way
                    nearer(n, n.groups + k, way - n.old[n.groups + k])
        else:
            k = node - n.groups
            for x in range(groups):
                g = n.lost_groups[x]
                if n.flow[<i64>k * n.groups + g]:
                    way = n.of_class[k] - n.price[<i64>k * n.groups + g] + 2
                    if way < n.of_group[g]:
                        n.of_group[g] = way
                        nearer(n, g, way - n.old[g])


cdef inline void repair(Net *n) noexcept nogil:
    """Bring lengths, who is next and what each class would add up to date, after some nodes were lost."""
    cdef i32 x, node
    lose_behind(n)
    measure(n)
    for x in range(n.many):
        n.lost[n.queue[x]] = 0
    for x in range(n.many):
        node = n.queue[x]
        if node < n.groups:
            n.next_class[node] = NOBODY
            if n.of_group[node] < NEAR:
                next_of_group(n, node)
        else:
            node -= n.groups
            n.next_group[node] = NOBODY
            if n.of_class[node] < NEAR:
                next_of_class(n, node, n.row[node])
            n.adds[node] = add_of(n, node)
    n.many = 0


cdef inline void disown(Net *n, i32 g, i32 k) noexcept nogil:
    """A group serves nobody of a class any more."""
    cdef i32 at = n.place[g]
    while n.owners[at] != k:
        at += 1
    n.owned[g] -= 1
    n.owners[at] = n.owners[n.place[g] + n.owned[g]]


cdef inline void serve(Net *n, i32 k) noexcept nogil:
    """Match the next entry of a class along its way, and note who has lost the next of their own."""
    cdef i32 g, x, many
    n.entry[k] += 1
    n.adds[k] = add_of(n, k)
    while True:
        g = n.next_group[k]
        if n.flow[<i64>k * n.groups + g] == 0:
            n.owners[n.place[g] + n.owned[g]] = k
            n.owned[g] += 1
        n.flow[<i64>k * n.groups + g] += 1
        k = n.next_class[g]
        if k == SINK:
            n.left[g] -= 1
            if n.left[g] == 0:
                lose(n, g)
            break
        n.flow[<i64>k * n.groups + g] -= 1
        if n.flow[<i64>k * n.groups + g] == 0:
            disown(n, g, k)
            lose(n, g)


cdef inline void keep_found(Net *n) noexcept nogil:
    """Of the groups that lost their next class, keep those that have another one as near."""
    cdef i32 x, g, many = n.many
    n.many = 0
    for x in range(many):
        g = n.queue[x]
        n.lost[g] = 0
        if n.next_class[g] == SINK or not next_of_group(n, g):
            lose(n, g)


cdef inline void run(Net *n, i64 most) noexcept nogil:
    """Match until nothing is left to match or the next one would add more than ``most``."""
    cdef i32 k, best
    cdef i64 least
    while True:
        least = 2 * FAR
        best = NOBODY
        for k in range(n.classes):
            if n.adds[k] < least:
                least = n.adds[k]
                best = k
        if best == NOBODY or least > most:
            return
        serve(n, best)
        keep_found(n)
        if n.many:
            repair(n)


cdef inline bint make(Net *n, i32 classes, i32 groups, i64 arcs, i64 owners) noexcept nogil:
    """Take the memory of a net; all of it zero. False where there is none; ``unmake`` follows all the same."""
    cdef i64 cells = <i64>classes * groups, nodes = <i64>classes + groups
    memset(n, 0, sizeof(Net))
    n.classes = classes
    n.groups = groups
    n.price = <i64 *>calloc(cells + 1, sizeof(i64))
    n.flow = <i32 *>calloc(cells + 1, sizeof(i32))
    n.of_class = <i64 *>calloc(4 * nodes + 1, sizeof(i64))
    n.entry = <i32 *>calloc(14 * nodes + 4 + arcs + owners, sizeof(i32))
    n.lost = <char *>calloc(nodes + 1, 1)
    if not (n.price and n.flow and n.of_class and n.entry and n.lost):
        return False
    n.of_group = n.of_class + classes
    n.adds = n.of_group + groups
    n.old = n.adds + classes
    n.gained = n.old + nodes
    n.stop = n.entry + classes
    n.via = n.stop + classes
    n.next_group = n.via + classes
    n.row = n.next_group + classes
    n.left = n.row + classes + 1
    n.place = n.left + groups
    n.owned = n.place + groups
    n.next_class = n.owned + groups
    n.queue = n.next_class + groups
    n.heap = n.queue + nodes
    n.spot = n.heap + nodes
    n.lost_groups = n.spot + nodes
    n.lost_classes = n.lost_groups + groups
    n.to = n.lost_classes + classes
    n.owners = n.to + arcs
    return True


cdef inline void unmake(Net *n) noexcept nogil:
    free(n.price)
    free(n.flow)
    free(n.of_class)
    free(n.entry)
    free(n.lost)


cdef inline void fill(Net *n, const i64 *first, const i64 *available, const i64 *cost) noexcept nogil:
    """Lay down classes, groups and arcs; with nothing matched, the way of a class is its cheapest group."""
    cdef i32 k, g, at = 0
    cdef i64 way, cell
    n.shift = 1
    while (<i64>1 << n.shift) < 2 * <i64>min(n.classes, n.groups) + 3:
        n.shift += 1
    for g in range(n.groups):
        n.left[g] = <i32>available[g]
        n.of_group[g] = 0 if available[g] else FAR
        n.next_class[g] = SINK if available[g] else NOBODY
        if g:
            n.place[g] = n.place[g - 1] + <i32>min(available[g - 1] + 1, <i64>n.classes)  # one comes before one goes
    for k in range(n.classes):
        n.entry[k] = <i32>first[k]
        n.stop[k] = <i32>first[k + 1]
        n.of_class[k] = FAR
        n.row[k] = at
        for g in range(n.groups):
            cell = <i64>k * n.groups + g
            n.price[cell] = FAR
            if cost[cell] != NOT_ELIGIBLE and first[k] != first[k + 1] and available[g]:
                n.price[cell] = cost[cell] * (<i64>1 << n.shift) + 1
                n.to[at] = g
                at += 1
                if n.price[cell] < n.of_class[k]:
                    n.of_class[k] = n.price[cell]
        n.row[k + 1] = at
        n.next_group[k] = NOBODY
        if n.of_class[k] < NEAR:
            next_of_class(n, k, n.row[k])
        n.adds[k] = add_of(n, k)


cdef inline bint best_match(
    Net *n, i32 classes, i32 groups, const i64 *weight, const i64 *first, const i64 *available, const i64 *cost, i64 most
) noexcept nogil:
    """Make a net and find the optimum in it; False where there is no memory. ``unmake`` follows. Ranges are the caller's."""
    cdef i64 owners = 0, arcs = 0, x
    for x in range(groups):
        owners += min(available[x] + 1, <i64>classes)
    for x in range(<i64>classes * groups):
        arcs += cost[x] != NOT_ELIGIBLE
    if not make(n, classes, groups, arcs, owners):
        return False
    n.weight = weight
    fill(n, first, available, cost)
    run(n, most)
    return True
