"""The time and the ids of a simulated machine."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.faults.simulation_world import World

__all__ = ["Clock", "Ids", "MachineTime", "machine_time"]

_START_MS: Final = 1_790_000_000_000
_HOUR_MS: Final = 3_600_000


class Clock:
    """The machine's clock: it goes on, stands still, or jumps, as the seed says.

    Attributes:
        ms: The time.
        still: Whether it stands.
    """

    def __init__(self, chance: random.Random) -> None:
        self.ms = _START_MS
        self.still = False
        self._chance = chance

    def now_ms(self) -> int:
        if not self.still:
            self.ms += self._chance.randint(0, 20)
        return self.ms

    def jump(self) -> None:
        """Go on, stand still, go back or go ahead."""
        self.still = self._chance.random() < 0.15
        how = self._chance.random()
        if how < 0.15:
            self.ms -= self._chance.randint(1, 48 * _HOUR_MS)
        elif how < 0.3:
            self.ms += self._chance.randint(1, 96 * _HOUR_MS)


class Ids:
    """A process's source of ids: UUIDv7, increasing, their chance the seed's."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self._last = (0, 0)

    def new(self) -> str:
        now = self._clock.now_ms()
        ms, count = (now, 0) if now > self._last[0] else (self._last[0], self._last[1] + 1)
        self._last = (ms, count)
        tail = self._chance.getrandbits(62) | 1 << 63
        digits = f"{ms:012x}7{count:03x}{tail:016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class MachineTime:
    """Stands for the module ``time`` where threadkeep waits for others: waiting lets these go on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._passed = 0.0

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self._passed += seconds
        self._world.clock.ms += int(seconds * 1000)
        self._world.let_others()

    def time_ns(self) -> int:
        return 0  # nothing was read long enough ago to be believed without a look

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextlib.contextmanager
def machine_time(world: World) -> Iterator[None]:
    """Where threadkeep waits for others, the machine's time passes."""
    from threadkeep.backends.local import _backend, _codex, _lock, _marks, _names
    from threadkeep.store import _materialize

    modules: list[Any] = [_backend, _codex, _lock, _marks, _names, _materialize]
    before = [module.time for module in modules]
    try:
        for module in modules:
            module.time = world.time
        yield
    finally:
        for module, was in zip(modules, before, strict=True):
            module.time = was
