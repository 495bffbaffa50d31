"""Records: one line of a rollout each, its payload kept as bytes until somebody needs it.

Layer 2. Knows errors and ids. Nothing here opens a file: bytes come through a `Source`.
"""

from threadkeep.records._cost import Cost
from threadkeep.records._encode import encode_json, encode_record
from threadkeep.records._head import Head, read_head
from threadkeep.records._payloads import (
    Boundary,
    Compacted,
    GitInfo,
    HistoryBase,
    ItemCompleted,
    ItemCompletedHead,
    ResumeMetadata,
    RolledBack,
    SessionMeta,
    TaskComplete,
    TaskStarted,
    ThreadSettings,
    ThreadSettingsApplied,
    TokenCount,
    TokenUsage,
    TokenUsageInfo,
    TurnAborted,
    TurnContext,
    WorldState,
    present,
)
from threadkeep.records._policy import LEGACY, PAGINATED, is_persisted
from threadkeep.records._record import EMPTY_RAW, Record, decode_strict, is_utf8, record_of, records_of
from threadkeep.records._scan import (
    BLOCK_BYTES,
    MAX_RECORD_BYTES,
    Source,
    committed_end,
    lines_backward,
    lines_forward,
)

__all__ = [
    "BLOCK_BYTES",
    "EMPTY_RAW",
    "LEGACY",
    "MAX_RECORD_BYTES",
    "PAGINATED",
    "Boundary",
    "Compacted",
    "Cost",
    "GitInfo",
    "Head",
    "HistoryBase",
    "ItemCompleted",
    "ItemCompletedHead",
    "Record",
    "ResumeMetadata",
    "RolledBack",
    "SessionMeta",
    "Source",
    "TaskComplete",
    "TaskStarted",
    "ThreadSettings",
    "ThreadSettingsApplied",
    "TokenCount",
    "TokenUsage",
    "TokenUsageInfo",
    "TurnAborted",
    "TurnContext",
    "WorldState",
    "committed_end",
    "decode_strict",
    "encode_json",
    "encode_record",
    "is_persisted",
    "is_utf8",
    "lines_backward",
    "lines_forward",
    "present",
    "read_head",
    "record_of",
    "records_of",
]
