"""A conformance kit for those who write strategies: every rule of the protocol, and the laws of a router with it.

Nothing here is needed to route. Start at :func:`check_strategy`.
"""

from omniroute.testing.strategy import check_strategy
from omniroute.testing.verdict import RULES, BrokenRuleError, Report

__all__ = ["RULES", "BrokenRuleError", "Report", "check_strategy"]
