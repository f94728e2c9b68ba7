"""The cores that a test of the door runs over, and how one is put below it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from omniroute.core.reference import Core as Reference

CORES: dict[str, type] = {"reference": Reference}
try:
    from omniroute.core.kernel import Core as Kernel
except ImportError:
    pass
else:
    CORES["kernel"] = Kernel


@contextmanager
def using(name: str) -> Iterator[None]:
    """Routers built or restored inside use this core."""
    with patch("omniroute.router.Core", CORES[name]):
        yield
