"""What an engine is told of a turn: the thread's settings, the configuration, and what is known of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver.engine import TurnSettings

if TYPE_CHECKING:
    from threadkeep.appserver._loaded import LoadedThread

__all__ = ["INSTRUCTIONS", "turn_settings"]

INSTRUCTIONS: Final = (
    "You are an assistant that people talk to through a program which keeps the conversation. You have no shell and "
    "no files; where tools are listed, they are the program's, and you may call them. Answer in plain words, be exact, "
    "and say so when you do not know."
)
"""What the model is told first in a thread that has no instructions of its own."""

_OUTPUT_TOKENS: Final = 12_000
"""How many tokens of one output of a tool a model of the catalog is shown (0.169.0 observed)."""


def turn_settings(thread: LoadedThread, *, output_schema: Any = None, service_tier: str | None = None) -> TurnSettings:
    """The settings of a turn that begins.

    Args:
        thread: The thread; it has a rollout.
        output_schema: JSON schema of the final answer, or None.
        service_tier: The tier of this turn alone; None for that of the thread.

    Raises:
        ConfigProblem: The provider is not known.
    """
    config, settings = thread.server.config, thread.settings
    model = config.known_model(settings.model)
    known = bool(model.name)
    return TurnSettings(
        model=settings.model,
        provider=config.provider(settings.model_provider),
        instructions=_instructions(thread),
        effort=settings.effort or (model.default_effort if known else None),
        summary=settings.summary or (model.summary if known else None),
        verbosity=config.verbosity or model.verbosity,
        service_tier=service_tier or settings.service_tier,
        output_schema=output_schema,
        tools=thread.dynamic_tools,
        context_window=config.context_window(settings.model),
        compact_limit=config.compact_limit(settings.model),
        compact_prompt=config.compact_prompt,
        output_tokens=_OUTPUT_TOKENS if known else None,
    )


def _instructions(thread: LoadedThread) -> str:
    """What the model is told first: as a client or the configuration says, as the records say, else our own words."""
    return thread.settings.base_instructions or thread.server.store.base_instructions(thread.id) or INSTRUCTIONS
