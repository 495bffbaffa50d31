"""Reading a thread's items page by page costs as much as the thread has bytes, in either order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from threadkeep.bench._generate import Generated, Recipe, generate
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path

SIZE: Final = 6_000_000


@pytest.mark.parametrize(("descending", "times"), [(True, 6), (False, 12)])
@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
def test_pages_of_items_read_a_thread_a_few_times_over(
    tmp_path: Path, mode: str, *, descending: bool, times: int
) -> None:
    made = Generated()
    lines = b"".join(generate(Recipe(mode=mode, size=SIZE), made))
    folder = tmp_path / "sessions" / "2025" / "10" / "09"
    folder.mkdir(parents=True)
    (folder / f"rollout-2025-10-09T08-53-20-{made.thread_id}.jsonl").write_bytes(lines)
    with ThreadStore.open(tmp_path, durability="os") as store:
        cursor: str | None = None
        read = entries = 0
        while True:
            page = store.items(made.thread_id, cursor=cursor, limit=100, descending=descending)
            read += page.cost.bytes_read
            entries += len(page.data)
            cursor = page.next_cursor
            if cursor is None:
                break
    assert entries > 500
    assert read < times * SIZE
