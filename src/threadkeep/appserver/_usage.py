"""Token counts in the protocol's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadkeep.records import TokenUsage, TokenUsageInfo

__all__ = ["breakdown", "token_usage"]


def breakdown(usage: TokenUsage | None) -> dict[str, int]:
    """A ``TokenUsageBreakdown``."""

    def count(name: str) -> int:
        return int(getattr(usage, name, 0) or 0)

    return {
        "totalTokens": count("total_tokens"),
        "inputTokens": count("input_tokens"),
        "cachedInputTokens": count("cached_input_tokens"),
        "cacheWriteInputTokens": count("cache_write_input_tokens"),
        "outputTokens": count("output_tokens"),
        "reasoningOutputTokens": count("reasoning_output_tokens"),
    }


def token_usage(info: TokenUsageInfo) -> dict[str, Any]:
    """A ``ThreadTokenUsage``."""
    return {
        "total": breakdown(info.total_token_usage),
        "last": breakdown(info.last_token_usage),
        "modelContextWindow": info.model_context_window,
    }
