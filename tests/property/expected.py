"""What the oracles say of a family: naive, forwards, over plain lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.oracle import context as oracle
from tests.oracle import turns_legacy, turns_paginated

from threadkeep.records import LEGACY, PAGINATED

if TYPE_CHECKING:
    from tests.property.lineages import Family

Json = dict[str, Any]


# --- the model context -----------------------------------------------------------------------------------------------


def context(family: Family) -> Json:
    """The model context, settings and usage of the thread, as values."""
    segments = [[record for record in segment[1:] if oracle.counts(record)] for segment in family.records()]
    root = segments.pop(0) if family.modes[0] == LEGACY else []
    records = root + oracle.lineage(segments)
    mode = _deciding_mode(family, [root, *segments] if family.modes[0] == LEGACY else segments)
    found = oracle.reconstruct(records, mode, family.records()[-1][0]["payload"])
    known = [
        (item, metadata)
        for item, metadata in zip(found.history, found.history_metadata, strict=True)
        if item["type"] in oracle._KNOWN_ITEMS  # items of unknown type are never sent to a model
    ]
    return {
        "items": [_with_header(item) for item, _ in known],
        "metadata": [metadata for _, metadata in known],
        "window": [found.window.number, found.window.first_id, found.window.previous_id, found.window.id],
        "last started": found.last_started_turn_id,
        "previous settings": found.previous_turn_settings,
        "reference": found.reference_context,
        "world": found.world_state,
        "settings": _newest_settings(records),
        "usage": _newest_usage(records),
    }


def _deciding_mode(family: Family, segments: list[list[Json]]) -> str:
    """Of a lineage of both modes: that of the rollout with the newest compaction, which decides what bounds replay."""
    for mode, segment in zip(reversed(family.modes), reversed(segments), strict=True):
        shown = (
            segment if mode == LEGACY else oracle.lineage([segment])
        )  # what a second session_meta hides says nothing
        if any(record["type"] == "compacted" for record in shown):
            return mode
    return family.modes[-1]


def _with_header(item: Json) -> Json:
    """The oracle holds a placeholder where the header of an encrypted communication stands."""
    content = item.get("content") or [{}]
    if item["type"] != "agent_message" or not content[0].get("text", "").startswith(oracle.INTER_AGENT_HEADER):
        return item
    _, kind, task, sender = content[0]["text"].split()
    header = f"Message Type: {kind}\nTask name: {task}\nSender: {sender}\nPayload:\n"
    return {**item, "content": [{**content[0], "text": header}, *content[1:]]}


def _newest_settings(records: list[Json]) -> Any:
    """The newest settings that stand anywhere: threadkeep looks further back than Codex does."""
    for record in reversed(records):
        if record["type"] == "turn_context":
            return record["payload"]
        if record["type"] == "event_msg" and record["payload"]["type"] == "thread_settings_applied":
            return record["payload"]["thread_settings"]
    return None


def _newest_usage(records: list[Json]) -> Any:
    counts = [record["payload"] for record in records if record["payload"].get("type") == "token_count"]
    infos = [payload["info"] for payload in counts if payload.get("info") is not None]
    return infos[-1] if infos else None


# --- turns and items -------------------------------------------------------------------------------------------------


def _segments(family: Family) -> list[Json]:
    """The paginated rollouts; ordinals that repeat or are missing hide nothing, so they are counted anew."""
    made: list[Json] = []
    ordinal = 0
    for mode, segment in zip(family.modes, family.records(), strict=True):
        if mode != PAGINATED:
            continue
        first = segment[0]["payload"]
        base = {"history_base": {"end_ordinal_exclusive": ordinal}} if made else {"history_base": None}
        renamed = [{**segment[0], "payload": {**first, **base}}, *segment[1:]]
        made.append({"records": [(0, {**record, "ordinal": ordinal + n}) for n, record in enumerate(renamed)]})
        ordinal += len(renamed)
    return made


def _as_it_stands(record: Json) -> Json:
    """A record without the envelope that `lineages.decoded` gave to a line that has none."""
    return record if record["timestamp"] else record["payload"]


def turns(family: Family, view: str) -> list[Json]:
    """The turns of the thread, oldest first: those of the legacy root, then those of the paginated rollouts."""
    found: list[Json] = []
    if family.modes[0] == LEGACY:
        made = turns_legacy.legacy_turns([(0, _as_it_stands(record)) for record in family.records()[0]])
        narrowed = {"summary": turns_legacy.summary_view, "notLoaded": turns_legacy.not_loaded_view}
        found += narrowed[view](made) if view in narrowed else made
    segments = _segments(family)
    if segments:
        listed = {
            "full": turns_paginated.list_turns,
            "summary": turns_paginated.list_summaries,
            "notLoaded": turns_paginated.list_not_loaded,
        }
        found += listed[view](segments)
    return found


def items(family: Family) -> list[Json]:
    """The items of a paginated thread, oldest first."""
    return turns_paginated.list_items(_segments(family))
