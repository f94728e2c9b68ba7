# How a core is copied: what is large goes into the memory of forks that are gone, tables are read by both.


cdef void* copied(void* data, size_t size) except? NULL:
    """A copy of a block of memory."""
    cdef size_t room
    cdef void* fresh = take_block(&store, size, size, &room)
    if fresh == NULL:
        raise MemoryError
    if size:
        memcpy(fresh, data, size)
    return fresh


cdef void* copied_items(void* data, i64 n, size_t item, i32* cap) except? NULL:
    """A copy of ``n`` items with room for more; ``cap`` is lessened to what there is room for."""
    cdef size_t room
    cdef void* fresh = take_block(&store, n * item, (n + n // 8 + 16) * item, &room)
    if fresh == NULL:
        raise MemoryError
    if n:
        memcpy(fresh, data, n * item)
    if room // item < <size_t> cap[0]:
        cap[0] = room // item
    return fresh


cdef Core fork_of(Core self):
    cdef Core other = Core.__new__(Core)
    fork_tables(&self.s, &other.s)
    fork_lanes(&self.s, &other.s)
    fork_conditions(&self.s, &other.s)
    fork_traffic(&self.s, &other.s)
    other.forked = True
    return other


cdef int fork_tables(State* s, State* t) except -1:
    cdef i32 x
    cdef i64 words = s.cap_groups >> 6
    t.now, t.seq, t.auto_accept, t.quiet = s.now, s.seq, s.auto_accept, s.quiet
    t.n_channels, t.n_pools, t.interrupting, t.stepping = s.n_channels, s.n_pools, s.interrupting, s.stepping
    t.estimates_every, t.estimates_due, t.estimates_at = s.estimates_every, s.estimates_due, s.estimates_at
    t.least_load = s.least_load
    t.looks_back, t.drawing, t.sharing, t.half_life, t.seed = s.looks_back, s.drawing, s.sharing, s.half_life, s.seed
    t.capping = s.capping
    memcpy(t.channels, s.channels, sizeof(s.channels))
    memcpy(t.pool_load, s.pool_load, sizeof(s.pool_load))
    t.queues = <Queue*> copied(s.queues, s.n_queues * sizeof(Queue))
    t.n_queues = t.cap_queues = s.n_queues
    t.atoms = <u64*> copied(s.atoms, s.cap_atoms * words * sizeof(u64))
    t.n_atoms, t.cap_atoms = s.n_atoms, s.cap_atoms
    t.groups = <Group*> copied(s.groups, s.wide * sizeof(Group))
    t.n_groups, t.cap_groups = s.n_groups, s.cap_groups
    t.classes = <Class*> copied(s.classes, s.deep * sizeof(Class))
    t.n_classes, t.cap_classes = s.n_classes, s.cap_classes
    t.wide, t.deep = s.wide, s.deep
    for x in range(s.n_classes):
        common(s.classes[x].program)
        common(s.classes[x].openings)
    if not share_cells(s, t):
        raise MemoryError
    t.ever = <u64*> copied(s.ever, <i64> s.cap_classes * words * sizeof(u64))
    t.openable = <u64*> copied(s.openable, <i64> s.cap_classes * words * sizeof(u64))
    t.serves = <u64*> copied(s.serves, <i64> s.cap_groups * (s.cap_classes >> 6) * sizeof(u64))
    t.nonempty = <u64*> copied(s.nonempty, (s.cap_classes >> 6) * sizeof(u64))
    t.held = <u64*> copied(s.held, <i64> s.n_windows * (s.cap_classes >> 6) * sizeof(u64))
    t.windows = <Window*> copied(s.windows, s.n_windows * sizeof(Window))
    t.n_windows = t.cap_windows = s.n_windows
    return 0


cdef int fork_lanes(State* s, State* t) except -1:
    cdef i64 words = s.cap_groups >> 6
    cdef Lane* lane
    cdef i32 x
    cdef i32 cap = ROOM_MAX
    t.agents = <Agent*> copied_items(s.agents, s.n_agents, sizeof(Agent), &cap)
    t.pasts = <Past*> copied_items(s.pasts, s.n_agents, sizeof(Past), &cap)
    t.counts = <i32*> copied_items(s.counts, s.n_agents, POOLS * sizeof(i32), &cap)
    t.lanes = <Lane*> copied(s.lanes, s.n_lanes * sizeof(Lane))
    t.cap_lanes = s.n_lanes
    for x in range(s.n_lanes):
        lane = &t.lanes[x]
        lane.links = NULL
        lane.keys = NULL
        lane.roots = NULL
        lane.available = NULL
        lane.members = NULL
        t.n_lanes = x + 1
        lane.links = <Link*> copied_items(s.lanes[x].links, s.n_agents, sizeof(Link), &cap)
        lane.keys = <Key*> copied_items(s.lanes[x].keys, s.n_agents, sizeof(Key), &cap)
        lane.roots = <Root*> copied(s.lanes[x].roots, 2 * s.cap_groups * sizeof(Root))
        lane.available = <u64*> copied(s.lanes[x].available, 2 * words * sizeof(u64))
        lane.members = <u64*> copied(s.lanes[x].members, words * sizeof(u64))
    t.watched = <Watched*> copied(s.watched, s.n_watched * sizeof(Watched))
    t.cap_watched = s.n_watched
    for x in range(s.n_watched):
        t.watched[x].agents = NULL
        t.watched[x].levels = NULL
        t.n_watched = x + 1
        t.watched[x].agents = <Here*> copied_items(s.watched[x].agents, s.n_agents, sizeof(Here), &cap)
        t.watched[x].levels = <Fading*> copied(s.watched[x].levels, s.cap_groups * sizeof(Fading))
    t.n_agents, t.cap_agents = s.n_agents, cap
    return 0


cdef int fork_conditions(State* s, State* t) except -1:
    cdef i64 words = s.cap_groups >> 6
    cdef i32 x
    t.gauges = <Gauge*> copied(s.gauges, s.n_gauges * sizeof(Gauge))
    t.cap_gauges = s.n_gauges
    for x in range(s.n_gauges):
        t.gauges[x].program = NULL
        t.gauges[x].members = NULL
    t.n_gauges = s.n_gauges
    for x in range(s.n_gauges):
        t.gauges[x].program = <i32*> copied(s.gauges[x].program, s.gauges[x].program_length * sizeof(i32))
        t.gauges[x].members = <u64*> copied(s.gauges[x].members, words * sizeof(u64))
    t.conditions = <Condition*> copied(s.conditions, s.n_conditions * sizeof(Condition))
    t.n_conditions = t.cap_conditions = s.n_conditions
    return 0


cdef int fork_traffic(State* s, State* t) except -1:
    cdef i32 cap = ROOM_MAX
    t.entries = <Entry*> copied_items(s.entries, s.n_entries, sizeof(Entry), &cap)
    t.links = <Link*> copied_items(s.links, s.n_entries, sizeof(Link), &cap)
    t.keys = <Key*> copied_items(s.keys, s.n_entries, sizeof(Key), &cap)
    t.n_entries, t.cap_entries, t.free_entry = s.n_entries, cap, s.free_entry
    cap = ROOM_MAX
    t.gaps = <i32*> copied_items(s.gaps, s.n_interactions, sizeof(i32), &cap)
    t.cap_interactions = cap
    t.cap_offers = t.cap_ties = t.cap_heap = ROOM_MAX
    t.interactions = <Interaction*> copied_items(
        s.interactions, s.n_interactions, sizeof(Interaction), &t.cap_interactions
    )
    t.n_interactions, t.free_interaction = s.n_interactions, s.free_interaction
    t.n_free_interactions = s.n_free_interactions
    t.offers = <Offer*> copied_items(s.offers, s.n_offers, sizeof(Offer), &t.cap_offers)
    t.n_offers, t.free_offer, t.n_free_offers = s.n_offers, s.free_offer, s.n_free_offers
    t.ties = <Tie*> copied_items(s.ties, s.n_ties, sizeof(Tie), &t.cap_ties)
    t.n_ties, t.free_tie = s.n_ties, s.free_tie
    t.heap = <Deadline*> copied_items(s.heap, s.n_heap, sizeof(Deadline), &t.cap_heap)
    t.n_heap = s.n_heap
    t.events = <Event*> copied(s.events, s.n_events * sizeof(Event))
    t.n_events = t.cap_events = s.n_events
    return 0
