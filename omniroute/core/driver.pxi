# The driver of whole workloads: part of ``kernel``, which has the judging. What it means is in the reference.

cdef i64 ATTEMPTS_MAX = limits.ATTEMPTS_MAX
cdef int MOVE_SET_READY = lifecycle.PresenceMove.SET_READY


cdef inline bint driven(State* s, Drive* d, i32 i, i64 row) noexcept nogil:
    """Whether an interaction is that of the row, and waits."""
    return d.rows[i] == row and in_queue(&s.interactions[i])


cdef inline i64 leaves_at(Drive* d, i64 row) noexcept nogil:
    cdef i64 since = d.g.at[row]
    if d.t.how != NULL and d.t.moved[row] >= 0:
        since = d.t.moved[row]
    return since + d.g.patience[row]


cdef inline bint arrive_row(State* s, Drive* d, i64 now, i64 row) noexcept nogil:
    """False where memory ran out."""
    cdef i32 k = <i32> d.g.class_[row]
    cdef i32 i
    if d.t.how != NULL:
        d.t.class_[row] = k
    if is_full(s, &k, 1, -1):
        d.t.agent[row] = BLOCKED
        d.t.end[row] = now
        if d.t.how != NULL:
            d.t.how[row] = FULL
            d.t.wait[row] = 0
        return True
    s.now = now
    if d.plain:
        i = plain_enqueue(s, k, d.g.tier[row], now - d.g.head_start[row])
    else:
        i = do_enqueue(s, &k, 1, d.g.tier[row], now - d.g.head_start[row], NULL, 0, 0, -1)
    if i < 0 or not grow(s, <void**> &d.rows, &d.cap_rows, i + 1, sizeof(i64)):
        return False
    d.rows[i] = row
    if d.g.patience[row] >= 0 and in_queue(&s.interactions[i]):
        push(s, &d.f, now + d.g.patience[row], LEAVE, row, i)
    return True


cdef inline bint transfer_row(State* s, Drive* d, i64 now, i64 row, i32 i) noexcept nogil:
    """False where the second queue is full."""
    cdef i32 k = <i32> d.g.class2[row]
    cdef i64 since = s.keys[s.interactions[i].entries].b if d.g.keeps[row] else now - d.g.head_start2[row]
    if is_full(s, &k, 1, i):
        d.t.moved[row] = BLOCKED
        return False
    s.now = now
    d.t.how[row] = OPEN
    d.t.class_[row] = k
    d.t.moved[row] = now
    do_transfer(s, i, &k, 1, d.g.tier2[row], since, NULL, 0)
    if d.g.patience[row] >= 0 and in_queue(&s.interactions[i]):
        push(s, &d.f, leaves_at(d, row), LEAVE, row, i)
    return True


cdef inline void finish_row(State* s, Drive* d, i64 now, i64 row, i32 i) noexcept nogil:
    cdef i64 wrap = d.g.wrap[row]
    if d.g.class2 != NULL and d.g.class2[row] >= 0:
        if d.t.moved[row] == NONE and transfer_row(s, d, now, row, i):
            return
        if d.t.moved[row] >= 0:
            wrap = d.g.wrap2[row]
    if wrap < 0:
        wrap = d.g.wraps[s.entries[s.interactions[i].entries].class_]
    s.now = now
    d.t.end[row] = now
    if d.plain:
        plain_finish(s, i, wrap)
    else:
        do_finish(s, i, wrap)


cdef inline void answer(State* s, i64 now, bint takes_it, i32 o, i64 seq) noexcept nogil:
    """An agent answers an offer, if it is still there."""
    cdef i32 channel
    if o >= s.n_offers or s.offers[o].interaction < 0 or s.offers[o].seq != seq:
        return
    s.now = now
    if takes_it:
        channel = s.interactions[s.offers[o].interaction].channel
        if (s.channels[channel].flags & RESERVES_OFFERED
                or fits(s, s.offers[o].agent, channel, held_pools(s, s.offers[o].agent))):
            do_accept(s, o)
            return
    unaccepted(s, o, EV_DECLINED, C_BUSY if takes_it else C_DECLINED)
    wind_up(s)


