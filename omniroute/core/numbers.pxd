"""The integers that have names, as in ``codes.py``, ``lifecycle.py`` and ``limits.py``."""

cdef enum:
    NONE = -1
    NEVER = -1
    OFFERS_ALL = -1
    CHANNELS = 32
    POOLS = 32
    SLOT_BITS = 20
    TIES = 64
    SHARES = 8
    ENTRIES = 8
    RUNGS = 16
    CANCEL = -2
    UNTIL_GONE = -2  # a tie for as long as the interaction lives
    CUSTOMER_FIRST = -1  # the gap of a call-back that no deadline wakes

cdef enum:  # InteractionState
    GONE = 0
    WAITING = 1
    OFFERED = 2
    CONNECTED = 3
    WRAP_UP = 4
    ACCEPTING = 5
    ON_HOLD = 6
    INTERRUPTED = 7
    PARKED = 8

cdef enum:  # flags of a channel
    RESERVES_OFFERED = 1
    RESERVES_WRAP_UP = 2
    RESERVES_HOLD = 4
    KEPT = 8

cdef enum:  # TieKind
    FORBID = 0
    PREFER = 1
    PREFER_ANY = 2
    ONLY = 3
    ONLY_ANY = 4

cdef enum:  # GaugeKind
    LENGTH = 0
    STAFFED = 1
    IDLE = 2
    AVAILABLE = 3
    GIVEN = 4

cdef enum:  # Cause
    C_NO_ANSWER = 0
    C_DECLINED = 1
    C_BUSY = 2
    C_UNREACHABLE = 3
    C_BURST = 4
    C_OCCUPIED = 5

cdef enum:  # Presence
    SIGNED_OUT = 0
    READY = 1
    NOT_READY = 2
    DRAINING = 3

cdef enum:  # DeadlineKind
    EDGE = 0
    WRAP_UP_END = 1
    SETUP_END = 2
    OFFER_EXPIRY = 3
    TIE_END = 4
    REST_END = 5
    ACTIVATION = 6
    WINDOW = 7
    STEP = 8
    OPENING = 9
    CONTROL = 10
    ESTIMATES = 11
    FURTHER_OFFER = 12

cdef enum:  # EventKind
    EV_QUEUED = 0
    EV_OFFERED = 1
    EV_DECLINED = 2
    EV_EXPIRED = 3
    EV_WITHDRAWN = 4
    EV_CONNECTED = 5
    EV_STEPPED = 6
    EV_ABANDONED = 7
    EV_FINISHED = 8
    EV_RELEASED = 9
    EV_REQUEUED = 10
    EV_TRANSFERRED = 11
    EV_PRESENCE = 12
    EV_UNMATCHED = 13
    EV_REVISION_DUE = 14
    EV_ACCEPTED = 15
    EV_SETUP_FAILED = 16
    EV_HELD = 17
    EV_RESUMED = 18
    EV_INTERRUPTED = 19
    EV_PARKED = 20
    EV_CANCELLED = 21
    EV_UPDATED = 22
    EV_TAKEN_OVER = 23
    EV_RESTING = 24
    EV_ALL_DECLINED = 25
    EV_ESTIMATES_DUE = 26

cdef enum:  # AgentKey
    LONGEST_IDLE = 0
    FEWEST_HANDLED = 1
    LEAST_LOADED = 2
    FIXED_ORDER = 3
    ROUND_ROBIN = 4
    LOAD_RATIO = 5
    MOST_SPARE = 6
    FEWEST_IN_HAND = 7
    LONGEST_READY = 8
    LONGEST_SINCE_ACCEPT = 9
    LONGEST_SINCE_CONVERSATION = 10
    LONGEST_SINCE_HANDLED = 11
    LONGEST_SINCE_RELEASE = 12
    LEAST_TALK_TIME = 13
    LEAST_OCCUPIED = 14
    WEIGHTED_RANDOM = 15
    LATEST_BREAK = 16
    BEHIND_SHARE = 17  # from here on another number in each queue
    FEWEST_HANDLED_IN_QUEUE = 18
    ROUND_ROBIN_IN_QUEUE = 19
    LONGEST_SINCE_CONVERSATION_IN_QUEUE = 20

cdef enum:  # what of an agent fades
    HANDLED = 0
    TALK = 1
    OCCUPIED = 2
    FADINGS = 3
