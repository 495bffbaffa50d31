"""What several tests share: sources of bytes, records by hand, homes with a clock that stands still."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from threadkeep.records import Cost
from threadkeep.replay._totals import Totals, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.lineage import Segment
    from threadkeep.records import Boundary, HistoryBase, Source

Json = dict[str, Any]


class BytesSource:
    """Bytes as a source."""

    def __init__(self, data: bytes, rollout_id: str = "00000000-0000-7000-8000-000000000000") -> None:
        self.data = data
        self.rollout_id = rollout_id
        self.path = None
        self.size = len(data)
        self.cost = Cost()

    def read(self, offset: int, size: int) -> bytes:
        data = self.data[offset : offset + size]
        assert len(data) == size, "read past the end"
        self.cost.bytes_read += size
        return data

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass


def dump(value: Any) -> bytes:
    """JSON as Codex formats it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class MemoryLibrary:
    """Rollouts in a dict: what a lineage and a replay need of a store, and nothing else."""

    def __init__(self) -> None:
        self.rollouts: dict[str, BytesSource] = {}
        self.anchors: dict[str, Boundary] = {}
        self.seen: list[tuple[str, str, int]] = []

    def add(self, rollout_id: str, data: bytes) -> BytesSource:
        source = self.rollouts[rollout_id] = BytesSource(data, rollout_id)
        return source

    def sources(self, rollout_id: str, cost: Cost) -> Iterator[BytesSource]:
        if rollout_id in self.rollouts:
            source = self.rollouts[rollout_id]
            source.cost = cost
            yield source

    def anchored(self, child: str) -> Boundary | None:
        return self.anchors.get(child)

    def first_seen(self, child: str, base: HistoryBase, source: Source, end: int) -> None:
        self.seen.append((child, base.thread_id, end))

    def of(self, segment: Segment) -> Totals:
        return count(segment, Totals(0), segment.end, Cost())
