"""The numbers by which a simulated machine tells its files apart.

Those of the disk below would differ from run to run: which number a new file gets there depends on what else the disk
holds. Like there, the number of what is gone for good is given again, and to the next file that is made.
"""

from __future__ import annotations

import os
import stat
from collections import Counter

__all__ = ["Inodes"]


class Inodes:
    """Numbers of files and folders by what the disk below calls them."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._free: list[int] = []
        self._open: Counter[int] = Counter()
        self._newest = 0

    def made(self, facts: os.stat_result) -> None:
        """A file or folder was made."""
        if self._free:
            number = self._free.pop()
        else:
            self._newest += 1
            number = self._newest
        self._numbers[facts.st_dev, facts.st_ino] = number

    def gone(self, facts: os.stat_result) -> None:
        """The last name of a file, or a folder, was removed; one that a client has open keeps its number for good."""
        number = self._numbers.pop((facts.st_dev, facts.st_ino), None)
        if number is not None and not self._open[number]:
            self._free.append(number)

    def opened(self, facts: os.stat_result) -> int:
        """A client opened a file; its number."""
        number = self._of(facts)
        self._open[number] += 1
        return number

    def closed(self, number: int) -> None:
        """A client closed a file."""
        self._open[number] -= 1

    def _of(self, facts: os.stat_result) -> int:
        if (facts.st_dev, facts.st_ino) not in self._numbers:
            self.made(facts)
        return self._numbers[facts.st_dev, facts.st_ino]

    def shown(self, facts: os.stat_result) -> os.stat_result:
        """The facts of a file as the machine has them: its number, and no time but that of the machine's clock."""
        changed = 0 if stat.S_ISDIR(facts.st_mode) else facts.st_mtime_ns
        seconds = changed // 1_000_000_000
        return os.stat_result(
            (*facts[:1], self._of(facts), 1, *facts[3:7], seconds, seconds, seconds),
            {"st_atime_ns": changed, "st_mtime_ns": changed, "st_ctime_ns": changed},
        )