cdef inline void happen(State* s, Drive* d, i64 now, Future* item) noexcept nogil:
    """What was to come has come."""
    cdef i64 number = item.order & ((<i64> 1 << NUMBER_BITS) - 1)
    cdef i64 kind = item.order >> NUMBER_BITS
    cdef i32 i = item.subject
    if kind == FINISH:
        finish_row(s, d, now, number, i)
    elif kind == LEAVE:
        if driven(s, d, i, number) and leaves_at(d, number) == now:
            s.now = now
            d.t.end[number] = now
            if d.t.how != NULL:
                d.t.how[number] = LEFT
                d.t.wait[number] = real_wait(s, &s.interactions[i])
            do_leave(s, i, ABANDONED)
    elif kind == ESTABLISH:
        s.now = now
        do_established(s, i)
    elif kind == RETURN:
        if d.away[i] == now and s.agents[i].presence == NOT_READY:
            do_presence(s, now, i, MOVE_SET_READY)
    else:
        answer(s, now, kind == ACCEPT, i, number)


cdef inline void offered(State* s, Drive* d, Event* e) noexcept nogil:
    cdef i64 row = d.rows[e.interaction]
    cdef i64* own = NULL
    cdef i64 delay, decline, ignore, drawn
    d.t.offers[row] += 1
    if d.t.offers[row] >= ATTEMPTS_MAX:
        d.stuck = row
    if d.g.answer == NULL:
        return
    delay, decline, ignore = d.g.answer[row], d.g.decline[row], d.g.ignore[row]
    if d.habits != NULL:
        own = &d.habits[3 * e.agent]
        delay = own[0] if own[0] >= 0 else delay
        decline = own[1] if own[1] >= 0 else decline
        ignore = own[2] if own[2] >= 0 else ignore
    drawn = chance(d.seed, d.g.number[row], d.t.offers[row])
    if drawn < decline or drawn >= decline + ignore:
        push(s, &d.f, e.at + delay, DECLINE if drawn < decline else ACCEPT, e.x >> SLOT_BITS,
             <i32> (e.x & ((1 << SLOT_BITS) - 1)))


cdef inline void connected(State* s, Drive* d, Event* e) noexcept nogil:
    cdef i64 row = d.rows[e.interaction]
    cdef i64 lasts
    if d.t.moved[row] >= 0:
        d.t.agent2[row] = e.agent
        d.t.start2[row] = e.at
        lasts = d.g.handle2[row]
    else:
        d.t.agent[row] = e.agent
        d.t.start[row] = e.at
        lasts = d.g.handle[row]
    d.t.how[row] = SERVED
    d.t.wait[row] = e.y
    d.t.class_[row] = s.entries[s.interactions[e.interaction].entries].class_
    push(s, &d.f, e.at + lasts, FINISH, row, <i32> e.interaction)


cdef inline void hear(State* s, Drive* d) noexcept nogil:
    """Write down what the events say, and what is to come of it."""
    cdef i32 x
    cdef Event* e
    for x in range(s.n_events):
        e = &s.events[x]
        if e.kind == EV_OFFERED:
            offered(s, d, e)
        elif e.kind == EV_CONNECTED:
            connected(s, d, e)
        elif e.kind == EV_STEPPED:
            d.t.class_[d.rows[e.interaction]] = e.x
        elif e.kind == EV_ACCEPTED:
            push(s, &d.f, e.at, ESTABLISH, e.interaction, <i32> e.interaction)
        elif e.kind == EV_CANCELLED:
            d.t.how[d.rows[e.interaction]] = DROPPED
            d.t.wait[d.rows[e.interaction]] = e.y
            d.t.end[d.rows[e.interaction]] = e.at
        elif e.kind == EV_PRESENCE and e.x == NOT_READY and e.y != ASKED and d.back >= 0:
            d.away[e.agent] = e.at + d.back
            push(s, &d.f, e.at + d.back, RETURN, e.agent, <i32> e.agent)
        elif e.kind == EV_REVISION_DUE:
            if grow(s, <void**> &d.asked, &d.cap_asked, d.n_asked + 1, sizeof(i64)):
                d.asked[d.n_asked] = e.x
                d.n_asked += 1
    s.n_events = 0


