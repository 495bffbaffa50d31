"""For random histories: what the next turn starts with is what the oracle says, whichever way it is computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from tests.property import expected
from tests.property.lineages import Family, lineages

from threadkeep.replay._replay import read_context

if TYPE_CHECKING:
    from tests.property.lineages import Rollout

Json = dict[str, Any]


def loaded(raw: Any) -> Any:
    return json.loads(bytes(raw)) if raw is not None and len(raw) else None


def context_of(family: Family, *, bounded: bool) -> Json:
    """The model context of a family's thread, as values."""
    with family.open() as lineage:
        found = read_context(lineage, family.library if bounded else None)
    window = found.window
    return {
        "items": [loaded(item.payload) for item in found.items],
        "metadata": [loaded(item.metadata) for item in found.items],
        "window": [window.number, window.first_id, window.previous_id, window.id],
        "last started": found.last_started_turn,
        "previous settings": found.previous_turn_settings,
        "reference": loaded(found.reference_context),
        "world": found.world_state,
        "settings": loaded(found.settings),
        "usage": loaded(found.usage),
    }


@pytest.mark.usefixtures("_placeholders")
@given(rollouts=lineages("paginated", "legacy", "mixed"))
def test_bounded_replay_is_full_replay_is_the_oracle(rollouts: list[Rollout]) -> None:
    family = Family(rollouts)
    full = context_of(family, bounded=False)
    assert context_of(family, bounded=True) == full
    assert full == expected.context(family)
