"""The newest settings and the newest token usage: what goes with a context, wherever it begins."""

from __future__ import annotations

from typing import Final

import msgspec

from threadkeep.records import Record, TaskStarted, ThreadSettingsApplied, TokenCount, TokenUsageInfo, TurnContext
from threadkeep.replay._starts import STARTS

__all__ = ["Latest", "decode_usage", "stated_settings"]

decode_usage: Final = msgspec.json.Decoder(TokenUsageInfo).decode
"""What `Latest.usage` says."""


class Latest:
    """What the newest records state that can state it, while records come in newest first.

    Attributes:
        settings: Payload of a ``turn_context``, or settings of a ``thread_settings_applied``; None: none was met.
        applied: Settings of the newest ``thread_settings_applied``, which says more than a ``turn_context``; None: none
            was met.
        usage: ``info`` of a ``token_count`` that has one; None: none was met.
        usage_turn: The turn that the usage was counted in; None: its beginning was not met.
    """

    def __init__(self) -> None:
        self.settings: msgspec.Raw | None = None
        self.applied: msgspec.Raw | None = None
        self.usage: msgspec.Raw | None = None
        self.usage_turn: str | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.settings is not None and self.usage is not None

    def take(self, record: Record) -> None:
        """Take the next older record, of any kind."""
        if record.subtype == "token_count":
            if self.usage is None:
                self.usage = _stated_usage(record)
        elif record.subtype in STARTS:
            if self.usage is not None and self.usage_turn is None:
                started = record.view(TaskStarted)
                self.usage_turn = started.turn_id if started is not None else None
        elif record.subtype == "thread_settings_applied":
            if self.applied is None:
                self.applied = stated_settings(record)
                self.settings = self.settings or self.applied
        elif self.settings is None and record.kind == "turn_context":
            self.settings = stated_settings(record)


class _TokenInfo(msgspec.Struct):
    info: msgspec.Raw


class _SettingsRaw(msgspec.Struct):
    thread_settings: msgspec.Raw


def _stated_usage(record: Record) -> msgspec.Raw | None:
    """The ``info`` of a ``token_count``; None where it has none."""
    view = record.view(TokenCount)
    if view is None or view.info is None:
        return None
    raw = record.view(_TokenInfo)
    return raw.info if raw is not None else None


def stated_settings(record: Record) -> msgspec.Raw | None:
    """The settings that a ``thread_settings_applied`` or a ``turn_context`` states; None where it does not count."""
    if record.kind == "turn_context":
        context = record.view(TurnContext)
        return record.payload if context is not None and context.counts else None
    if record.view(ThreadSettingsApplied) is None:
        return None
    raw = record.view(_SettingsRaw)
    return raw.thread_settings if raw is not None else None
