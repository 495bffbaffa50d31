"""For random histories: what the next turn starts with is what the oracle says, whichever way it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from tests.property.answers import small_bounds
from tests.property.lineages import Family, lineages
from tests.property.promises import context_is_the_same_every_way

from threadkeep.records import LEGACY, PAGINATED

if TYPE_CHECKING:
    from tests.property.lineages import Rollout


@pytest.mark.usefixtures("_placeholders")
@given(rollouts=lineages(PAGINATED, LEGACY, "mixed"))
def test_bounded_replay_is_full_replay_is_the_oracle(rollouts: list[Rollout]) -> None:
    with small_bounds():
        context_is_the_same_every_way(Family(rollouts))
