"""The integer core: skills, eligibility, capacity, ranks, life cycles, deadlines.

Two implementations of one meaning: ``kernel`` (compiled) and ``reference`` (plain Python, naive, the specification).
``OMNIROUTE_CORE=kernel|reference`` forces one and fails loudly; otherwise the kernel is taken where it was built, and
where it was not, a warning says so.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omniroute.core.reference import IMPLEMENTATION, Core, Driver
else:
    _forced = os.environ.get("OMNIROUTE_CORE", "")
    if _forced not in ("", "kernel", "reference"):
        raise ImportError(f"OMNIROUTE_CORE is {_forced!r}, allowed is kernel or reference")
    if _forced == "reference":
        from omniroute.core.reference import IMPLEMENTATION, Core, Driver
    else:
        try:
            from omniroute.core.kernel import IMPLEMENTATION, Core, Driver
        except ImportError:
            if _forced == "kernel":
                raise
            warnings.warn(
                f"omniroute runs on its reference core, which is slow: no compiled kernel is in {__path__[0]}",
                RuntimeWarning,
                stacklevel=2,
            )
            from omniroute.core.reference import IMPLEMENTATION, Core, Driver

__all__ = ["IMPLEMENTATION", "Core", "Driver", "digest"]


def digest(core: Core) -> str:
    """A hash of the whole state, the same for both cores after the same commands. O(state)."""
    return hashlib.blake2b(core.dump().tobytes(), digest_size=16).hexdigest()
