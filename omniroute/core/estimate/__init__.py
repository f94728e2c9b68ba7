"""Estimates that routing itself needs: expected waits, a recent service level, handle times, arrivals.

Integers only: steps and conditions compare these with thresholds, so they belong to the state that replay rebuilds.
:func:`drain`, :func:`drain_tiers` and :func:`with_abandonment` are functions of what they are given;
:class:`ServiceLevel`, :class:`HandleTimes` and :class:`Arrivals` are values whose ``state()`` is a tuple of integers.
Where there is nothing to tell, the answer is ``None``, never 0.
"""

from omniroute.core.estimate.arrivals import Arrivals, memory
from omniroute.core.estimate.handle_times import HandleTimes
from omniroute.core.estimate.service_level import ServiceLevel
from omniroute.core.estimate.waits import drain, drain_tiers, with_abandonment

__all__ = ["Arrivals", "HandleTimes", "ServiceLevel", "drain", "drain_tiers", "memory", "with_abandonment"]
