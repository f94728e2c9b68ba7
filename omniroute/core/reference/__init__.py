"""The naive twin: what the kernel means, in lists and loops.

It is the specification, the judge of every differential test, and the fallback where no compiler is.
``state`` holds the records, ``tables`` what strategies answered, ``selection`` the two questions, ``engine`` the
commands, ``columns`` drives whole workloads. ``transport`` is the optimum of a decision window.
"""

from omniroute.core.reference.columns import Driver
from omniroute.core.reference.engine import Core

IMPLEMENTATION = "reference"

__all__ = ["IMPLEMENTATION", "Core", "Driver"]
