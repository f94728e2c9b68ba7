"""Channels, labels and pools: what takes an agent's capacity, and what may be in hand beside what.

The core counts per agent in *pools*. Each channel and each label of a plan has one. A channel together with the labels
of an interaction is a channel of the core by itself, made when it is first asked for: it takes a place in the pool of
the channel and in that of each label. Numbers are for good; what left the plan keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from omniroute.core import limits
from omniroute.model import Agent
from omniroute.plan import RESERVES, Channel

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["Capacity", "flags_of"]

_SURVIVES: Final = 8
_ALL_POOLS: Final = 2**32 - 1


def flags_of(channel: Channel) -> int:
    """What the core wants to know of a channel besides its load; fixed for good, as the load is. O(1)."""
    reserved = sum(1 << bit for bit, name in enumerate(RESERVES) if name in channel.reserves)
    return reserved | (_SURVIVES if channel.survives_sign_out else 0)


class Capacity:
    """The pools and the channels of one core, by name."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.channels: dict[str, int] = {}
        """All channels that ever were, with the number of each without labels."""
        self.values: dict[str, Channel] = {}
        """Their last values, in the same order."""
        self.kinds: list[tuple[str, tuple[str, ...]]] = []
        """Channel and labels, by number of the core's channel."""
        self.numbers: dict[tuple[str, tuple[str, ...]], int] = {}
        self.pools: list[tuple[bool, str]] = []
        """Whether it is that of a label, and the name, by number of the pool."""
        self.mixes: list[tuple[int, int]] = []
        """What groups have been told of each channel of the core."""

    @classmethod
    def of(
        cls, core: Core, values: list[Channel], kinds: list[tuple[str, tuple[str, ...]]], pools: list[tuple[bool, str]]
    ) -> Capacity:
        """The names of a core that has these pools and channels already. O(channels * pools)."""
        found = cls(core)
        found.values = {channel.name: channel for channel in values}
        found.kinds, found.pools = kinds, pools
        found.numbers = {kind: number for number, kind in enumerate(kinds)}
        found.channels = {name: found.numbers[name, ()] for name in found.values}
        found.mixes = [found._mix(channel) for channel, _ in kinds]
        return found

    @property
    def labels(self) -> dict[str, int]:
        """The pools of all labels that ever were. O(pools)."""
        return {name: pool for pool, (label, name) in enumerate(self.pools) if label}

    def _pool(self, channel: str) -> int:
        return self.pools.index((False, channel))

    def add_channel(self, channel: Channel) -> None:
        """Give a channel a pool and a number; load and flags are fixed for good. O(groups + agents)."""
        self.core.add_pool()
        self.pools.append((False, channel.name))
        self.values[channel.name] = channel
        self.channels[channel.name] = self._add(channel.name, ())

    def add_label(self, label: str) -> None:
        """Give a label a pool. O(groups + agents)."""
        self.core.add_pool()
        self.pools.append((True, label))

    def _add(self, channel: str, labels: tuple[str, ...]) -> int:
        value, known = self.values[channel], self.labels
        pools = [self._pool(channel), *(known[label] for label in labels)]
        number = self.core.add_channel(value.load, pools, flags_of(value))
        self.kinds.append((channel, labels))
        self.numbers[channel, labels] = number
        self.mixes.append((_ALL_POOLS, 0))
        return number

    def number(self, channel: str, labels: tuple[str, ...], groups: int) -> int:
        """The core's channel of a channel with labels; a new one is told to ``groups`` groups. O(1) when known."""
        found = self.numbers.get((channel, labels))
        if found is None:
            found = self._add(channel, labels)
            self.tell(groups)
        return found

    def is_full(self, channel: str, labels: tuple[str, ...]) -> bool:
        """Whether the core has no room for one more channel, and this one would be new. O(1)."""
        return (channel, labels) not in self.numbers and len(self.kinds) >= limits.CHANNELS_MAX

    def tell(self, groups: int) -> None:
        """Tell the first ``groups`` groups what may be held beside each channel, where it changed. O(changes)."""
        for number, (channel, _) in enumerate(self.kinds):
            mix = self._mix(channel)
            if mix != self.mixes[number]:
                self.mixes[number] = mix
                for group in range(groups):
                    self.core.set_mix(group, number, *mix)

    def tell_group(self, group: int) -> None:
        """Tell a new group everything. O(channels)."""
        for number, mix in enumerate(self.mixes):
            if mix != (_ALL_POOLS, 0):
                self.core.set_mix(group, number, *mix)

    def _mix(self, channel: str) -> tuple[int, int]:
        """Bitmaps of pools: in which something may be when a channel comes, and what gives way to it."""
        allow, interrupts = _ALL_POOLS, 0
        for pool, (label, name) in enumerate(self.pools):
            held = None if label else self.values[name]
            if held is None:
                continue
            if held.allows is not None and channel not in (name, *held.allows):
                allow &= ~(1 << pool)
            if channel in held.interrupted_by:
                interrupts |= 1 << pool
        return allow, interrupts

    def at_most(self, agent: Agent) -> list[int]:
        """The most interactions of each pool at one time. O(pools)."""
        named = {False: agent.at_most, True: agent.label_at_most}
        return [named[label].get(name, limits.UNITS_MAX) for label, name in self.pools]

    def held(self, counts: list[int]) -> dict[str, int]:
        """How many of each channel an agent holds, of the counts by pool that the core gives. O(pools)."""
        return {name: count for (label, name), count in zip(self.pools, counts, strict=True) if not label}

    def fork(self, core: Core) -> Capacity:
        """The same names over a copy of the core. O(channels + pools)."""
        other = Capacity(core)
        for name, value in vars(self).items():
            if name != "core":
                setattr(other, name, value.copy())
        return other
