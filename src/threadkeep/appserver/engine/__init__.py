"""What runs turns: the protocol of engines, and the built-in one that calls a Responses API."""

from __future__ import annotations

from threadkeep.appserver.engine._outputs import OUTPUTS, as_loaded, output_item
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
from threadkeep.appserver.engine._sent import is_known

__all__ = [
    "OUTPUTS",
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
    "is_known",
    "output_item",
]
