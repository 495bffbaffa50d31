"""Values of the configuration: overrides as they are written, tables laid over tables, what type a key has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["ConfigProblem", "check", "dotted", "flattened", "laid_over", "parse_override", "place_of"]

Checked = dict[str, "Callable[[str, Any], None]"]

MAX_DEPTH: Final = 64
"""How deep tables are laid over each other: deeper ones are replaced as a whole."""

SANDBOX_MODES: Final = ("read-only", "workspace-write", "danger-full-access")
"""The sandbox modes, in the order in which 0.169.0 names them."""
APPROVAL_POLICIES: Final = ("untrusted", "on-failure", "on-request", "granular", "never")
"""The approval policies of a configuration, in the order in which 0.169.0 names them."""
REVIEWERS: Final = ("user", "auto_review", "guardian_subagent")
"""Who approves."""
SUMMARIES: Final = ("auto", "concise", "detailed", "none")
"""How reasoning is summed up."""
VERBOSITIES: Final = ("low", "medium", "high")
"""How much a model says."""
PERSONALITIES: Final = ("none", "friendly", "pragmatic")
"""How a model sounds."""


class ConfigProblem(ValueError):
    """A configuration cannot be used as it stands; its text says why, where clients know it in the words of 0.169.0."""


def parse_override(key: str, value: str) -> tuple[str, Any]:
    """One ``--config key=value``: the value as TOML, and as the text that it is where it is no TOML.

    Args:
        key: A dotted key.
        value: What follows the first ``=``.
    """
    import tomllib

    try:
        return key.strip(), tomllib.loads(f"_x_ = {value.strip()}")["_x_"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        # As the real command line: `model=o3` needs no quotes (0.169.0 observed, also for `model=[1`).
        return key.strip(), value.strip().strip("\"'")


def dotted(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Keys with dots as tables within tables; the last value of a key counts."""
    tables: dict[str, Any] = {}
    for key, value in values:
        table = tables
        *parents, last = key.split(".")
        for parent in parents[:MAX_DEPTH]:
            inner = table.get(parent)
            if not isinstance(inner, dict):
                inner = table[parent] = {}
            table = inner
        known = table.get(last)
        table[last] = laid_over(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return tables


def laid_over(base: Mapping[str, Any], upper: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """The tables of ``base`` with those of ``upper`` over them: tables are joined, everything else is replaced."""
    joined = dict(base)
    for key, value in upper.items():
        known = joined.get(key)
        if isinstance(known, dict) and isinstance(value, dict) and depth < MAX_DEPTH:
            joined[key] = laid_over(known, value, depth + 1)
        else:
            joined[key] = value
    return joined


def flattened(values: Any, prefix: str = "", depth: int = 0) -> list[str]:
    """The dotted names of every value that is not a table or an array, as ``origins`` of ``config/read`` name them."""
    if isinstance(values, dict):
        inner: Iterable[tuple[str, Any]] = values.items()
    elif isinstance(values, list):
        inner = ((str(index), value) for index, value in enumerate(values))
    else:
        return [prefix]
    if depth >= MAX_DEPTH:
        return []
    names: list[str] = []
    for key, value in inner:
        names += flattened(value, f"{prefix}.{key}" if prefix else key, depth + 1)
    return names


def place_of(text: str, key: str) -> str:
    """``line:column`` of the value of a key of the top level, as errors name it; empty where it was not found."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("["):
            break
        found = re.match(rf"\s*{re.escape(key)}\s*=\s*", line)
        if found is not None:
            return f"{number}:{found.end() + 1}"
    return ""


def check(values: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """See that the keys that are read have values of their type.

    Args:
        values: A configuration, or a layer of one.
        where: What stands around a message about a key: it is given the key and has one ``%s``.

    Raises:
        ConfigProblem: With the text of 0.169.0.
    """
    if "profile" in values:
        raise ConfigProblem(
            f'legacy `profile = "{values["profile"]}"` config is no longer supported; '
            f"use `--profile {values['profile']}` with `{values['profile']}.config.toml` instead"
        )
    for key, of_type in _CHECKS.items():
        if key in values:
            try:
                of_type(key, values[key])
            except ConfigProblem as problem:
                raise ConfigProblem(where(key).replace("%s", str(problem), 1)) from None


def _said(value: Any) -> str:
    """A value in the words of Rust's decoder."""
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    if isinstance(value, str):
        return f'string "{value}"'
    return "sequence" if isinstance(value, list) else "map"


def _text(_key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ConfigProblem(f"invalid type: {_said(value)}, expected a string")


def _integer(_key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigProblem(f"invalid type: {_said(value)}, expected i64")


def _table(_key: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise ConfigProblem(f"invalid type: {_said(value)}, expected a map")


def _one_of(variants: tuple[str, ...]) -> Callable[[str, Any], None]:
    def check_variant(key: str, value: Any) -> None:
        _text(key, value)
        if value not in variants:
            known = ", ".join(f"`{variant}`" for variant in variants)
            raise ConfigProblem(f"unknown variant `{value}`, expected one of {known}")

    return check_variant


def _approval(key: str, value: Any) -> None:
    if not isinstance(value, dict):
        _one_of(APPROVAL_POLICIES)(key, value)
        if value == "untrusted":
            raise ConfigProblem('approval_policy = "untrusted" is no longer supported; remove this setting')
        return
    granular = value.get("granular")
    if len(value) != 1 or not isinstance(granular, dict):
        known = ", ".join(f"`{variant}`" for variant in APPROVAL_POLICIES)
        raise ConfigProblem(f"unknown variant `{next(iter(value), '')}`, expected one of {known}")
    for needed in ("sandbox_approval", "rules", "mcp_elicitations"):
        if needed not in granular:
            raise ConfigProblem(f"missing field `{needed}`")


_CHECKS: Final[Checked] = {
    "model": _text,
    "model_provider": _text,
    "approval_policy": _approval,
    "approvals_reviewer": _one_of(REVIEWERS),
    "sandbox_mode": _one_of(SANDBOX_MODES),
    "sandbox_workspace_write": _table,
    "default_permissions": _text,
    "model_reasoning_effort": _text,
    "model_reasoning_summary": _one_of(SUMMARIES),
    "model_verbosity": _one_of(VERBOSITIES),
    "personality": _one_of(PERSONALITIES),
    "service_tier": _text,
    "model_context_window": _integer,
    "model_auto_compact_token_limit": _integer,
    "compact_prompt": _text,
    "developer_instructions": _text,
    "instructions": _text,
    "model_instructions_file": _text,
    "model_catalog_json": _text,
    "experimental_compact_prompt_file": _text,
    "openai_base_url": _text,
    "cli_auth_credentials_store": _text,
    "thread_unload_delay_secs": _integer,
    "project_doc_max_bytes": _integer,
    "model_providers": _table,
    "projects": _table,
    "permissions": _table,
    "features": _table,
}
"""The keys that threadkeep reads, each with the check of its value. Every other key is let be."""
