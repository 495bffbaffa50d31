"""Lists of what there is to choose from: models, permission profiles, modes of collaboration, features, skills."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from threadkeep.appserver._call import Call
    from threadkeep.appserver._config import Config, Model

__all__ = [
    "collaboration_mode_list",
    "experimental_feature_list",
    "model_list",
    "model_provider_capabilities_read",
    "permission_profile_list",
    "skills_list",
]

MAX_FOLDERS: Final = 1000
"""How many folders one request lists the skills of."""

_EFFORTS: Final = {
    "none": "No reasoning",
    "minimal": "As little reasoning as can be",
    "low": "Short reasoning, quick answers",
    "medium": "Some reasoning, for most tasks",
    "high": "Long reasoning, for hard tasks",
    "xhigh": "Very long reasoning",
    "max": "As long as reasoning can be",
    "ultra": "The longest reasoning, with helpers",
}
_TIERS: Final = {"priority": ("Fast", "Quicker answers at a higher price")}


def model_list(call: Call) -> Any:
    """The models that are known, and the configured one: a page of them, hidden ones where that is asked for."""
    from threadkeep.appserver._config import ConfigProblem
    from threadkeep.appserver._config_models import DEFAULT_MODEL, MODELS, known_model

    config = call.server.config
    try:
        models = config.models
    except ConfigProblem:
        models = MODELS  # As the real server, which lists its own where the configuration cannot be used.
    if all(model.id != config.model for model in models):
        models = (*models, known_model(config.model))
    if not call.params.get("includeHidden"):
        models = tuple(model for model in models if not model.hidden)
    default = DEFAULT_MODEL if any(model.id == DEFAULT_MODEL for model in models) else models[0].id
    rows = [_model(model, is_default=model.id == default) for model in models]
    return _page(rows, call.params, "models")


def model_provider_capabilities_read(_call: Call) -> Any:
    """What the provider does besides answering. The built-in engine asks neither for images nor for searches."""
    return {"imageGeneration": False, "webSearch": False}


def collaboration_mode_list(_call: Call) -> Any:
    """The modes of collaboration, those of 0.169.0."""
    plan = {"name": "Plan", "mode": "plan", "model": None, "reasoning_effort": "medium"}
    return {"data": [plan, {"name": "Default", "mode": "default", "model": None, "reasoning_effort": None}]}


def permission_profile_list(call: Call) -> Any:
    """The permission profiles: those built in, then the configuration's own."""
    from threadkeep.appserver._config_sandbox import BUILT_IN_PROFILES

    rows = [{"id": name, "description": None, "allowed": True} for name in BUILT_IN_PROFILES]
    own = _tables(call.server.config)
    rows += [{"id": name, "description": own[name].get("description"), "allowed": True} for name in sorted(own)]
    return _page(rows, call.params, "permission profiles")


def experimental_feature_list(call: Call) -> Any:
    """Features that can be switched: threadkeep has none."""
    return _page([], call.params, "feature flags")


def skills_list(call: Call) -> Any:
    """The skills of each folder: none, since the built-in engine has no use for them."""
    folders = call.params.get("cwds") or [call.server.config.cwd]
    return {"data": [{"cwd": folder, "skills": [], "errors": []} for folder in folders[:MAX_FOLDERS]]}


def _tables(config: Config) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in config.permissions.items() if isinstance(table, dict)}


def _model(model: Model, *, is_default: bool) -> dict[str, Any]:
    """A ``Model`` of the protocol."""
    return {
        "id": model.id,
        "model": model.id,
        "upgrade": model.upgrade,
        "upgradeInfo": None,
        "availabilityNux": None,
        "displayName": model.name or model.id,
        "description": model.description,
        "modelSpecialty": model.specialty,
        "hidden": model.hidden,
        "supportedReasoningEfforts": [
            {"reasoningEffort": effort, "description": _EFFORTS.get(effort, effort)} for effort in model.efforts
        ],
        "defaultReasoningEffort": model.default_effort,
        "inputModalities": list(model.modalities),
        "supportsPersonality": False,
        "multiAgentVersion": model.multi_agent,
        "additionalSpeedTiers": ["fast"] if "priority" in model.tiers else [],
        "serviceTiers": [_tier(tier) for tier in model.tiers],
        "defaultServiceTier": model.default_tier,
        "availableAccessPrograms": None,
        "isDefault": is_default,
    }


def _tier(tier: str) -> dict[str, str]:
    name, description = _TIERS.get(tier, (tier, ""))
    return {"id": tier, "name": name, "description": description}


def _page(rows: Sequence[Any], params: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A page of a list whose cursors are numbers: all of it unless a limit is given; a limit of 0 is one of 1.

    Raises:
        RpcError: The cursor is none, or lies behind the end; the texts of 0.169.0.
    """
    cursor, limit = params.get("cursor"), params.get("limit")
    if cursor is not None and re.fullmatch(r"\+?[0-9]{1,19}", cursor, re.ASCII) is None:
        raise _rpc.invalid(f"invalid cursor: {cursor}")
    start = int(cursor) if cursor is not None else 0
    if start > len(rows):
        raise _rpc.invalid(f"cursor {start} exceeds total {what} {len(rows)}")
    end = len(rows) if limit is None else min(start + max(limit, 1), len(rows))
    return {"data": list(rows[start:end]), "nextCursor": str(end) if end < len(rows) else None}
