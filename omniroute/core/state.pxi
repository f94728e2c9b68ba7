# How the state becomes integers and comes back, and its invariants.


cdef struct Numbers:
    i64* at
    i64 n
    i64 room


cdef int put(Numbers* out, i64 number) except -1 nogil:
    """Append an integer."""
    cdef i64* at
    if out.n == out.room:
        at = <i64*> realloc(out.at, 2 * out.room * sizeof(i64))
        if at == NULL:
            with gil:
                raise MemoryError
        out.at, out.room = at, 2 * out.room
    out.at[out.n] = number
    out.n += 1
    return 0


cdef object dump_of(Core self):
    """The state as integers; other threads go on meanwhile, so nobody may move this core."""
    cdef Numbers out
    out.n, out.room = 0, 4096
    out.at = <i64*> malloc(out.room * sizeof(i64))
    if out.at == NULL:
        raise MemoryError
    try:
        with nogil:
            dump_tables(&self.s, &out)
            dump_classes(&self.s, &out)
            dump_traffic(&self.s, &out)
        numbers = array("q")
        numbers.frombytes(PyMemoryView_FromMemory(<char*> out.at, out.n * sizeof(i64), PyBUF_READ))
    finally:
        free(out.at)
    return numbers


cdef int dump_tables(State* s, Numbers* out) except -1 nogil:
    cdef i32 x, y, g
    cdef i64 place
    cdef Channel* c
    cdef Queue* q
    cdef i64 words = s.cap_groups >> 6
    put(out, FORMAT)
    put(out, s.now)
    put(out, s.seq)
    put(out, s.estimates_every)
    put(out, s.estimates_due)
    put(out, s.half_life)
    put(out, s.seed)
    put(out, s.looks_back)
    put(out, s.n_pools)
    put(out, s.n_channels)
    for x in range(s.n_channels):
        c = &s.channels[x]
        put(out, c.load)
        put(out, c.flags)
        place = out.n
        put(out, 1)
        put(out, c.base)
        for y in range(s.n_pools):
            if y != c.base and (c.pools >> y) & 1:
                put(out, y)
                out.at[place] += 1
    put(out, s.n_windows)
    for x in range(s.n_windows):
        put(out, s.windows[x].length)
        put(out, s.windows[x].closes_at)
    put(out, s.n_queues)
    for x in range(s.n_queues):
        q = &s.queues[x]
        put(out, q.offers)
        put(out, q.offer_timeout)
        put(out, q.limit)
        put(out, q.retry_after)
        put(out, q.target)
        put(out, q.setup_timeout)
        put(out, q.auto)
        put(out, q.every)
        put(out, q.window)
        put(out, q.control_every)
        put(out, q.control_due)
        put(out, q.version)
        put(out, q.entered)
        put(out, q.connected)
        put(out, q.in_target)
        put(out, q.abandoned)
        for y in range(8):
            put(out, q.rona[y])
    put(out, s.n_watched)
    for x in range(s.n_watched):
        put(out, s.watched[x].queue)
    put(out, s.n_atoms)
    put(out, s.n_groups)
    for g in range(s.n_groups):
        put(out, s.groups[g].units)
        for x in range(s.n_pools):
            put(out, s.groups[g].at_most[x])
        for x in range(s.n_channels):
            put(out, s.groups[g].allow[x])
        for x in range(s.n_channels):
            put(out, s.groups[g].interrupts[x])
        put(out, s.groups[g].idle_rate)
        put(out, s.groups[g].term)
        put(out, s.groups[g].auto)
        put(out, s.groups[g].burst)
        put(out, s.groups[g].burst_per)
        put(out, s.groups[g].busiest)
        put(out, s.groups[g].weight)
        for y in range(FADINGS):
            put(out, s.groups[g].levels[y].value)
            put(out, s.groups[g].levels[y].at)
        for y in range(s.n_watched):
            put(out, s.watched[y].levels[g].value)
            put(out, s.watched[y].levels[g].at)
        put(out, s.groups[g].n_shares)
        for y in range(s.groups[g].n_shares):
            put(out, s.groups[g].share_of[y])
            put(out, s.groups[g].share[y])
        place = out.n
        put(out, 0)
        for x in range(s.n_atoms):
            if (s.atoms[x * words + (g >> 6)] >> (g & 63)) & 1:
                put(out, x)
                out.at[place] += 1
    return 0