cdef inline void note(State* s, Drive* d, i64 now) noexcept nogil:
    """Write down who has been connected, where agents accept at once and nothing else is asked."""
    cdef i32 x, i
    cdef i64 row
    for x in range(s.n_connected):
        i = s.connected[x]
        row = d.rows[i]
        d.t.agent[row] = s.interactions[i].agent
        d.t.start[row] = now
        push(s, &d.f, now + d.g.handle[row], FINISH, row, i)


cdef inline void run(State* s, Drive* d) noexcept nogil:
    """The loop, up to its end or to the next control deadline that somebody is to answer."""
    cdef i64 now, due, a = d.first, p = d.p, until = d.until
    cdef i64 n = d.g.n, m = d.g.m
    cdef bint more = d.more
    cdef const i64* at = d.g.at
    cdef Future item
    while not s.failed and d.stuck < 0 and not d.n_asked and not (more and a == n):
        due = s.heap[0].due if s.n_heap else TIME_MAX + 1
        now = due
        if d.f.n and d.f.heap[0].at < now:
            now = d.f.heap[0].at
        if p < m and d.g.p_at[p] < now:
            now = d.g.p_at[p]
        if a < n and at[a] < now:
            now = at[a]
        if now > TIME_MAX or 0 <= until <= now:
            break
        if due == now:
            advance(s, now)
        elif d.f.n and d.f.heap[0].at == now:
            item = pop(&d.f)
            happen(s, d, now, &item)
        elif p < m and d.g.p_at[p] == now:
            d.away[d.g.p_agent[p]] = NONE
            if d.g.p_until != NULL:
                do_oblige(s, now, <i32> d.g.p_agent[p], d.g.p_until[p])
            do_presence(s, now, <i32> d.g.p_agent[p], <int> d.g.p_move[p])
            p += 1
        else:
            if not arrive_row(s, d, now, a):
                break
            a += 1
        if d.t.how != NULL:
            hear(s, d)
        else:
            note(s, d, now)
        s.n_connected = 0
    d.first = a
    d.p = p


cdef const i64* reading(column, i64 n) except? NULL:
    """The numbers of a column of ``n``."""
    cdef const i64[::1] view = column
    within("length of a column", view.shape[0], n, n)
    return &view[0] if n else NULL


cdef i64* writing(column, i64 n) except? NULL:
    cdef i64[::1] view = column
    within("length of a column", view.shape[0], n, n)
    return &view[0] if n else NULL


cdef int check_column(str what, const i64* column, i64 first, i64 n, i64 low, i64 high) except -1:
    """Raise for a number of the rows ``first`` to ``n`` outside ``low..high``. O(rows)."""
    cdef i64 row
    cdef u64 outside = 0  # below low or above high, one of the differences is negative: no branch in the loop
    for row in range(first, n):
        outside |= (<u64> column[row] - <u64> low) | (<u64> high - <u64> column[row])
    if outside >> 63:
        for row in range(first, n):
            within(what, column[row], low, high)
    return 0


cdef int check_arrivals(const i64* at, const i64* head_start, i64 first, i64 n) except -1:
    """Raise where arrivals, whose range is right, go back or begin too early or late. O(rows)."""
    cdef i64 row
    cdef u64 outside = 0
    for row in range(first, n):
        outside |= (<u64> TIME_MAX - <u64> (at[row] - head_start[row])) | (<u64> TIME_MAX + <u64> (at[row] - head_start[row]))
    if outside >> 63:
        for row in range(first, n):
            within("since", at[row] - head_start[row], -TIME_MAX, TIME_MAX)
    return check_ascending("arrival", at, first, n)


cdef int check_ascending(str what, const i64* column, i64 first, i64 n) except -1:
    """Raise where a column, whose range is right, goes back. O(rows)."""
    cdef i64 row
    cdef i64 back = 0
    for row in range(first + 1, n):
        back |= column[row] - column[row - 1]
    if back < 0:
        for row in range(first + 1, n):
            within(what, column[row], column[row - 1], TIME_MAX)
    return 0


