"""Libraries that only some hosts need: imported when they are asked for, with an error that says how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from omniroute.errors import MissingExtraError

__all__ = ["library"]


def library(module: str, extra: str) -> ModuleType:
    """Return an optional module. Raises MissingExtraError naming the extra that installs it.

    >>> library("json", "schedules").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"{module.partition('.')[0]} is not installed; pip install 'omniroute[{extra}]' brings it"
        raise MissingExtraError(message) from error