cdef int dump_classes(State* s, Numbers* out) except -1 nogil:
    cdef i32 x, y, g
    cdef Class* k
    cdef OutPair* pair
    cdef InPair* in_
    for g in range(s.n_groups):
        put(out, s.groups[g].n_rungs)
        for x in range(s.groups[g].n_rungs):
            put(out, s.groups[g].left[x])
            put(out, s.groups[g].rungs[x])
    put(out, s.n_gauges)
    for x in range(s.n_gauges):
        put(out, s.gauges[x].kind)
        put(out, s.gauges[x].subject)
        put(out, s.gauges[x].value if s.gauges[x].kind == GIVEN else 0)
        put(out, s.gauges[x].program_length)
        for y in range(s.gauges[x].program_length):
            put(out, s.gauges[x].program[y])
    put(out, s.n_conditions)
    for x in range(s.n_conditions):
        put(out, s.conditions[x].gauge)
        put(out, s.conditions[x].on)
        put(out, s.conditions[x].off)
        put(out, s.conditions[x].below)
        put(out, s.conditions[x].holds)
    put(out, s.n_classes)
    for x in range(s.n_classes):
        k = &s.classes[x]
        put(out, k.queue)
        put(out, k.channel)
        put(out, k.age_rate)
        put(out, k.length_rate)
        put(out, k.offset)
        put(out, k.age_cap)
        put(out, k.step_at)
        put(out, k.step_next)
        put(out, k.step_tier)
        put(out, k.step_when)
        put(out, k.skip_if)
        put(out, k.step_copy)
        put(out, k.patient)
        put(out, k.agent_key)
        put(out, k.program_length)
        for y in range(k.program_length):
            put(out, k.program[y])
        for g in range(s.n_groups):
            pair = &s.out[<i64> x * s.wide + g]
            in_ = &s.in_[<i64> g * s.deep + x]
            put(out, pair.opens)
            put(out, pair.rank)
            put(out, pair.cost)
            put(out, in_.rank)
            put(out, in_.cost)
            put(out, s.conditional[<i64> x * s.wide + g] - 1)
    return 0


cdef inline bint dated(int state) noexcept nogil:
    """Whether an interaction of this state may have an instant at which something happens to it."""
    return state == WRAP_UP or state == ACCEPTING or state == PARKED or state == OFFERED


