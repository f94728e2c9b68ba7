# How the state becomes integers and comes back, and its invariants.


cdef object dump_of(Core self):
    cdef State* s = &self.s
    cdef i32 x, y, g
    cdef OutPair* out
    cdef InPair* in_
    cdef i64 words = s.cap_groups >> 6
    cdef list numbers = [FORMAT, s.now, s.seq, s.estimates_every, s.estimates_due, s.half_life, s.seed, s.looks_back,
                         s.n_pools, s.n_channels]
    cdef Channel* c
    cdef Queue* q
    for x in range(s.n_channels):
        c = &s.channels[x]
        others = [y for y in range(s.n_pools) if y != c.base and (c.pools >> y) & 1]
        numbers += (c.load, c.flags, 1 + len(others), c.base, *others)
    numbers.append(s.n_windows)
    for x in range(s.n_windows):
        numbers += (s.windows[x].length, s.windows[x].closes_at)
    numbers.append(s.n_queues)
    for x in range(s.n_queues):
        q = &s.queues[x]
        numbers += (q.offers, q.offer_timeout, q.limit, q.retry_after, q.target, q.setup_timeout, q.auto, q.every,
                    q.window, q.control_every, q.control_due, q.version, q.entered, q.connected, q.in_target, q.abandoned)
        numbers += [q.rona[y] for y in range(8)]
    numbers += (s.n_atoms, s.n_groups)
    for g in range(s.n_groups):
        held = [x for x in range(s.n_atoms) if (s.atoms[x * words + (g >> 6)] >> (g & 63)) & 1]
        numbers.append(s.groups[g].units)
        numbers += [s.groups[g].at_most[x] for x in range(s.n_pools)]
        numbers += [s.groups[g].allow[x] for x in range(s.n_channels)]
        numbers += [s.groups[g].interrupts[x] for x in range(s.n_channels)]
        numbers += (s.groups[g].idle_rate, s.groups[g].term, s.groups[g].auto, s.groups[g].burst,
                    s.groups[g].burst_per, s.groups[g].weight)
        for y in range(FADINGS):
            numbers += (s.groups[g].levels[y].value, s.groups[g].levels[y].at)
        numbers.append(s.groups[g].n_shares)
        for y in range(s.groups[g].n_shares):
            numbers += (s.groups[g].share_of[y], s.groups[g].share[y])
        numbers += (len(held), *held)
    for g in range(s.n_groups):
        numbers.append(s.groups[g].n_rungs)
        for x in range(s.groups[g].n_rungs):
            numbers += (s.groups[g].left[x], s.groups[g].rungs[x])
    numbers.append(s.n_gauges)
    for x in range(s.n_gauges):
        numbers += (s.gauges[x].kind, s.gauges[x].subject, s.gauges[x].value if s.gauges[x].kind == GIVEN else 0,
                    s.gauges[x].program_length)
        numbers += [s.gauges[x].program[y] for y in range(s.gauges[x].program_length)]
    numbers.append(s.n_conditions)
    for x in range(s.n_conditions):
        numbers += (s.conditions[x].gauge, s.conditions[x].on, s.conditions[x].off, s.conditions[x].below,
                    s.conditions[x].holds)
    numbers.append(s.n_classes)
    cdef Class* k
    for x in range(s.n_classes):
        k = &s.classes[x]
        numbers += (k.queue, k.channel, k.age_rate, k.length_rate, k.offset, k.age_cap, k.step_at, k.step_next,
                    k.step_tier, k.step_when, k.skip_if, k.step_copy, k.patient, k.agent_key, k.program_length)
        numbers += [k.program[y] for y in range(k.program_length)]
        for g in range(s.n_groups):
            out = &s.out[<i64> x * s.wide + g]
            in_ = &s.in_[<i64> g * s.deep + x]
            numbers += (out.opens, out.rank, out.cost, in_.rank, in_.cost,
                        s.conditional[<i64> x * s.wide + g] - 1)
    dump_traffic(self, numbers)
    return array("q", numbers)


cdef inline bint dated(int state) noexcept nogil:
    """Whether an interaction of this state may have an instant at which something happens to it."""
    return state == WRAP_UP or state == ACCEPTING or state == PARKED or state == OFFERED


