"""Ordered, indexed trees in flat arrays: a treap whose priorities are hashes of node numbers.

``links[n]`` and ``keys[n]`` belong to node ``n``; a ``Root`` is one tree. Insertion and removal are O(log n) expected
and touch only a few nodes at either end, walking is O(1) amortised, a position is O(log n). The shape depends on
node numbers only through the hash and never reaches a decision: keys are unique.

``insert`` and ``remove`` keep sizes, for positions. ``join`` and ``part`` are for trees of which nobody asks for one:
in them a size says only whether a node is in.
"""

from omniroute.core.layout cimport Key, Link, Root, i32, i64, u64


cdef inline u64 weight_of(i32 n) noexcept nogil:
    """A node's heap priority: a bijective hash of its number."""
    cdef u64 x = (<u64> n + 1) * <u64> 0x9E3779B97F4A7C15
    x ^= x >> 32
    x *= <u64> 0xD6E8FEB86659FD93
    return x ^ (x >> 32)


cdef inline bint less(Key* p, Key* q) noexcept nogil:
    """Whether p comes before q."""
    if p.a != q.a:
        return p.a < q.a
    if p.b != q.b:
        return p.b < q.b
    return p.c < q.c


cdef inline void clear_root(Root* root) noexcept nogil:
    root.root = root.first = root.last = -1


cdef inline void turn_up(Link* links, Root* root, i32 n) noexcept nogil:
    """Turn node n and its parent, keeping the order, but not sizes."""
    cdef Link* node = &links[n]
    cdef i32 p = node.parent
    cdef Link* parent = &links[p]
    cdef i32 g = parent.parent
    cdef i32 inner
    if parent.left == n:
        inner = node.right
        parent.left = inner
        node.right = p
    else:
        inner = node.left
        parent.right = inner
        node.left = p
    if inner >= 0:
        links[inner].parent = p
    node.parent = g
    parent.parent = n
    if g < 0:
        root.root = n
    elif links[g].left == p:
        links[g].left = n
    else:
        links[g].right = n


cdef inline void rotate_up(Link* links, Root* root, i32 n) noexcept nogil:
    """Turn node n and its parent, keeping order and sizes."""
    cdef Link* parent = &links[links[n].parent]
    turn_up(links, root, n)
    links[n].size = parent.size
    parent.size = 1
    if parent.left >= 0:
        parent.size += links[parent.left].size
    if parent.right >= 0:
        parent.size += links[parent.right].size


cdef inline i32 following(Link* links, i32 n) noexcept nogil:
    """The node after n in order, or -1."""
    cdef i32 child
    if links[n].right >= 0:
        n = links[n].right
        while links[n].left >= 0:
            n = links[n].left
        return n
    while True:
        child = n
        n = links[n].parent
        if n < 0 or links[n].left == child:
            return n


cdef inline i32 preceding(Link* links, i32 n) noexcept nogil:
    """The node before n in order, or -1."""
    cdef i32 child
    if links[n].left >= 0:
        n = links[n].left
        while links[n].right >= 0:
            n = links[n].right
        return n
    while True:
        child = n
        n = links[n].parent
        if n < 0 or links[n].right == child:
            return n


cdef inline void hang(Link* links, Key* keys, Root* root, i32 n) noexcept nogil:
    """Hang node n, whose key is set, below where it belongs. At the end, where most go, nothing is searched."""
    cdef Link* node = &links[n]
    cdef Key* key = &keys[n]
    cdef i32 at = root.root
    node.left = node.right = -1
    node.size = 1
    if at < 0:
        node.parent = -1
        root.root = root.first = root.last = n
        root.head = key[0]
        return
    if less(&keys[root.last], key):
        at = root.last
        links[at].right = n
        root.last = n
    else:
        while True:
            if less(key, &keys[at]):
                if links[at].left < 0:
                    links[at].left = n
                    break
                at = links[at].left
            else:
                if links[at].right < 0:
                    links[at].right = n
                    break
                at = links[at].right
        if less(key, &root.head):
            root.first = n
            root.head = key[0]
    node.parent = at


cdef inline void insert(Link* links, Key* keys, Root* root, i32 n) noexcept nogil:
    """Put node n, whose key is set, into a tree with sizes."""
    cdef i32 up
    cdef u64 weight = weight_of(n)
    hang(links, keys, root, n)
    up = links[n].parent
    while up >= 0:
        links[up].size += 1
        up = links[up].parent
    while links[n].parent >= 0 and weight_of(links[n].parent) < weight:
        rotate_up(links, root, n)


cdef inline void join(Link* links, Key* keys, Root* root, i32 n) noexcept nogil:
    """Put node n, whose key is set, into a tree without sizes."""
    cdef u64 weight = weight_of(n)
    hang(links, keys, root, n)
    while links[n].parent >= 0 and weight_of(links[n].parent) < weight:
        turn_up(links, root, n)


cdef inline void unend(Link* links, Key* keys, Root* root, i32 n) noexcept nogil:
    """Let a tree forget node n as its first or last one."""
    if root.first == n:
        root.first = following(links, n)
        if root.first >= 0:
            root.head = keys[root.first]
    if root.last == n:
        root.last = preceding(links, n)


cdef inline i32 unhang(Link* links, Root* root, i32 n) noexcept nogil:
    """Put the one child of node n, or nothing, in its place; the node above, or -1."""
    cdef Link* node = &links[n]
    cdef i32 child = node.left if node.left >= 0 else node.right
    cdef i32 up = node.parent
    if child >= 0:
        links[child].parent = up
    if up < 0:
        root.root = child
    elif links[up].left == n:
        links[up].left = child
    else:
        links[up].right = child
    node.size = 0
    return up


cdef inline i32 heavier_child(Link* node) noexcept nogil:
    return node.left if weight_of(node.left) > weight_of(node.right) else node.right


cdef inline void remove(Link* links, Key* keys, Root* root, i32 n) noexcept nogil:
    """Take node n out of its tree with sizes."""
    cdef Link* node = &links[n]
    cdef i32 up
    unend(links, keys, root, n)
    while node.left >= 0 and node.right >= 0:
        rotate_up(links, root, heavier_child(node))
    up = unhang(links, root, n)
    while up >= 0:
        links[up].size -= 1
        up = links[up].parent


cdef inline void part(Link* links, Key* keys, Root* root, i32 n) noexcept nogil:
    """Take node n out of its tree without sizes."""
    cdef Link* node = &links[n]
    unend(links, keys, root, n)
    while node.left >= 0 and node.right >= 0:
        turn_up(links, root, heavier_child(node))
    unhang(links, root, n)


cdef inline i32 count_before(Link* links, Key* keys, Root* root, Key* key) noexcept nogil:
    """How many nodes of a tree come before a key."""
    cdef i32 at = root.root
    cdef i32 found = 0
    while at >= 0:
        if less(&keys[at], key):
            found += 1
            if links[at].left >= 0:
                found += links[links[at].left].size
            at = links[at].right
        else:
            at = links[at].left
    return found


cdef inline i32 first_of_later_tier(Link* links, Key* keys, Root* root, i64 tier) noexcept nogil:
    """The first node whose first key part is greater than ``tier``, or -1."""
    cdef i32 at = root.root
    cdef i32 found = -1
    while at >= 0:
        if keys[at].a > tier:
            found = at
            at = links[at].left
        else:
            at = links[at].right
    return found