cdef int dump_traffic(State* s, Numbers* out) except -1 nogil:
    cdef Agent* a
    cdef Past* past
    cdef Offer* offer
    cdef i32 x, y, e
    cdef i64 place
    put(out, s.n_agents)
    for x in range(s.n_agents):
        a = &s.agents[x]
        past = &s.pasts[x]
        put(out, a.home)
        put(out, a.until)
        put(out, a.order)
        put(out, a.presence)
        put(out, a.used)
        put(out, a.idle_since)
        put(out, a.stamp)
        put(out, a.handled)
        put(out, a.offered)
        put(out, a.rest)
        put(out, a.burst_from)
        put(out, a.burst_count)
        put(out, a.misses[0])
        put(out, a.misses[1])
        put(out, a.misses[2])
        put(out, a.misses[3])
        put(out, past.ready)
        put(out, past.accepted)
        put(out, past.talked)
        put(out, past.released)
        put(out, past.busy)
        for y in range(FADINGS):
            put(out, past.fading[y].value)
            put(out, past.fading[y].at)
        for y in range(SHARES):
            put(out, past.spent[y])
        put(out, past.spent_at)
        put(out, past.rested)
        put(out, past.away)
        put(out, past.own.value)
        put(out, past.own.at)
        for y in range(s.n_watched):
            put(out, s.watched[y].agents[x].handled.value)
            put(out, s.watched[y].agents[x].handled.at)
            put(out, s.watched[y].agents[x].talked)
            put(out, s.watched[y].agents[x].offered)
        for y in range(s.n_pools):
            put(out, s.counts[x * POOLS + y])
    put(out, s.n_interactions)
    for x in range(s.n_interactions):
        dump_interaction(s, x, out)
    place = out.n
    put(out, 0)
    x = s.free_interaction
    while x >= 0:
        put(out, x)
        x = s.interactions[x].entries
    turn(out, place)
    put(out, s.n_offers)
    for x in range(s.n_offers):
        offer = &s.offers[x]
        put(out, offer.interaction if offer.interaction >= 0 else -1)
        if offer.interaction < 0:
            continue
        y = 0
        e = s.interactions[offer.interaction].entries
        while e != offer.entry:
            y += 1
            e = s.entries[e].next
        put(out, y)
        put(out, offer.agent)
        put(out, offer.due)
        put(out, offer.seq)
    place = out.n
    put(out, 0)
    x = s.free_offer
    while x >= 0:
        put(out, x)
        x = s.offers[x].next_of_interaction
    turn(out, place)
    return 0


cdef void turn(Numbers* out, i64 place) noexcept nogil:
    """Write at ``place`` how many integers have followed, and turn these round."""
    cdef i64 first = place + 1, last = out.n - 1
    out.at[place] = out.n - first
    while first < last:
        out.at[first], out.at[last] = out.at[last], out.at[first]
        first += 1
        last -= 1


cdef int dump_interaction(State* s, i32 x, Numbers* out) except -1 nogil:
    cdef Interaction* it = &s.interactions[x]
    cdef i32 e
    cdef i64 place
    put(out, it.state)
    if it.state == GONE:
        return 0
    put(out, it.seq)
    put(out, it.wait_from)
    put(out, it.step_from)
    put(out, it.agent)
    put(out, it.channel)
    put(out, it.clock if it.state == CONNECTED or it.state == ON_HOLD or it.state == INTERRUPTED else -1)
    put(out, it.clock if dated(it.state) else -1)
    put(out, s.gaps[x])
    place = out.n
    put(out, 0)
    e = it.entries
    while e >= 0:
        put(out, s.entries[e].class_)
        put(out, s.keys[e].a)
        put(out, s.keys[e].b)
        put(out, s.keys[e].c)
        out.at[place] += 1
        e = s.entries[e].next
    place = out.n
    put(out, 0)
    e = it.ties
    while e >= 0:
        put(out, s.ties[e].agent)
        put(out, s.ties[e].kind)
        put(out, s.ties[e].until)
        put(out, s.ties[e].seq)
        out.at[place] += 1
        e = s.ties[e].next_of_interaction
    return 0


cdef Core load_of(data):
    cdef Core core = Core()
    numbers, most = iter(data), min(len(data), COUNT_MAX)  # of nothing are there more than there are numbers
    core.s.blind = True
    try:
        load_tables(core, numbers, most)
        load_traffic(core, numbers, most)
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


