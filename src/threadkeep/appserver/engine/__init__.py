"""What runs turns: the protocol of engines, and the built-in one that calls a Responses API."""

from __future__ import annotations

from threadkeep.appserver.engine._outputs import as_loaded
from threadkeep.appserver.engine._protocol import (
    Compacted,
    Compacting,
    Engine,
    EngineFailure,
    Event,
    ItemDone,
    ItemStarted,
    Retrying,
    RunningTurn,
    SummaryDelta,
    SummaryPart,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    ToolResult,
    TurnSettings,
    Usage,
)

__all__ = [
    "Compacted",
    "Compacting",
    "Engine",
    "EngineFailure",
    "Event",
    "ItemDone",
    "ItemStarted",
    "Retrying",
    "RunningTurn",
    "SummaryDelta",
    "SummaryPart",
    "TextDelta",
    "ThoughtDelta",
    "ToolCall",
    "ToolResult",
    "TurnSettings",
    "Usage",
    "as_loaded",
]
