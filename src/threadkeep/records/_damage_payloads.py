"""Whether a record counts: its payload looked at through the typed view of its type, where it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from threadkeep.records._damage_report import printable
from threadkeep.records._items import HarnessMetadata, ResponseItem, harness_metadata, response_item
from threadkeep.records._payloads import (
    Compacted,
    InterAgentCommunication,
    ItemCompleted,
    RolledBack,
    SessionMeta,
    TaskComplete,
    TaskStarted,
    ThreadSettingsApplied,
    TokenCount,
    TurnAborted,
    TurnContext,
    WorldState,
)
from threadkeep.records._policy import LEGACY, PAGINATED, is_persisted

if TYPE_CHECKING:
    from threadkeep.records._record import Record

__all__ = ["Verdict", "judge", "misfit"]

Verdict = Literal["counts", "unknown", "misfit", "damaged"]
"""``counts``; of an ``unknown`` type, so kept and passed over; a ``misfit`` for its schema; a ``damaged`` line."""

_EVENTS: Final[dict[str, type[Any]]] = {
    "task_started": TaskStarted,
    "turn_started": TaskStarted,
    "task_complete": TaskComplete,
    "turn_complete": TaskComplete,
    "turn_aborted": TurnAborted,
    "item_completed": ItemCompleted,
    "thread_rolled_back": RolledBack,
    "thread_settings_applied": ThreadSettingsApplied,
    "token_count": TokenCount,
}
_OTHERS: Final[dict[str, type[Any]]] = {
    "session_meta": SessionMeta,
    "turn_context": TurnContext,
    "world_state": WorldState,
    "compacted": Compacted,
    "inter_agent_communication": InterAgentCommunication,
}
_STATE: Final = "state"


def judge(record: Record) -> tuple[Verdict, Any]:
    """Whether a record counts, and its view where it does and its type has one.

    Types without a view are judged by their name and by their payload being an object.
    """
    kind = record.kind
    if kind == "response_item":
        return _judge_item(record)
    shape = _EVENTS.get(record.subtype) if kind == "event_msg" else _OTHERS.get(kind)
    if shape is not None:
        view = record.view(shape)
        if view is not None and _flaw(view) is None:
            return "counts", view
        return ("misfit" if record.intact else "damaged"), None
    payload = record.payload
    if payload is None:
        return "damaged", None
    if not _is_known(record):
        return "unknown", None
    return ("counts" if _is_object(payload) else "misfit"), None


def misfit(record: Record) -> str:
    """Why the payload of a `judge`-d misfit does not fit, as a part of a sentence."""
    payload = record.payload
    assert payload is not None, "a misfit is intact"
    if record.kind == "response_item":
        return _item_misfit(record, payload)
    shape = _EVENTS.get(record.subtype) if record.kind == "event_msg" else _OTHERS.get(record.kind)
    if shape is None:
        return "its payload is no object"
    try:
        view = msgspec.json.decode(payload, type=shape)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return _reason(error)
    return _flaw(view) or "its payload does not fit"


def _judge_item(record: Record) -> tuple[Verdict, Any]:
    payload = record.payload
    if payload is None:
        return "damaged", None
    item = response_item(payload)
    if item is None:
        return "misfit", None
    try:
        harness_metadata(record.metadata)
    except ValueError:
        return "misfit", None
    return ("unknown", None) if isinstance(item, str) else ("counts", item)


def _item_misfit(record: Record, payload: msgspec.Raw) -> str:
    for raw, shape in ((payload, ResponseItem), (record.metadata, HarnessMetadata | None)):
        try:
            if len(raw) > 0:
                msgspec.json.decode(raw, type=shape)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            return _reason(error)
    return "its payload does not fit"


def _flaw(view: Any) -> str | None:
    """What a schema alone does not say about a view that fits it."""
    if isinstance(view, ItemCompleted):
        return None if _is_object(view.item) else "its item is no object"
    if isinstance(view, WorldState):
        return None if _is_object(view.state) else "its state is no object"
    if isinstance(view, TurnContext):
        return None if view.counts else "it states neither a permission profile nor a sandbox policy"
    if isinstance(view, Compacted):
        return _compaction_flaw(view)
    return None


def _compaction_flaw(view: Compacted) -> str | None:
    """Metadata stands beside a replacement history, entry for entry, and every entry fits (``storage.md`` 2.3)."""
    history, metadata = view.replacement_history, view.replacement_history_metadata
    if metadata is not None and (history is None or len(history) != len(metadata)):
        items = "no items" if history is None else f"{len(history)} items"
        return f"it holds the metadata of {len(metadata)} items beside {items}"
    for number, item in enumerate(history or (), 1):
        if response_item(item) is None:
            return f"item {number} of its replacement history does not fit its schema"
    for number, entry in enumerate(metadata or (), 1):
        try:
            if harness_metadata(entry) is None:
                return f"the metadata of item {number} of its replacement history is missing"
        except ValueError:
            return f"the metadata of item {number} of its replacement history does not fit its schema"
    return None


def _is_known(record: Record) -> bool:
    kind, subtype = record.kind, record.subtype
    return (
        (record.bare and kind == _STATE)
        or is_persisted(kind, subtype, PAGINATED)
        or is_persisted(kind, subtype, LEGACY)
    )


def _is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _reason(error: Exception) -> str:
    return printable(str(error).removeprefix("JSON is malformed: "), 200).rstrip(".")
