"""What is known of models: their reasoning efforts, windows and tiers (0.169.0 observed, offline)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["DEFAULT_MODEL", "EFFECTIVE_PERCENT", "MODELS", "UNKNOWN", "Model", "catalog_of_file", "known_model"]

DEFAULT_MODEL: Final = "gpt-6.1-sol"
"""The model where nothing says another."""
EFFECTIVE_PERCENT: Final = 95
"""How much of a model's window counts as usable."""
MAX_CATALOG_MODELS: Final = 1000
"""How many models of a catalog file are looked at."""

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max", "ultra")
_FAST: Final = "priority"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one model.

    Attributes:
        id: Its name in requests.
        name: Its name for people; empty for a model that no catalog has.
        description: A line about it.
        efforts: Reasoning efforts that it takes, least first.
        default_effort: The effort where none is said.
        window: Tokens of its context window.
        tiers: Service tiers that it has, beside ``default`` and ``flex``.
        default_tier: The tier where none is said; None for the provider's.
        verbosity: How much it says where nothing else is asked; None where it has no such setting.
        summary: How its reasoning is summed up where nothing is said.
        multi_agent: Version of agents' collaboration; None where it is not said.
        comp_hash: Which models can go on with whose encrypted reasoning: the ``comp_hash`` of a ``turn_context``.
        specialty: What it is specialised in; None for everything.
        upgrade: The model that is meant to replace it.
        modalities: What it takes.
        hidden: Whether lists leave it out unless asked.
    """

    id: str
    name: str
    description: str = ""
    efforts: tuple[str, ...] = _EFFORTS
    default_effort: str = "medium"
    window: int = 272_000
    tiers: tuple[str, ...] = (_FAST,)
    default_tier: str | None = None
    verbosity: str | None = "low"
    summary: str = "none"
    multi_agent: str | None = "v2"
    comp_hash: str | None = "3000"
    specialty: str | None = None
    upgrade: str | None = None
    modalities: tuple[str, ...] = ("text", "image")
    hidden: bool = False


MODELS: Final = (
    Model(id="gpt-6.1-sol", name="GPT-6.1-Sol", description="For everyday work", default_effort="low"),
    Model(id="gpt-6-astra", name="GPT-6-Astra", description="For the hardest work", default_effort="low"),
    Model(id="gpt-6-sol", name="GPT-6-Sol", description="The everyday model before 6.1", default_tier=_FAST),
    Model(id="gpt-6-luna", name="GPT-6-Luna", description="Small and quick", efforts=_EFFORTS[:5], default_tier=_FAST),
    Model(
        id="gpt-5.6-sol", name="GPT-5.6-Sol", description="Of an older line", default_effort="low", upgrade="gpt-6-sol"
    ),
    Model(
        id="gpt-6.1-terra",
        name="GPT-6.1 Terra",
        description="With a wide context window",
        default_effort="low",
        window=500_000,
    ),
    Model(id="gpt-5.6-terra", name="GPT-5.6-Terra", description="Of an older line", upgrade="gpt-6-sol"),
    Model(
        id="gpt-5.6-luna",
        name="GPT-5.6-Luna",
        description="Of an older line, small and quick",
        efforts=_EFFORTS[:5],
        multi_agent="v1",
        upgrade="gpt-6-luna",
    ),
    Model(
        id="gpt-daybreak-blue-latest",
        name="Daybreak Blue",
        description="For defence against attacks",
        default_effort="low",
        tiers=(),
        specialty="cyber",
        hidden=True,
    ),
    Model(
        id="gpt-daybreak-red-latest",
        name="Daybreak Red",
        description="For tests by attack",
        window=372_000,
        tiers=(),
        verbosity="high",
        specialty="cyber",
        hidden=True,
    ),
    Model(
        id="gpt-5.5",
        name="GPT-5.5",
        description="Of an older line",
        efforts=_EFFORTS[:4],
        multi_agent=None,
        comp_hash="2911",
        upgrade="gpt-6-sol",
    ),
    Model(
        id="codex-auto-review",
        name="Codex Auto Review",
        description="Judges what asks for approval",
        efforts=_EFFORTS[:5],
        multi_agent="v1",
        hidden=True,
    ),
)
"""The models of the catalog, in its order."""

UNKNOWN: Final = Model(
    id="",
    name="",
    description="Named by the configuration",
    efforts=("low", "medium", "high"),
    tiers=(),
    verbosity=None,
    summary="auto",
    multi_agent=None,
    comp_hash=None,
)
"""What is taken for granted of a model that no catalog knows."""


def known_model(model: str, models: tuple[Model, ...] = MODELS) -> Model:
    """What is known of a model; `UNKNOWN` with its id, and without a name, where nothing is."""
    found = next((entry for entry in models if entry.id == model), None)
    return found if found is not None else msgspec.structs.replace(UNKNOWN, id=model)


def catalog_of_file(data: bytes) -> tuple[Model, ...] | None:
    """The models of a catalog file (``model_catalog_json``): ``{"models": [...]}``; None where it is none.

    Of each model its ``slug``, ``display_name``, ``description``, ``supported_reasoning_levels``,
    ``default_reasoning_level``, ``context_window`` and ``visibility`` are read.
    """
    try:
        decoded = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    entries = decoded.get("models") if isinstance(decoded, dict) else None
    if not isinstance(entries, list):
        return None
    return tuple(
        _model_of(entry)
        for entry in entries[:MAX_CATALOG_MODELS]
        if isinstance(entry, dict) and isinstance(entry.get("slug"), str)
    )


def _model_of(entry: dict[str, Any]) -> Model:
    levels = entry.get("supported_reasoning_levels")
    efforts = tuple(
        effort
        for level in (levels if isinstance(levels, list) else [])
        if isinstance(effort := level.get("effort") if isinstance(level, dict) else level, str)
    )
    name, window = entry.get("display_name"), entry.get("context_window")
    said, effort = entry.get("description"), entry.get("default_reasoning_level")
    return msgspec.structs.replace(
        known_model(entry["slug"]),
        name=name if isinstance(name, str) else entry["slug"],
        description=said if isinstance(said, str) else "",
        efforts=efforts or UNKNOWN.efforts,
        default_effort=effort if isinstance(effort, str) else UNKNOWN.default_effort,
        window=window if isinstance(window, int) and window > 0 else UNKNOWN.window,
        hidden=entry.get("visibility", "list") != "list",
    )
