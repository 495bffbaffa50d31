"""Random lineages: rollouts of which each inherits from the one before, as files and as what an oracle reads."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hypothesis import strategies as st
from tests.codex.record_legacy import meta as first_record
from tests.oracle import context as oracle
from tests.property.histories import START_MS, Damage, Part, damaged, damages, disorderly, histories, lines_of, orderly
from tests.support import MemoryLibrary, dump

from threadkeep.ids import utc
from threadkeep.lineage import UNRESOLVABLE_OFFSET, UNRESOLVABLE_ORDINAL, Lineage
from threadkeep.records import LEGACY, PAGINATED, Cost

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

BOM: Final = b"\xef\xbb\xbf"


class Rollout(NamedTuple):
    """One rollout of a lineage.

    Attributes:
        mode: Its history mode.
        parts: What it holds up to where the next one begins.
        later: What was appended after that.
        damage: What happened to it before that.
        pinned: Whether the boundary above it carries threadkeep's own facts (the next rollout is a fork made by it).
    """

    mode: str
    parts: Sequence[Part]
    later: Sequence[Part] = ()
    damage: Sequence[Damage] = ()
    pinned: bool = True


def rollout_id(number: int) -> str:
    """The id of one rollout of a lineage, the root being 0."""
    return f"{START_MS >> 16:08x}-{START_MS & 0xFFFF:04x}-7000-9000-{number:012x}"


def _meta(number: int, mode: str, ordinal: int | None, **members: Any) -> Json:
    identity = rollout_id(number)
    record = first_record(
        identity, history_mode=mode, context_window={"window_id": rollout_id(900 + number)}, **members
    )
    stamp: Json = {"timestamp": utc(START_MS + number)}
    return {**stamp, **({} if ordinal is None else {"ordinal": ordinal}), **record}


class Family:
    """The rollouts of one lineage, written; the newest one is the thread's current rollout.

    Attributes:
        library: Where a lineage finds them.
        files: Their bytes up to where the next one begins, oldest first.
        modes: Their history modes.
    """

    def __init__(self, rollouts: Sequence[Rollout], **first: Any) -> None:
        self.library = MemoryLibrary()
        self.files: list[bytes] = []
        self.modes = [rollout.mode for rollout in rollouts]
        base: Json | None = None
        ordinal = 0
        for number, rollout in enumerate(rollouts):
            paginated = rollout.mode == PAGINATED
            members = {} if base is None else {"history_base": base}
            members |= first if number == len(rollouts) - 1 else {}
            lines = [dump(_meta(number, rollout.mode, ordinal if paginated else None, **members)) + b"\n"]
            lines += lines_of(rollout.parts, rollout.mode, ordinal + 1 if paginated else None)
            again = {
                "meta again": dump(_meta(number, rollout.mode, ordinal if paginated else None)) + b"\n",
                "meta of another": dump(_meta(77, rollout.mode, ordinal if paginated else None)) + b"\n",
            }
            tip = number == len(rollouts) - 1
            lines = damaged(lines, [hit for hit in rollout.damage if tip or "tail" not in hit.kind], again)
            data = b"".join(lines)
            following = max([ordinal, *(record["ordinal"] for record in decoded(data) if record.get("ordinal"))]) + 1
            later = lines_of(rollout.later, rollout.mode, following if paginated else None)
            self.library.add(rollout_id(number), data + (b"" if tip else b"".join(later)))
            self.files.append(data)
            base, ordinal = _boundary(number, rollout, data, following)

    @property
    def tip(self) -> str:
        """Id of the current rollout, and of the thread."""
        return rollout_id(len(self.files) - 1)

    @property
    def mode(self) -> str:
        """The one mode of all rollouts, or ``mixed``."""
        return self.modes[0] if len(set(self.modes)) == 1 else "mixed"

    def open(self, number: int | None = None) -> Lineage:
        """The lineage of the thread, or of one of the older ones, cut where the next one begins."""
        name = self.tip if number is None else rollout_id(number)
        source = self.library.rollouts[name]
        end = None if number is None or name == self.tip else len(self.files[number])
        return Lineage(self.library, source, name, Cost(), end=end)

    def append(self, parts: Sequence[Part]) -> None:
        """Append to the current rollout, as a writer does: a torn line is closed first."""
        source = self.library.rollouts[self.tip]
        data = source.data + (b"" if source.data.endswith(b"\n") else b"\n")
        following = max([0, *(record["ordinal"] for record in decoded(data) if record.get("ordinal"))]) + 1
        mode = self.modes[-1]
        data += b"".join(lines_of(parts, mode, following if mode == PAGINATED else None))
        self.library.add(self.tip, data)
        self.files[-1] = data

    def records(self) -> list[list[Json]]:
        """By rollout, oldest first: the records that count, the first one included."""
        return [decoded(data) for data in self.files]


def _boundary(number: int, rollout: Rollout, data: bytes, following: int) -> tuple[Json, int]:
    """(the history base of the next rollout, its first ordinal)."""
    identity, end = rollout_id(number), len(data)
    records = [record for record in decoded(data) if record.get("ordinal") is not None]
    own = {
        "end": end,
        "digest": hashlib.sha256(data[max(0, end - 4096) :]).hexdigest()[:32],
        "mode": rollout.mode,
    }
    base: Json
    if rollout.mode == LEGACY:
        base = {"end_ordinal_exclusive": UNRESOLVABLE_ORDINAL, "end_byte_offset": UNRESOLVABLE_OFFSET}
        return {"thread_id": identity, **base, "threadkeep": own}, 0
    newest = records[-1]["ordinal"] + 1 if records else following
    base = {"thread_id": identity, "end_ordinal_exclusive": newest, "end_byte_offset": end}
    known = oracle.counts(records[-1]) if records else False
    return ({**base, "threadkeep": own} if rollout.pinned or not known else base), newest


def decoded(data: bytes) -> list[Json]:
    """The records of a file, read by the oracle; lines from before the envelope are given one."""
    return [record for line in data.removeprefix(BOM).split(b"\n") if (record := _record(line)) is not None]


def _record(line: bytes) -> Json | None:
    record = oracle.decode_line(line)
    if record is not None:
        return record
    try:
        bare = json.loads(line)
    except ValueError:
        return None
    if isinstance(bare, dict) and isinstance(bare.get("type"), str) and "payload" not in bare:
        return {"timestamp": "", "type": "response_item", "payload": bare}
    return None


# --- strategies ------------------------------------------------------------------------------------------------------


def _rollouts(
    mode: str, parts: st.SearchStrategy[list[Part]], *, tip: bool, ordinals: bool
) -> st.SearchStrategy[Rollout]:
    later = st.just([]) if tip else disorderly(mode, max_size=4)
    hit = damages(mode, ordinals=ordinals, tails=tip)
    return st.builds(Rollout, st.just(mode), parts, later, hit, st.booleans())


@st.composite
def lineages(draw: st.DrawFn, *modes: str, only_orderly: bool = False, ordinals: bool = True) -> list[Rollout]:
    """The rollouts of a lineage, oldest first.

    Args:
        draw: Hypothesis draws.
        modes: Which lineages: ``paginated``, ``legacy`` (one rollout) or ``mixed`` (a legacy root).
        only_orderly: Turns as writers leave them.
        ordinals: Whether ordinals may be damaged.
    """
    mode = draw(st.sampled_from(modes))
    count = 1 if mode == LEGACY else draw(st.integers(2 if mode == "mixed" else 1, 3))
    rollouts: list[Rollout] = []
    turns = 0
    for number in range(count):
        of = LEGACY if mode == LEGACY or (mode == "mixed" and number == 0) else PAGINATED
        size = 5 if count == 1 else 3
        parts = orderly(of, first_turn=turns, max_turns=size) if only_orderly else histories(of)
        rollouts.append(draw(_rollouts(of, parts, tip=number == count - 1, ordinals=ordinals)))
        turns = max([turns, *(part.turn + 1 for part in rollouts[-1].parts)])
    return rollouts