cdef int load_tables(Core self, numbers, i64 most) except -1:
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
    n = read(numbers, "watched queues", 0, s.n_queues)
    for x in range(n):
        self.watch(next(numbers))
        within("watched queues", s.n_watched, x + 1, x + 1)
    for x in range(read(numbers, "atoms", 0, most)):
        self.add_atom(())
    for g in range(next(numbers)):
        units = next(numbers)
        at_most = [next(numbers) for _ in range(s.n_pools)]
        mix = [next(numbers) for _ in range(2 * s.n_channels)]
        idle_rate, term, auto, burst, burst_per, busiest, weight = [next(numbers) for _ in range(7)]
        levels = [read_fading(s, numbers, y) for y in range(FADINGS)]
        watched = [read_fading(s, numbers, HANDLED) for _ in range(s.n_watched)]
        shares = [next(numbers) for _ in range(2 * read(numbers, "shares", 0, SHARES))]
        self.add_group([next(numbers) for _ in range(next(numbers))], units, at_most)
        self.set_shares(g, shares[::2], shares[1::2])
        self.set_weight(g, weight)
        for y in range(FADINGS):
            s.groups[g].levels[y].value, s.groups[g].levels[y].at = levels[y]
        for y in range(s.n_watched):
            s.watched[y].levels[g].value, s.watched[y].levels[g].at = watched[y]
        self.set_group(g, idle_rate, term)
        self.set_manners(g, auto, burst, burst_per, busiest)
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
    within("watched queues", s.n_watched, n, n)
    for x in range(s.n_classes):
        age_rate, length_rate, offset, age_cap, *step, patient = rates[x]
        self.set_class(x, age_rate, length_rate, offset, *step, age_cap, patient)
    return 0


cdef int load_traffic(Core self, numbers, i64 most) except -1:
    cdef State* s = &self.s
    cdef Agent* a
    cdef Past* past
    cdef Here* here
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
        past.rested = read(numbers, "end of a break", 0, s.now)
        past.away = read(numbers, "whether away", 0, 1)
        past.own.value, past.own.at = read_fading(s, numbers, OCCUPIED)
        for y in range(s.n_watched):
            here = &s.watched[y].agents[x]
            here.handled.value, here.handled.at = read_fading(s, numbers, HANDLED)
            here.talked = read(numbers, "talked until", 0, s.now)
            here.offered = read(numbers, "offered", 0, s.seq)
        for y in range(s.n_pools):
            s.counts[x * POOLS + y] = read(numbers, "in use", 0, UNITS_MAX)
            if s.counts[x * POOLS + y]:
                a.pools |= <uint32_t> 1 << y
        climb(s, x)
    n = read(numbers, "interactions", 0, most)
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
    n = read(numbers, "offers", 0, most)
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
    cdef bint here
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
        lane = &s.lanes[l]
        for k in range(s.n_classes):
            for g in range(s.n_groups if s.classes[k].lane == l and lane.queue >= 0 else 0):
                if s.out[<i64> k * s.wide + g].opens != NEVER and not (lane.members[g >> 6] >> (g & 63)) & 1:
                    found.append(f"lanes: group {g} is not in that of class {k}")
        for g in range(s.n_groups):
            for x in range(2):
                root = &lane.roots[<i64> x * s.cap_groups + g]
                if not sound(lane.links, lane.keys, root, False):
                    found.append(f"lanes: the tree of group {g} is broken")
                if ((lane.available[x * (s.cap_groups >> 6) + (g >> 6)] >> (g & 63)) & 1) != (root.root >= 0):
                    found.append(f"lanes: group {g} is wrongly marked")
        for x in range(s.n_agents):
            g = s.agents[x].group
            here = lane.queue < 0 or (lane.members[g >> 6] >> (g & 63)) & 1
            if (lane.links[x].size > 0) != (here and (s.agents[x].room >> lane.channel) & 1):
                found.append(f"lanes: agent {x} is in the wrong place")
            key = key_of(s, x, lane.key, lane.queue)
            if lane.links[x].size and (less(&key, &lane.keys[x]) or less(&lane.keys[x], &key)):
                found.append(f"lanes: agent {x} stands by what was so before")
    for x in range(1, s.n_heap):
        if sooner(&s.heap[x], &s.heap[(x - 1) >> 1]):
            found.append(f"time: the deadlines are out of order at {x}")
    if s.n_heap and s.heap[0].due <= s.now:
        found.append(f"time: a deadline was due at {s.heap[0].due}, now is {s.now}")
    return 0