@cython.final
cdef class Driver:
    """Drives a core through columns, without the GIL, in one call or in several; see the reference core."""

    cdef Core core
    cdef Drive d
    cdef object held  # what the columns are read from and written to

    def __init__(self, Core core not None, i64 seed=0, i64 back=-1, habits=()):
        cdef i32 j, x
        cdef const i64* column
        if self.d.away != NULL:
            raise MisuseError("a driver is made once")
        self.core = core
        self.d.stuck = NONE
        self.d.seed = <u64> seed
        within("back", back, -1, TIME_MAX)
        self.d.back = back
        self.d.away = <i64*> malloc((core.s.n_agents + 1) * sizeof(i64))
        if self.d.away == NULL:
            raise MemoryError
        for j in range(core.s.n_agents):
            self.d.away[j] = NONE
        if habits:
            self.d.habits = <i64*> malloc((3 * core.s.n_agents + 1) * sizeof(i64))
            if self.d.habits == NULL:
                raise MemoryError
            for x in range(3):
                column = reading(habits[x], core.s.n_agents)
                for j in range(core.s.n_agents):
                    within("habit", column[j], -1, 1000 if x else TIME_MAX)
                    self.d.habits[3 * j + x] = column[j]

    def __dealloc__(self):
        free(self.d.f.heap)
        free(self.d.rows)
        free(self.d.asked)
        free(self.d.away)
        free(self.d.habits)

    def keep(self, kept):
        cdef Drive* d = &self.d
        cdef i64 rows = len(kept), row
        cdef i64* new = <i64*> malloc((d.first + 1) * sizeof(i64))
        cdef i32 x, n = d.f.n
        cdef Future item
        if new == NULL:
            raise MemoryError
        self.held = None
        try:
            for row in range(d.first):
                new[row] = NONE
            for row in range(rows):
                index("kept row", kept[row], d.first)
                new[<i64> kept[row]] = row
            for x in range(d.cap_rows):
                d.rows[x] = new[d.rows[x]] if 0 <= d.rows[x] < d.first else NONE
            d.f.n = 0
            for x in range(n):
                item = d.f.heap[x]
                if item.order >> NUMBER_BITS > LEAVE:
                    push(&self.core.s, &d.f, item.at, item.order >> NUMBER_BITS,
                         item.order & ((<i64> 1 << NUMBER_BITS) - 1), item.subject)
                else:
                    row = new[item.order & ((<i64> 1 << NUMBER_BITS) - 1)]
                    if row >= 0:
                        push(&self.core.s, &d.f, item.at, item.order >> NUMBER_BITS, row, item.subject)
            d.first = rows
        finally:
            free(new)

    def feed(
        self, arrivals, presences, results, i64 until=-1, bint more=False, answers=(), transfers=(), details=(), wraps=(),
    ):
        cdef State* s = &self.core.s
        cdef Drive* d = &self.d
        if (answers or transfers) and not details:
            raise MisuseError("answers and transfers need details")
        self.held = None
        memset(&d.g, 0, sizeof(Given))
        memset(&d.t, 0, sizeof(Told))
        if wraps:
            d.g.wraps = reading(wraps[0], s.n_classes)
            check_column("wrap-up of a class", d.g.wraps, 0, s.n_classes, 0, TIME_MAX)
        read_given(s, d, arrivals, presences, answers, transfers)
        read_told(d, results, details)
        self.held = (arrivals, presences, results, answers, transfers, details, wraps)
        d.p = 0
        d.until = until
        d.more = more
        s.auto_accept = not answers
        s.n_connected = s.n_events = 0
        return self.drive()

    def go_on(self):
        if self.held is None:
            raise MisuseError("no columns are being driven")
        self.core.s.n_connected = 0
        return self.drive()

    def asked(self):
        return [self.d.asked[x] for x in range(self.d.n_asked)]

    cdef object drive(self):
        cdef State* s = &self.core.s
        cdef Drive* d = &self.d
        s.quiet = d.t.how == NULL
        d.plain = is_plain(s)
        d.n_asked = 0
        with nogil:
            if d.t.how != NULL:
                hear(s, d)  # what came of the answers
            run(s, d)
        s.quiet = False
        s.n_events = 0
        self.core.done()
        if d.stuck >= 0:
            raise never_accepted(d.stuck)
        return d.p


