"""The cores that a test runs over, how one is put below the door, and which tests one of them is too slow for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from omniroute.core import IMPLEMENTATION
from omniroute.core.reference import Core as Reference

CORES: dict[str, type] = {"reference": Reference}
DEBUG = False
"""A debug build of the kernel is slow on purpose: it checks everything that it holds after a command."""
try:
    from omniroute.core import kernel
except ImportError:
    pass
else:
    CORES["kernel"] = kernel.Core
    DEBUG = kernel.DEBUG

kernel_only = pytest.mark.skipif(IMPLEMENTATION != "kernel", reason="the reference core takes minutes for it")
"""Marks a test that is about size, not about what is decided, which the two cores are compared on elsewhere."""


@contextmanager
def using(name: str) -> Iterator[None]:
    """Routers built or restored inside use this core."""
    with patch("omniroute.router.Core", CORES[name]):
        yield