cdef int dump_traffic(Core self, list numbers) except -1:
    cdef State* s = &self.s
    cdef Agent* a
    cdef Past* past
    cdef Interaction* it
    cdef Offer* offer
    cdef i32 x, y, e, n
    numbers.append(s.n_agents)
    for x in range(s.n_agents):
        a = &s.agents[x]
        past = &s.pasts[x]
        numbers += (a.home, a.until, a.order, a.presence, a.used, a.idle_since, a.stamp, a.handled, a.offered, a.rest,
                    a.burst_from, a.burst_count, a.misses[0], a.misses[1], a.misses[2], a.misses[3])
        numbers += (past.ready, past.accepted, past.talked, past.released, past.busy)
        for y in range(FADINGS):
            numbers += (past.fading[y].value, past.fading[y].at)
        numbers += [past.spent[y] for y in range(SHARES)]
        numbers.append(past.spent_at)
        numbers += [s.counts[x * POOLS + y] for y in range(s.n_pools)]
    numbers.append(s.n_interactions)
    for x in range(s.n_interactions):
        it = &s.interactions[x]
        numbers.append(it.state)
        if it.state == GONE:
            continue
        numbers += (it.seq, it.wait_from, it.step_from, it.agent, it.channel,
                    it.clock if it.state == CONNECTED or it.state == ON_HOLD or it.state == INTERRUPTED else -1,
                    it.clock if dated(it.state) else -1, s.gaps[x])
        entries = []
        e = it.entries
        while e >= 0:
            entries += (s.entries[e].class_, s.keys[e].a, s.keys[e].b, s.keys[e].c)
            e = s.entries[e].next
        ties = []
        e = it.ties
        while e >= 0:
            ties += (s.ties[e].agent, s.ties[e].kind, s.ties[e].until, s.ties[e].seq)
            e = s.ties[e].next_of_interaction
        numbers += (len(entries) // 4, *entries, len(ties) // 4, *ties)
    freed = []
    x = s.free_interaction
    while x >= 0:
        freed.append(x)
        x = s.interactions[x].entries
    numbers += (len(freed), *freed[::-1], s.n_offers)
    for x in range(s.n_offers):
        offer = &s.offers[x]
        if offer.interaction < 0:
            numbers.append(-1)
            continue
        n = 0
        e = s.interactions[offer.interaction].entries
        while e != offer.entry:
            n += 1
            e = s.entries[e].next
        numbers += (offer.interaction, n, offer.agent, offer.due, offer.seq)
    freed = []
    x = s.free_offer
    while x >= 0:
        freed.append(x)
        x = s.offers[x].next_of_interaction
    numbers += (len(freed), *freed[::-1])
    return 0


cdef Core load_of(data):
    cdef Core core = Core()
    numbers = iter(data)
    core.s.blind = True
    try:
        load_tables(core, numbers)
        load_traffic(core, numbers)
    except StopIteration:
        raise MisuseError("the dump ends too early") from None
    except OverflowError as error:
        raise MisuseError(f"the dump holds a number that is too large: {error}") from None
    if next(numbers, None) is not None:
        raise MisuseError("the dump goes on after its end")
    core.s.blind = False
    broken = check_of(core)
    if broken:
        raise MisuseError(f"the dump is of a broken core: {broken[0]}")
    return core


cdef tuple read_fading(State* s, numbers, i32 which):
    """A number that fades, and its instant."""
    value = read(numbers, "what fades", 0, 2**31 if which == OCCUPIED else BITS_32)
    return value, read(numbers, "since when it fades", 0, s.now)


cdef int load_tables(Core self, numbers) except -1:
    cdef State* s = &self.s
    cdef i32 x, y, n, g
    layout = next(numbers)
    if layout != FORMAT:
        raise out_of_range("layout of the dump", layout, FORMAT, FORMAT)
    s.now = read(numbers, "now", 0, TIME_MAX)
    s.seq = read(numbers, "sequence", 0, SEQ_MAX)
    s.estimates_every = read(numbers, "estimates interval", -1, TIME_MAX)
    s.estimates_due = read(numbers, "estimates deadline", -1, TIME_MAX)
    self.set_choice(next(numbers), next(numbers), next(numbers))
    if 0 <= s.estimates_due <= s.now:
        raise MisuseError(f"the estimates deadline {s.estimates_due} lies in the past")
    if s.estimates_due >= 0:
        arm(s, s.estimates_due, ESTIMATES, 0, 0)
    for x in range(read(numbers, "pools", 0, POOLS)):
        self.add_pool()
    for x in range(read(numbers, "channels", 0, CHANNELS)):
        load, flags = next(numbers), next(numbers)
        self.add_channel(load, [next(numbers) for _ in range(read(numbers, "pools of a channel", 1, POOLS))], flags)
    for x in range(read(numbers, "windows", 0, limits.WINDOWS_MAX)):
        self.set_window(x, next(numbers))
        s.windows[x].closes_at = read(numbers, "end of a window", -1, TIME_MAX)
        if 0 <= s.windows[x].closes_at <= s.now:
            raise MisuseError(f"window {x} has closed")
        if s.windows[x].closes_at >= 0:
            arm(s, s.windows[x].closes_at, WINDOW, x, x)
    controls = []
    for x in range(next(numbers)):
        self.set_queue(x, *[next(numbers) for _ in range(9)])
        s.queues[x].control_every = read(numbers, "control interval", -1, TIME_MAX)
        controls.append(read(numbers, "control deadline", -1, TIME_MAX))
        s.queues[x].version = read(numbers, "version", 0, SEQ_MAX)
        s.queues[x].entered = read(numbers, "entered", 0, SEQ_MAX)
        s.queues[x].connected = read(numbers, "connected", 0, SEQ_MAX)
        s.queues[x].in_target = read(numbers, "in target", 0, SEQ_MAX)
        s.queues[x].abandoned = read(numbers, "abandoned", 0, SEQ_MAX)
        for y in range(4):
            self.set_rona(x, y, next(numbers), next(numbers))
    for x, due in enumerate(controls):
        if 0 <= due <= s.now:
            raise MisuseError(f"the control deadline {due} lies in the past")
        s.queues[x].control_due = due
        if due >= 0:
            arm(s, due, CONTROL, x, x)
    for x in range(read(numbers, "atoms", 0, COUNT_MAX)):
        self.add_atom(())
    for g in range(next(numbers)):
        units = next(numbers)
        at_most = [next(numbers) for _ in range(s.n_pools)]
        mix = [next(numbers) for _ in range(2 * s.n_channels)]
        idle_rate, term, auto, burst, burst_per, weight = [next(numbers) for _ in range(6)]
        levels = [read_fading(s, numbers, y) for y in range(FADINGS)]
        shares = [next(numbers) for _ in range(2 * read(numbers, "shares", 0, SHARES))]
        self.add_group([next(numbers) for _ in range(next(numbers))], units, at_most)
        self.set_shares(g, shares[::2], shares[1::2])
        self.set_weight(g, weight)
        for y in range(FADINGS):
            s.groups[g].levels[y].value, s.groups[g].levels[y].at = levels[y]
        self.set_group(g, idle_rate, term)
        self.set_manners(g, auto, burst, burst_per)
        for x in range(s.n_channels):
            self.set_mix(g, x, mix[x], mix[s.n_channels + x])
    for g in range(s.n_groups):
        y = read(numbers, "rungs", 0, RUNGS)
        self.set_ladder(g, [(next(numbers), next(numbers)) for _ in range(y)])
    for x in range(read(numbers, "gauges", 0, limits.GAUGES_MAX)):
        kind, subject = next(numbers), next(numbers)
        given = read(numbers, "gauge", 0, GAUGE_MAX)
        self.add_gauge(kind, subject, [next(numbers) for _ in range(next(numbers))])
        s.gauges[x].value = given if kind == GIVEN else 0
    for x in range(read(numbers, "conditions", 0, limits.CONDITIONS_MAX)):
        self.add_condition(next(numbers), next(numbers), next(numbers), next(numbers))
        s.conditions[x].holds = read(numbers, "whether a condition holds", 0, 1)
    rates = []
    for x in range(next(numbers)):
        queue, channel = next(numbers), next(numbers)
        rates.append([next(numbers) for _ in range(11)])
        agent_key, y = next(numbers), next(numbers)
        self.add_class(queue, channel, [next(numbers) for _ in range(y)], agent_key)
        cells = [next(numbers) for _ in range(6 * s.n_groups)]
        self.set_pairs([x], range(s.n_groups), *[array("q", cells[y::6]) for y in range(5)])
        for g in range(s.n_groups):
            self.set_condition([x], [g], cells[6 * g + 5])
    for x in range(s.n_classes):
        age_rate, length_rate, offset, age_cap, *step, patient = rates[x]
        self.set_class(x, age_rate, length_rate, offset, *step, age_cap, patient)
    return 0


cdef int load_traffic(Core self, numbers) except -1:
    cdef State* s = &self.s
    cdef Agent* a
    cdef Past* past
    cdef Interaction* it
    cdef i32 x, y, e, n, g, slot
    cdef i64 until
    cdef i32* at
    for x in range(next(numbers)):
        g = read(numbers, "group", 0, s.n_groups - 1)
        until = read(numbers, "obligation", -1, TIME_MAX)
        self.add_agent(g, next(numbers))
        a = &s.agents[x]
        a.until = until
        a.presence = read(numbers, "presence", SIGNED_OUT, DRAINING)
        s.groups[a.group].staffed += a.presence != SIGNED_OUT
        a.used = read(numbers, "units in use", 0, SEQ_MAX)
        a.idle_since = read(numbers, "idle since", 0, s.now)
        a.stamp = read(numbers, "stamp", 0, s.seq)
        a.handled = read(numbers, "handled", 0, SEQ_MAX)
        a.offered = read(numbers, "offered", 0, s.seq)
        a.rest = read(numbers, "end of a rest", -1, TIME_MAX)
        if 0 <= a.rest <= s.now:
            raise MisuseError(f"the rest of agent {x} has ended")
        if a.rest >= 0:
            arm(s, a.rest, REST_END, x, x)
        a.burst_from = read(numbers, "burst", -1, s.now)
        a.burst_count = read(numbers, "offers in a burst", 0, COUNT_MAX)
        for y in range(4):
            a.misses[y] = read(numbers, "misses", 0, COUNT_MAX)
        past = &s.pasts[x]
        past.ready = read(numbers, "ready since", 0, s.now)
        past.accepted = read(numbers, "accepted at", 0, s.now)
        past.talked = read(numbers, "talked until", 0, s.now)
        past.released = read(numbers, "released at", 0, s.now)
        past.busy = read(numbers, "whether busy", 0, 1)
        for y in range(FADINGS):
            past.fading[y].value, past.fading[y].at = read_fading(s, numbers, y)
        for y in range(SHARES):
            past.spent[y] = read(numbers, "what fades", 0, BITS_32)
        past.spent_at = read(numbers, "since when it fades", 0, s.now)
        for y in range(s.n_pools):
            s.counts[x * POOLS + y] = read(numbers, "in use", 0, UNITS_MAX)
            if s.counts[x * POOLS + y]:
                a.pools |= <uint32_t> 1 << y
        climb(s, x)
    n = read(numbers, "interactions", 0, COUNT_MAX)
    if not grow_interactions(s, n):
        raise MemoryError
    for x in range(n):
        it = &s.interactions[x]
        memset(it, 0, sizeof(Interaction))
        s.gaps[x] = 0
        it.entries = it.agent = it.offers = it.previous = it.ties = it.heap_at = -1
        s.n_interactions += 1
        state = read(numbers, "state", GONE, PARKED)
        if state != GONE:
            load_interaction(self, x, state, numbers)
    for y in range(read(numbers, "free interactions", 0, n)):
        x = read(numbers, "free interaction", 0, n - 1)
        if s.interactions[x].state != GONE or s.interactions[x].agent == FREED:
            raise MisuseError(f"interaction {x} is not free, or free twice")
        s.interactions[x].agent = FREED
        s.interactions[x].entries = s.free_interaction
        s.free_interaction = x
        s.n_free_interactions += 1
    n = read(numbers, "offers", 0, COUNT_MAX)
    if not grow(s, <void**> &s.offers, &s.cap_offers, n, sizeof(Offer)):
        raise MemoryError
    live = []
    for x in range(n):
        memset(&s.offers[x], 0, sizeof(Offer))
        s.offers[x].heap_at = -1
        s.offers[x].interaction = read(numbers, "offered interaction", NONE, s.n_interactions - 1)
        s.n_offers += 1
        if s.offers[x].interaction < 0:
            continue
        if s.interactions[s.offers[x].interaction].state != OFFERED:
            raise MisuseError(f"offer {x} is of an interaction that is not on offer")
        e = s.interactions[s.offers[x].interaction].entries
        for y in range(read(numbers, "offered entry", 0, ENTRIES_MAX - 1)):
            e = s.entries[e].next
            index("offered entry", e, s.n_entries)
        s.offers[x].entry = e
        s.offers[x].agent = read(numbers, "agent", 0, s.n_agents - 1)
        s.offers[x].due = read(numbers, "expiry", -1, TIME_MAX)
        s.offers[x].seq = read(numbers, "sequence", 1, s.seq)
        live.append((s.offers[x].seq, x))
    for _, x in sorted(live):
        link_offer(s, x)
        y = s.interactions[s.offers[x].interaction].channel
        if not s.channels[y].flags & RESERVES_OFFERED:
            s.agents[s.offers[x].agent].ringing |= <uint32_t> 1 << y
        if s.offers[x].due >= 0:
            arm(s, s.offers[x].due, OFFER_EXPIRY, s.offers[x].seq, x)
    for y in range(read(numbers, "free offers", 0, n)):
        x = read(numbers, "free offer", 0, n - 1)
        if s.offers[x].interaction >= 0 or s.offers[x].agent == FREED:
            raise MisuseError(f"offer {x} is not free, or free twice")
        s.offers[x].agent = FREED
        s.offers[x].next_of_interaction = s.free_offer
        s.free_offer = x
        s.n_free_offers += 1
    for x in range(s.n_interactions):
        it = &s.interactions[x]
        if it.state != GONE and it.agent >= 0:
            slot = it.agent
            it.agent = -1
            into_hand(s, x, slot)
            s.agents[slot].interrupted += it.state == INTERRUPTED
    for x in range(s.n_agents):
        show(s, x)
    for x in range(s.n_interactions):
        it = &s.interactions[x]
        if in_queue(it):
            count_in(s, it, +1)
            sync(s, x)
        if it.clock >= 0 and dated(it.state):
            y = WRAP_UP_END if it.state == WRAP_UP else SETUP_END if it.state == ACCEPTING else (
                ACTIVATION if it.state == PARKED else FURTHER_OFFER)
            arm(s, it.clock, y, it.seq, x)
    if s.failed:
        raise MemoryError
    return 0


cdef int load_interaction(Core self, i32 i, int state, numbers) except -1:
    cdef State* s = &self.s
    cdef Interaction* it = &s.interactions[i]
    cdef i32 e, behind = -1
    it.state = state
    it.seq = read(numbers, "sequence", 1, s.seq)
    cdef bint in_hand = not in_queue(it) and state != PARKED
    it.wait_from = read(numbers, "wait from", -TIME_MAX, s.now)
    it.step_from = read(numbers, "step from", -TIME_MAX, s.now)
    it.agent = read(numbers, "agent", 0 if in_hand else NONE, s.n_agents - 1 if in_hand else NONE)
    it.channel = read(numbers, "channel", 0, s.n_channels - 1)
    connected_at = read(numbers, "connected at", -TIME_MAX, s.now)
    due = read(numbers, "end of the wrap-up", -1, TIME_MAX)
    it.clock = due if dated(state) else connected_at
    s.gaps[i] = read(numbers, "gap", CUSTOMER_FIRST, OPENS_MAX)
    for _ in range(read(numbers, "entries", 1, ENTRIES_MAX)):
        e = new_entry(s)
        if e < 0:
            raise MemoryError
        s.entries[e].class_ = read(numbers, "class", 0, s.n_classes - 1)
        if s.classes[s.entries[e].class_].channel != it.channel:
            raise MisuseError(f"interaction {i} waits in a class of another channel")
        s.entries[e].interaction = i
        s.entries[e].next = -1
        s.keys[e].a = read(numbers, "tier", 0, TIER_MAX)
        s.keys[e].b = read(numbers, "since", -TIME_MAX, TIME_MAX)
        s.keys[e].c = read(numbers, "sequence", 1, s.seq)
        if behind < 0:
            it.entries = e
        else:
            s.entries[behind].next = e
        behind = e
    for _ in range(read(numbers, "ties", 0, TIES)):
        agent = read(numbers, "agent", 0, s.n_agents - 1)
        kind = read(numbers, "kind of tie", FORBID, ONLY_ANY)
        until = read(numbers, "end of a tie", UNTIL_GONE, TIME_MAX)
        tie(s, i, agent, kind, until, read(numbers, "sequence", 1, s.seq))
    return 0


cdef list check_of(Core self):
    """Every invariant that does not hold, by name. O(agents * classes + state)."""
    found = []
    check_capacity(self, found)
    check_states(self, found)
    check_structures(self, found)
    return found


cdef int check_capacity(Core self, list found) except -1:
    cdef State* s = &self.s
    cdef i32 j, i, o, p, x
    cdef Interaction* it
    cdef list held = [[0] * s.n_pools for _ in range(s.n_agents)]
    cdef list units = [0] * s.n_agents
    cdef list holding = []
    for i in range(s.n_interactions):
        it = &s.interactions[i]
        if it.state != GONE and it.agent >= 0 and takes(s, it):
            holding.append((it.agent, it.channel))
    for o in range(s.n_offers):
        if s.offers[o].interaction >= 0:
            it = &s.interactions[s.offers[o].interaction]
            if s.channels[it.channel].flags & RESERVES_OFFERED:
                holding.append((s.offers[o].agent, it.channel))
    for j, i in holding:
        units[j] += s.channels[i].load
        for p in range(s.n_pools):
            held[j][p] += (s.channels[i].pools >> p) & 1
    for j in range(s.n_agents):
        counts = [s.counts[j * POOLS + p] for p in range(s.n_pools)]
        if counts != held[j] or units[j] != s.agents[j].used:
            found.append(f"capacity: agent {j} has {s.agents[j].used} units, {counts} in use, but holds {held[j]}")
        if s.agents[j].pools != sum(1 << p for p in range(s.n_pools) if counts[p]):
            found.append(f"capacity: agent {j} has the pools {s.agents[j].pools:b}, but holds {counts}")
        if s.agents[j].presence != READY and s.agents[j].offers >= 0:
            found.append(f"presence: agent {j} is not ready and has a live offer")
        if s.agents[j].presence == SIGNED_OUT and s.agents[j].held > s.agents[j].kept:
            found.append(f"presence: agent {j} is signed out with work in hand that binds him")
        x = s.groups[s.agents[j].home].n_rungs if s.agents[j].until >= 0 else 0
        while x and s.agents[j].until - s.groups[s.agents[j].home].left[x - 1] > s.now:
            x -= 1
        if s.agents[j].group != (s.groups[s.agents[j].home].rungs[x - 1] if x else s.agents[j].home):
            found.append(f"obligation: agent {j} is in group {s.agents[j].group}")
        if pick_entry(s, j) >= 0:
            found.append(f"idle: agent {j} could take an interaction that waits")
        for i in range(s.n_windows):
            if s.windows[i].closes_at < 0 and pick_held(s, j, i) >= 0:
                found.append(f"idle: a window that is not open holds something from agent {j}")
    for i in range(s.n_ties):
        if s.ties[i].interaction >= 0 and s.ties[i].kind == FORBID and s.ties[i].until == NONE:
            if in_queue(&s.interactions[s.ties[i].interaction]) and all_declined(s, s.ties[i].interaction):
                found.append(f"idle: everybody has declined interaction {s.ties[i].interaction} for good")
    return 0


cdef int check_states(Core self, list found) except -1:
    cdef State* s = &self.s
    cdef Interaction* it
    cdef i32 i, e, k
    cdef i64 offers
    cdef list lengths = [0] * s.n_queues
    cdef list inside = [0] * s.n_classes
    cdef i32 free_numbers = 0
    for i in range(s.n_interactions):
        it = &s.interactions[i]
        if it.state == GONE:
            free_numbers += 1
            continue
        if (it.state == OFFERED) != (it.live > 0):
            found.append(f"states: interaction {i} is in state {it.state} with {it.live} live offers")
        if (in_queue(it) or it.state == PARKED) != (it.agent < 0):
            found.append(f"states: interaction {i} is in state {it.state} with agent {it.agent}")
        offers = s.queues[s.classes[s.entries[it.entries].class_].queue].offers
        if offers != OFFERS_ALL and it.live > offers:
            found.append(f"offers: interaction {i} has {it.live} live offers, its queue makes {offers}")
        e = it.entries
        while e >= 0:
            k = s.entries[e].class_
            if in_queue(it):
                lengths[s.classes[k].queue] += 1
                inside[k] += 1
            if (s.links[e].size > 0) != (in_queue(it) and not offers_full(s, it)):
                found.append(f"order: an entry of interaction {i} is in the wrong place")
            e = s.entries[e].next
    if free_numbers != s.n_free_interactions:
        found.append(f"numbers: {free_numbers} interactions are gone, {s.n_free_interactions} are free")
    if lengths != [s.queues[k].length for k in range(s.n_queues)]:
        found.append(f"lengths: queues hold {lengths}")
    if inside != [s.classes[k].in_queue for k in range(s.n_classes)]:
        found.append(f"lengths: classes hold {inside}")
    return 0


cdef bint sound(Link* links, Key* keys, Root* root, bint sized) noexcept nogil:
    """Whether a tree is in order, has right sizes where it keeps them, and knows its ends."""
    cdef i32 n = root.first
    cdef i32 last = -1
    cdef i32 count = 0
    if root.root < 0:
        return root.first < 0 and root.last < 0
    while n >= 0:
        if last >= 0 and not less(&keys[last], &keys[n]):
            return False
        count += 1
        last = n
        n = following(links, n)
    return (last == root.last and (not sized or count == links[root.root].size) and not less(&root.head, &keys[root.first])
            and not less(&keys[root.first], &root.head))


cdef int check_structures(Core self, list found) except -1:
    cdef State* s = &self.s
    cdef i32 k, l, g, x
    cdef Lane* lane
    cdef Root* root
    cdef Key key
    for k in range(s.n_classes):
        if not (sound(s.links, s.keys, &s.classes[k].root, True)
                and sound(s.links, s.keys, &s.classes[k].bound, True)):
            found.append(f"order: the tree of class {k} is broken")
        if ((marks(s, k)[0] >> (k & 63)) & 1) != (s.classes[k].root.root >= 0):
            found.append(f"order: class {k} is wrongly marked")
    for l in range(s.n_lanes):
        lane = s.lanes[l]
        for g in range(s.n_groups):
            for x in range(2):
                root = &lane.roots[<i64> x * s.cap_groups + g]
                if not sound(lane.links, lane.keys, root, False):
                    found.append(f"lanes: the tree of group {g} is broken")
                if ((lane.available[x * (s.cap_groups >> 6) + (g >> 6)] >> (g & 63)) & 1) != (root.root >= 0):
                    found.append(f"lanes: group {g} is wrongly marked")
        for x in range(s.n_agents):
            if (lane.links[x].size > 0) != ((s.agents[x].room >> lane.channel) & 1):
                found.append(f"lanes: agent {x} is in the wrong place")
            key = key_of(s, x, lane.key)
            if lane.links[x].size and (less(&key, &lane.keys[x]) or less(&lane.keys[x], &key)):
                found.append(f"lanes: agent {x} stands by what was so before")
    for x in range(1, s.n_heap):
        if sooner(&s.heap[x], &s.heap[(x - 1) >> 1]):
            found.append(f"time: the deadlines are out of order at {x}")
    if s.n_heap and s.heap[0].due <= s.now:
        found.append(f"time: a deadline was due at {s.heap[0].due}, now is {s.now}")
    return 0
