"""What the data looks like: structs, the whole state, and how arrays grow."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from omniroute.core.numbers cimport *

ctypedef int32_t i32
ctypedef int64_t i64
ctypedef uint64_t u64

cdef struct Key:  # compared a, then b, then c; c is unique
    i64 a
    i64 b
    i64 c

cdef struct Link:  # a node of an ordered tree; size 0: not in a tree
    i32 left
    i32 right
    i32 parent
    i32 size

cdef struct Root:  # an ordered tree; head is the key of first, kept near for scans over many trees
    i32 root
    i32 first
    i32 last
    i32 pad
    Key head

cdef struct OutPair:  # a cell in agent selection, laid out by class
    i32 opens
    i32 rank
    i64 cost

cdef struct InPair:  # a cell in interaction selection, laid out by group
    i32 opens
    i32 rank
    i64 cost

cdef struct Queue:
    i64 offers
    i64 offer_timeout
    i64 limit
    i64 retry_after
    i64 target
    i64 setup_timeout
    i64 auto
    i64 every  # a further offer so long after the last one; -1: all at once
    i64 window  # the decision window in which it is matched; -1: none
    i64 control_every
    i64 control_due
    i64 version
    i64 entered
    i64 connected
    i64 in_target
    i64 abandoned
    i64 length
    i64 rona[8]  # for each cause: after how many in a row not ready, and the rest in ms
    i32 heap_at
    i32 watched  # what agents did for it, or -1

cdef struct Channel:
    i64 load
    uint32_t pools
    i32 base  # its own pool
    i32 flags

cdef struct Fading:  # a number that counts half after each half-life
    i64 value
    i64 at

cdef struct Past:  # what agent keys look back at; beside the agents, kept only where a class has such a key
    i64 ready
    i64 accepted
    i64 talked
    i64 released
    i64 busy
    Fading fading[FADINGS]
    i64 spent[SHARES]  # ms of conversation for each share of his group, fading since
    i64 spent_at
    i64 rested  # when his last break ended
    i64 away  # whether he is on one
    Fading own  # as what is occupied, but nobody else's; kept where some group has a cap

cdef struct Here:  # what an agent did for one queue
    Fading handled
    i64 talked
    i64 offered

cdef struct Watched:  # a queue that has an agent key of its own
    i32 queue
    Here* agents
    Fading* levels  # of each group's agent who was connected last through it

cdef struct Group:
    i64 units
    i64 idle_rate
    i64 term
    i64 burst
    i64 burst_per
    i64 weight
    i32 auto
    i32 members  # agents whose home it is, and once more those who are in it now
    i32 staffed  # agents signed in who are in it now
    i32 n_rungs
    i32 left[RUNGS]  # with so little time left, most first,
    i32 rungs[RUNGS]  # its agents are in these groups
    i32 at_most[POOLS]
    uint32_t allow[CHANNELS]
    uint32_t interrupts[CHANNELS]
    Fading levels[FADINGS]  # of who was connected last
    i32 n_shares
    i32 share_of[SHARES]  # queues
    i32 share[SHARES]  # of each agent's time, in thousandths
    i32 busiest  # who had something in hand for more thousandths of his time of late rests; 1000: nobody

cdef struct Class:  # what a scan over classes reads comes first, together
    i32 queue
    i32 channel
    i64 age_rate
    i64 length_rate
    i64 offset
    i64 age_cap
    Root root
    i32 window  # that of its queue
    i32 lane
    i32 agent_key
    i64 step_at
    i32 step_next
    i32 step_tier
    i32 step_when
    i32 skip_if
    i32 step_copy
    i32 patient
    i32 conditioned  # pairs with a condition
    i32 in_queue  # entries in the class, those on offer included
    i32 program_length
    i32* program
    i32 openings_length
    i32* openings  # the distinct opening delays > 0, ascending
    Root bound  # entries for certain agents only

cdef struct Lane:  # available agents of a channel by one agent key: for each group a tree, and one of who is interrupted
    i32 channel
    i32 key
    i32 queue  # whose key it is, or -1
    Link* links
    Key* keys
    Root* roots
    u64* available  # groups with somebody in their tree
    u64* members  # of a key of a queue: groups that ever could serve it, whose agents alone are here

cdef struct Agent:
    i64 used
    i64 idle_since
    i64 stamp
    i64 handled
    i64 offered
    i32 group
    i32 home  # his group with time enough left
    i32 edge_at
    i32 order
    i32 offers  # first live offer, oldest first
    i32 ties
    i32 hand  # first of what is in hand, the latest first
    i32 held  # how many that are
    i32 kept  # of those, how many survive a sign-out
    i32 interrupted  # of those, how many are interrupted
    uint32_t room  # channels that fit now; 0 unless ready
    uint32_t band  # of these, those that would interrupt something
    uint32_t ringing  # channels with a live offer that holds no capacity
    uint32_t pools  # pools of which he holds something
    i32 presence
    i32 shown  # what gauges count of him: 1 staffed, 2 idle
    i32 heap_at  # the end of his rest
    i64 rest
    i64 until  # his obligation
    i64 burst_from
    i32 burst_count
    i32 misses[4]

cdef struct Interaction:  # 64 bytes, one cache line
    i64 seq
    i64 wait_from
    i64 step_from
    i64 clock  # since when connected; or when what its state allows comes about: ends, activates, is offered further
    i32 entries
    i32 agent
    i32 offers  # the first live one; in hand: the next that its agent has in hand
    i32 previous  # in hand: the one before
    i32 ties
    i32 heap_at
    i32 live
    int16_t tied
    uint8_t state
    uint8_t channel

cdef struct Entry:
    i32 class_
    i32 interaction
    i32 next
    i32 heap_at

cdef struct Offer:
    i64 due
    i64 seq
    i32 interaction  # -1: free
    i32 entry
    i32 agent
    i32 next_of_interaction
    i32 prev_of_interaction
    i32 next_of_agent
    i32 prev_of_agent
    i32 heap_at

cdef struct Tie:
    i64 until
    i64 seq
    i32 interaction  # -1: free
    i32 agent
    i32 kind
    i32 next_of_interaction
    i32 next_of_agent
    i32 prev_of_agent
    i32 heap_at

cdef struct Gauge:
    i32 kind
    i32 subject
    i64 value  # of queues: looked up instead
    i32 program_length
    i32* program
    u64* members  # groups that count

cdef struct Condition:
    i32 gauge
    i32 below
    i64 on
    i64 off
    i32 holds
    i32 fresh  # became true in this command

cdef struct Window:
    i64 length
    i64 closes_at  # -1: it is not open
    i32 heap_at

cdef struct Turn:  # whom to ask, in order
    i64 order
    i64 number

cdef struct Deadline:
    i64 due
    i64 seq
    i32 kind
    i32 what

cdef struct Event:
    i64 kind
    i64 at
    i64 interaction
    i64 agent
    i64 x
    i64 y

cdef struct State:
    i64 now
    i64 seq
    bint auto_accept
    bint quiet  # write no events
    bint failed  # memory ran out in the middle: refuse everything
    bint blind  # conditions stay as they are, while a dump is read
    bint interrupting  # some group has something that gives way
    bint stepping  # some class has had a step
    bint looks_back  # some class has an agent key that looks back, or will have
    bint capping  # some group has a cap on what is occupied
    bint drawing  # some class has WEIGHTED_RANDOM
    bint sharing  # some group has shares
    i64 half_life
    u64 seed
    i64 estimates_every
    i64 estimates_due
    i32 estimates_at
    i32 n_pools
    i64 least_load  # of all channels
    i64 pool_load[POOLS]  # what one interaction of the channel with this own pool takes
    i32 n_channels
    Channel channels[CHANNELS]

    Queue* queues
    i32 n_queues
    i32 cap_queues

    u64* atoms  # a bitmap over groups for each atom
    i32 n_atoms
    i32 cap_atoms

    Group* groups
    i32 n_groups
    i32 cap_groups  # a multiple of 64
    Class* classes
    i32 n_classes
    i32 cap_classes  # a multiple of 64
    i32 wide  # groups for which there is room in what takes more than a bit for each
    i32 deep  # classes, likewise
    i32* cells  # the owners of the three tables below; whoever writes copies them first
    OutPair* out
    InPair* in_
    i32* conditional  # for each class and group 1 + its condition, 0: none
    u64* ever  # for each class the groups that may ever serve it
    u64* openable  # of those, where the condition holds
    u64* serves  # the same for each group
    u64* nonempty  # classes with entries to offer at once
    u64* held  # for each window the classes with entries that it holds
    Window* windows
    i32 n_windows
    i32 cap_windows
    i32 loose  # a window that matches one by one now, or -1

    Lane* lanes
    i32 n_lanes
    i32 cap_lanes
    Watched* watched
    i32 n_watched
    i32 cap_watched

    Gauge* gauges
    i32 n_gauges
    i32 cap_gauges

    Condition* conditions
    i32 n_conditions
    i32 cap_conditions
    i32 n_fresh

    Agent* agents
    Past* pasts
    i32* counts  # POOLS for each agent
    i32 n_agents
    i32 cap_agents

    Interaction* interactions
    i32* gaps  # of call-backs, 0 of all others; beside the interactions, which fill a cache line
    i32 n_interactions
    i32 cap_interactions
    i32 free_interaction
    i32 n_free_interactions

    Entry* entries
    Link* links
    Key* keys
    i32 n_entries
    i32 cap_entries
    i32 free_entry

    Offer* offers
    i32 n_offers
    i32 cap_offers
    i32 free_offer
    i32 n_free_offers

    Tie* ties
    i32 n_ties
    i32 cap_ties
    i32 free_tie

    Deadline* heap
    i32 n_heap
    i32 cap_heap

    Event* events
    i32 n_events
    i32 cap_events

    i32* connected  # interactions connected since the driver last looked
    i32 n_connected
    i32 cap_connected

    i32* work  # agents to ask for before the command ends, first come, first served
    i32 n_work
    i32 cap_work
    i32 work_at
    i32* left  # agents who signed out in this command
    i32 n_left
    i32 cap_left
    i32 left_at
    bint stale  # a condition turned false: steps that are due wait for it, and have no deadline
    bint forgiving  # look whether everybody has declined something
    i32* late  # interactions to ask for before the command ends, after all these
    i32 n_late
    i32 cap_late
    Turn* turns
    i32 n_turns
    i32 cap_turns


cdef inline bint grow(State* s, void** data, i32* cap, i32 need, size_t size) noexcept nogil:
    """Make room for ``need`` items of ``size`` bytes; amortised O(1). False and ``failed`` where memory ran out."""
    return need <= cap[0] or grow_to(s, data, cap, need, size)


cdef inline bint grow_to(State* s, void** data, i32* cap, i32 need, size_t size) noexcept nogil:
    cdef i32 wanted = cap[0]
    cdef void* moved
    if wanted < 16:
        wanted = 16
    while wanted < need:
        wanted += wanted // 2 + 16
    moved = realloc(data[0], <size_t> wanted * size)
    if moved == NULL:
        s.failed = True
        return False
    data[0] = moved
    cap[0] = wanted
    return True


cdef enum:
    AHEAD = 1024  # rows


cdef inline void touch(void* data, i32 begin, i32 cap, size_t size) noexcept nogil:
    """Have the pages of the next rows mapped, at once and not one by one while each of them is first written."""
    cdef char* at = <char*> data + <size_t> begin * size
    cdef char* end = <char*> data + <size_t> min(cap, begin + AHEAD) * size
    while at < end:
        at[0] = 0
        at += 4096


cdef inline void tell(State* s, i64 kind, i64 i, i64 j, i64 x, i64 y) noexcept nogil:
    """Write one event."""
    cdef Event* event
    if s.quiet or not grow(s, <void**> &s.events, &s.cap_events, s.n_events + 1, sizeof(Event)):
        return
    event = &s.events[s.n_events]
    event.kind = kind
    event.at = s.now
    event.interaction = i
    event.agent = j
    event.x = x
    event.y = y
    s.n_events += 1


cdef inline i64 next_seq(State* s) noexcept nogil:
    """The next sequence number."""
    s.seq += 1
    return s.seq