cdef int read_given(State* s, Drive* d, arrivals, presences, answers, transfers) except -1:
    """Check and point at the columns that are read."""
    cdef Given* g = &d.g
    cdef i64 n = len(arrivals[0]), m = len(presences[0])
    within("rows", n, d.first, <i64> 2**40)
    g.n = n
    g.m = m
    g.at = reading(arrivals[0], n)
    g.class_ = reading(arrivals[1], n)
    g.tier = reading(arrivals[2], n)
    g.head_start = reading(arrivals[3], n)
    g.handle = reading(arrivals[4], n)
    g.wrap = reading(arrivals[5], n)
    g.patience = reading(arrivals[6], n)
    check_column("class", g.class_, d.first, n, 0, s.n_classes - 1)
    check_column("tier", g.tier, d.first, n, 0, TIER_MAX)
    check_column("wrap-up", g.wrap, d.first, n, 0 if g.wraps == NULL else -1, TIME_MAX)
    check_column("handling time", g.handle, d.first, n, 0, TIME_MAX)
    check_column("patience", g.patience, d.first, n, -1, TIME_MAX)
    check_column("arrival", g.at, d.first, n, s.now, TIME_MAX)
    check_column("head start", g.head_start, d.first, n, -TIME_MAX, TIME_MAX)
    check_arrivals(g.at, g.head_start, d.first, n)
    g.p_at = reading(presences[0], m)
    g.p_agent = reading(presences[1], m)
    g.p_move = reading(presences[2], m)
    if len(presences) > 3:
        g.p_until = reading(presences[3], m)
        check_column("obligation", g.p_until, 0, m, -1, TIME_MAX)
    check_column("agent", g.p_agent, 0, m, 0, s.n_agents - 1)
    check_column("presence move", g.p_move, 0, m, 0, MOVE_SIGN_OUT)
    check_column("presence instant", g.p_at, 0, m, s.now, TIME_MAX)
    check_ascending("presence instant", g.p_at, 0, m)
    if answers:
        read_answers(d, answers)
    if transfers:
        read_transfers(s, d, transfers)
    return 0


cdef int read_answers(Drive* d, answers) except -1:
    cdef Given* g = &d.g
    g.number = reading(answers[0], g.n)
    g.answer = reading(answers[1], g.n)
    g.decline = reading(answers[2], g.n)
    g.ignore = reading(answers[3], g.n)
    check_column("answer", g.answer, d.first, g.n, 0, TIME_MAX)
    check_column("decline", g.decline, d.first, g.n, 0, 1000)
    check_column("ignore", g.ignore, d.first, g.n, 0, 1000)
    return 0


cdef int read_transfers(State* s, Drive* d, transfers) except -1:
    cdef Given* g = &d.g
    g.class2 = reading(transfers[0], g.n)
    g.tier2 = reading(transfers[1], g.n)
    g.head_start2 = reading(transfers[2], g.n)
    g.handle2 = reading(transfers[3], g.n)
    g.wrap2 = reading(transfers[4], g.n)
    g.keeps = reading(transfers[5], g.n)
    check_column("second class", g.class2, d.first, g.n, -1, s.n_classes - 1)
    check_column("second tier", g.tier2, d.first, g.n, 0, TIER_MAX)
    check_column("second head start", g.head_start2, d.first, g.n, -TIME_MAX, TIME_MAX)
    check_column("second handling time", g.handle2, d.first, g.n, 0, TIME_MAX)
    check_column("second wrap-up", g.wrap2, d.first, g.n, 0 if g.wraps == NULL else -1, TIME_MAX)
    check_column("keeping of the age", g.keeps, d.first, g.n, 0, 1)
    return 0


cdef int read_told(Drive* d, results, details) except -1:
    """Point at the columns that are written."""
    cdef Told* t = &d.t
    t.agent = writing(results[0], d.g.n)
    t.start = writing(results[1], d.g.n)
    t.end = writing(results[2], d.g.n)
    if details:
        t.how = writing(details[0], d.g.n)
        t.wait = writing(details[1], d.g.n)
        t.offers = writing(details[2], d.g.n)
        t.class_ = writing(details[3], d.g.n)
        t.moved = writing(details[4], d.g.n)
        t.agent2 = writing(details[5], d.g.n)
        t.start2 = writing(details[6], d.g.n)
    return 0
