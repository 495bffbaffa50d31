"""``config/read`` and ``configRequirements/read``: the configuration as clients see it, without its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from threadkeep.appserver._call import Call

__all__ = ["config_read", "config_requirements_read"]

HIDDEN: Final = "[hidden]"
"""What stands where the configuration has a secret."""

MAX_DEPTH: Final = 64
"""How deep tables are shown."""

_SECRETS: Final = frozenset({"experimental_bearer_token", "bearer_token"})
"""Keys whose value is a secret."""
_SECRET_TABLES: Final = frozenset({"http_headers", "env"})
"""Tables whose values may be secrets."""

_NULLS: Final = (
    "agents allow_symlinked_codex_home analytics approval_policy approvals_reviewer apps apps_mcp_product_sku audio "
    "auto_review browser_use check_for_update_on_startup client_search_provider cloud compact_prompt computer_use "
    "daybreak default_permissions desktop developer_instructions disable_paste_burst experimental_compact_prompt_file "
    "experimental_realtime_start_instructions experimental_realtime_webrtc_call_base_url "
    "experimental_realtime_ws_backend_prompt experimental_realtime_ws_base_url experimental_realtime_ws_model "
    "experimental_realtime_ws_startup_context experimental_thread_store experimental_thread_store_endpoint "
    "experimental_use_unified_exec_tool feedback forced_chatgpt_workspace_id forced_login_method ghost_snapshot goals "
    "hooks instructions js_repl_node_module_dirs js_repl_node_path log_dir mcp_enterprise_managed_auth "
    "mcp_oauth_callback_port mcp_oauth_callback_url mcp_optional_startup_grace_ms memories model "
    "model_auto_compact_token_limit model_auto_compact_token_limit_scope model_catalog_json model_context_window "
    "model_instructions_file model_post_turn_compact_threshold_percent model_provider model_reasoning_effort "
    "model_reasoning_summary model_verbosity notice notify openai_base_url orchestrator oss_provider otel permissions "
    "personality plan_mode_reasoning_effort profile projects realtime responses_api_metadata review_model sandbox_mode "
    "sandbox_workspace_write service_tier show_raw_agent_reasoning skills sqlite_home "
    "suppress_unstable_features_warning thread_unload_delay_secs tool_output_token_limit tool_suggest tools tui "
    "web_search windows"
).split()
"""The members of a configuration that are null where it says nothing."""

_DEFAULTS: Final[dict[str, Any]] = {
    "allow_login_shell": True,
    "background_terminal_max_timeout": 300_000,
    "chatgpt_base_url": "https://chatgpt.com/backend-api/",
    "cli_auth_credentials_store": "file",
    "features": {},
    "file_opener": "vscode",
    "hide_agent_reasoning": False,
    "history": {"persistence": "save-all", "max_bytes": None},
    "include_apps_instructions": True,
    "include_collaboration_mode_instructions": True,
    "include_environment_context": True,
    "include_environment_context_time": True,
    "include_permissions_instructions": True,
    "marketplaces": {},
    "mcp_oauth_credentials_store": "auto",
    "mcp_servers": {},
    "model_providers": {},
    "plugins": {},
    "profiles": {},
    "project_doc_fallback_filenames": [],
    "project_doc_max_bytes": 32 * 1024,
    "project_root_markers": [".git"],
    "shell_environment_policy": dict.fromkeys(
        ("inherit", "ignore_default_excludes", "exclude", "set", "include_only", "filters", "experimental_use_profile")
    ),
}
"""The members that have a value where the configuration says nothing (0.169.0 observed)."""

_PROVIDER: Final[dict[str, Any]] = {
    **dict.fromkeys(
        (
            "name base_url model_catalog_url env_key env_key_instructions experimental_bearer_token auth gateway_oauth "
            "aws project_id location credential_file wire_api capabilities query_params http_headers env_http_headers "
            "request_max_retries stream_max_retries stream_idle_timeout_ms websocket_connect_timeout_ms"
        ).split()
    ),
    "wire_api": "responses",
    "requires_openai_auth": False,
    "supports_websockets": False,
    "supports_standalone_web_search": False,
}
_TABLES: Final[dict[str, dict[str, Any]]] = {
    "sandbox_workspace_write": {
        "writable_roots": [],
        "network_access": False,
        "exclude_tmpdir_env_var": False,
        "exclude_slash_tmp": False,
    },
    "otel": dict.fromkeys(
        (
            "tool_result log_sse_deltas log_user_prompt log_agent_responses log_guardian_assessments environment "
            "exporter trace_exporter metrics_exporter span_attributes tracestate"
        ).split()
    ),
}
"""Tables that have all of their members where they are there at all."""


def config_read(call: Call) -> Any:
    """The configuration in force, where each value comes from, and the layers where they are asked for.

    A project's own configuration is not read, whatever folder is named.

    Raises:
        RpcError: The configuration cannot be used.
    """
    from threadkeep.appserver._config_values import flattened

    config = call.server.config
    if config.problem is not None:
        raise _rpc.internal(f"invalid configuration: {config.problem}")
    origins: dict[str, Any] = {}
    for layer in reversed(config.layers):
        source = {"name": layer.name, "version": layer.version}
        origins.update((name, source) for name in flattened(layer.values))
    answer: dict[str, Any] = {"config": _shown(config.values), "origins": origins}
    if call.params.get("includeLayers"):
        answer["layers"] = [
            {"name": layer.name, "version": layer.version, "config": _without_secrets(layer.values)}
            for layer in config.layers
        ]
    return answer


def config_requirements_read(_call: Call) -> Any:
    """What an administrator demands: nothing."""
    return {"supportsIndependentSpeedModes": True, "requirements": None}


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with every member that clients know; what it has beside them is left out."""
    known = {**dict.fromkeys(_NULLS), **_DEFAULTS}
    shown = {**known, **{key: value for key, value in values.items() if key in known}}
    for key, members in _TABLES.items():
        if isinstance(shown[key], dict):
            shown[key] = {**members, **shown[key]}
    for key in ("history", "shell_environment_policy"):
        if isinstance(shown[key], dict):
            shown[key] = {**_DEFAULTS[key], **shown[key]}
    if isinstance(shown["model_providers"], dict):
        shown["model_providers"] = {
            name: {**_PROVIDER, **table} for name, table in shown["model_providers"].items() if isinstance(table, dict)
        }
    found: dict[str, Any] = _without_secrets(shown)
    return found


def _without_secrets(value: Any, key: str = "", depth: int = 0) -> Any:
    """JSON values of a configuration in which no secret stands."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, dict):
        if key in _SECRET_TABLES:
            return dict.fromkeys(value, HIDDEN)
        return {name: _without_secrets(inner, name, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner, "", depth + 1) for inner in value]
    if key in _SECRETS and value is not None:
        return HIDDEN
    # Dates and times of TOML have no JSON; Codex shows them as texts too.
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
