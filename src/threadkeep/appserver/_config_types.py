"""What the keys of a configuration may hold: those that threadkeep reads. Every other key is let be.

The types, and so the texts of what is wrong, are those of parameters; both are serde's in the real server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver._config_values import ConfigProblem
from threadkeep.appserver._param_types import (
    BOOL,
    EFFORT,
    GRANULAR,
    I64,
    PATH,
    STRING,
    U64,
    USIZE,
    Mismatch,
    Struct,
    array,
    defaulted,
    enum,
    mapping,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from threadkeep.appserver._param_types import Type

__all__ = ["PROVIDER", "check"]


def check(values: Mapping[str, Any], where: Callable[[Sequence[str], str], str]) -> None:
    """See that the keys that are read have values of their type.

    Args:
        values: A configuration, or a layer of one.
        where: Says where it is, of the names that lead to a value and of what is wrong with it.

    Raises:
        ConfigProblem: With the text of 0.169.0.
    """
    if "profile" in values:
        raise ConfigProblem(
            f'legacy `profile = "{values["profile"]}"` config is no longer supported; '
            f"use `--profile {values['profile']}` with `{values['profile']}.config.toml` instead"
        )
    try:
        _CONFIG.members(dict(values))
    except Mismatch as wrong:
        raise ConfigProblem(where(wrong.place, str(wrong))) from None


def _choice(words: str, **payloads: Type) -> Type:
    """One of some words, as TOML is read."""
    chosen = enum(words, payloads=payloads)

    def choose(value: Any) -> Any:
        if not isinstance(value, (str, dict)):
            raise Mismatch("wanted string or table")
        return chosen(value)

    return choose


def _wire(value: Any) -> Any:
    if value == "chat":
        raise Mismatch(
            '`wire_api = "chat"` is no longer supported.\n'
            'How to fix: set `wire_api = "responses"` in your provider config.'
        )
    return _choice("responses")(value)


_approvals: Final = _choice("untrusted on-failure on-request granular never", granular=GRANULAR)


def _approval(value: Any) -> Any:
    if value == "untrusted":
        raise Mismatch('approval_policy = "untrusted" is no longer supported; remove this setting')
    return _approvals(value)


PROVIDER: Final = Struct(
    "ModelProviderInfo",
    defaulted("name", STRING),
    defaulted("base_url", STRING),
    defaulted("env_key", STRING),
    defaulted("env_key_instructions", STRING),
    defaulted("experimental_bearer_token", STRING),
    defaulted("http_headers", mapping(STRING)),
    defaulted("env_http_headers", mapping(STRING)),
    defaulted("query_params", mapping(STRING)),
    defaulted("request_max_retries", U64),
    defaulted("stream_max_retries", U64),
    defaulted("stream_idle_timeout_ms", U64),
    defaulted("wire_api", _wire),
    defaulted("requires_openai_auth", BOOL),
    defaulted("supports_websockets", BOOL),
)
"""A table of ``model_providers``."""

_WORKSPACE: Final = Struct(
    "SandboxWorkspaceWrite",
    defaulted("writable_roots", array(PATH)),
    defaulted("network_access", BOOL),
    defaulted("exclude_tmpdir_env_var", BOOL),
    defaulted("exclude_slash_tmp", BOOL),
)
_PROFILE: Final = Struct("PermissionProfileToml", defaulted("filesystem", Struct("FilesystemPermissionsToml")))

_CONFIG: Final = Struct(
    "ConfigToml",
    defaulted("model", STRING),
    defaulted("model_provider", STRING),
    defaulted("approval_policy", _approval),
    defaulted("approvals_reviewer", _choice("user auto_review guardian_subagent")),
    defaulted("sandbox_mode", _choice("read-only workspace-write danger-full-access")),
    defaulted("sandbox_workspace_write", _WORKSPACE),
    defaulted("default_permissions", STRING),
    defaulted("model_reasoning_effort", EFFORT),
    defaulted("model_reasoning_summary", _choice("auto concise detailed none")),
    defaulted("model_verbosity", _choice("low medium high")),
    defaulted("personality", _choice("none friendly pragmatic")),
    defaulted("service_tier", STRING),
    defaulted("model_context_window", I64),
    defaulted("model_auto_compact_token_limit", I64),
    defaulted("compact_prompt", STRING),
    defaulted("developer_instructions", STRING),
    defaulted("instructions", STRING),
    defaulted("model_instructions_file", STRING),
    defaulted("model_catalog_json", STRING),
    defaulted("experimental_compact_prompt_file", STRING),
    defaulted("openai_base_url", STRING),
    defaulted("cli_auth_credentials_store", STRING),
    defaulted("thread_unload_delay_secs", U64),
    defaulted("project_doc_max_bytes", USIZE),
    defaulted("model_providers", mapping(PROVIDER)),
    defaulted("projects", mapping(Struct("ProjectConfig", defaulted("trust_level", _choice("trusted untrusted"))))),
    defaulted("permissions", mapping(_PROFILE)),
    defaulted("features", Struct("FeaturesToml")),
)
