"""What the turns of a thread run with: worked out from the configuration, the request and what the rollout says.

Rules (0.169.0 observed). What a request names counts first. Then:

* ``start``: the configuration.
* ``resume``: what the thread was set to: folder, tier, approvals and, together, model and effort. A request that
  names a model, a provider or (under ``config``) a model or an effort sets both: what it does not name of the two
  is the configuration's. Rights: a recorded profile by its name, read-only and full access as they are, everything
  else as the configuration says.
* ``fork``: folder, approvals and rights of the parent; model, effort and tier of the configuration.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver._config_sandbox import (
    BUILT_IN_PROFILES,
    FULL_ACCESS,
    READ_ONLY,
    named_profile,
    permission_profile,
    plain_profile_policy,
    recorded_policy,
    workspace_write,
)
from threadkeep.appserver._config_values import ConfigProblem
from threadkeep.appserver._param_types import GRANULAR
from threadkeep.appserver._rpc import RpcError, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from threadkeep.appserver._config import Config

__all__ = ["SessionSettings", "session_settings"]

Json = dict[str, Any]

STANDARD_TIERS: Final = ("default", "flex")
"""Service tiers that every model has."""
MULTI_AGENT_MODE: Final = "explicitRequestOnly"
"""How agents are used; what 0.169.0 answers whatever is asked (observed)."""


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a thread; values of the protocol in the protocol's shapes.

    Attributes:
        model: The model.
        model_provider: Id of the provider.
        cwd: The working folder.
        runtime_workspace_roots: The workspace's folders.
        approval_policy: A name, or ``{"granular": {...}}``.
        approvals_reviewer: Who approves.
        sandbox: What turns may touch: a ``SandboxPolicy``.
        permission_profile: The same as rollouts have it.
        active_permission_profile: Name of the profile that it comes from; None for none.
        effort: Reasoning effort; None for the model's own.
        summary: How reasoning is summed up; None for the model's own.
        service_tier: The provider's tier; None where nothing says.
        personality: How the model sounds; None where nothing says.
        collaboration: Mode of collaboration: ``default`` or ``plan``.
        collaboration_instructions: What a client says of that mode; None for nothing.
        disabled_plugin_ids: Plugins that are switched off.
        base_instructions: What the model is told first; None where nothing says.
        developer_instructions: What goes with the context; None for none.
        unsupported_tier: A tier that was asked for and that the model does not have; None for none.
    """

    model: str
    model_provider: str
    cwd: str
    runtime_workspace_roots: tuple[str, ...]
    approval_policy: Any
    approvals_reviewer: str
    sandbox: Json
    permission_profile: Json
    active_permission_profile: str | None = None
    effort: str | None = None
    summary: str | None = None
    service_tier: str | None = None
    personality: str | None = None
    collaboration: str = "default"
    collaboration_instructions: str | None = None
    disabled_plugin_ids: tuple[str, ...] = ()
    base_instructions: str | None = None
    developer_instructions: str | None = None
    unsupported_tier: str | None = None

    def response(self) -> Json:
        """The members that answers to ``thread/start``, ``resume`` and ``fork`` have in common, ``thread`` aside.

        The answer to ``thread/resume`` has `collaboration_mode` under ``collaborationMode`` as well.
        """
        return {
            "model": self.model,
            "modelProvider": self.model_provider,
            "serviceTier": self.service_tier,
            "disabledPluginIds": list(self.disabled_plugin_ids),
            "cwd": self.cwd,
            "runtimeWorkspaceRoots": list(self.runtime_workspace_roots),
            "instructionSources": [],
            "approvalPolicy": self.approval_policy,
            "approvalsReviewer": self.approvals_reviewer,
            "sandbox": self.sandbox,
            "activePermissionProfile": self._active(),
            "reasoningEffort": self.effort,
            "multiAgentMode": MULTI_AGENT_MODE,
        }

    def collaboration_mode(self) -> Json:
        """The mode of collaboration, in the shape that the protocol and rollouts share."""
        said = self.collaboration_instructions
        settings = {"model": self.model, "reasoning_effort": self.effort, "developer_instructions": said}
        return {"mode": self.collaboration, "settings": settings}

    def notification(self) -> Json:
        """``threadSettings`` of ``thread/settings/updated``."""
        folder = {
            "environmentId": "local",
            "cwd": self.cwd,
            "runtimeWorkspaceRoots": list(self.runtime_workspace_roots),
        }
        return {
            "disabledPluginIds": list(self.disabled_plugin_ids),
            "cwd": self.cwd,
            "environments": [folder],
            "approvalPolicy": self.approval_policy,
            "approvalsReviewer": self.approvals_reviewer,
            "sandboxPolicy": self.sandbox,
            "activePermissionProfile": self._active(),
            "model": self.model,
            "modelProvider": self.model_provider,
            "serviceTier": self.service_tier,
            "effort": self.effort,
            "summary": self.summary,
            "collaborationMode": self.collaboration_mode(),
            "multiAgentMode": MULTI_AGENT_MODE,
            "personality": self.personality,
        }

    def applied(self) -> Json:
        """``thread_settings`` of a ``thread_settings_applied`` record; absent members are those that nothing says."""
        said = {"service_tier": self.service_tier}
        thought = {"reasoning_effort": self.effort, "reasoning_summary": self.summary, "personality": self.personality}
        return {
            "model": self.model,
            "model_provider_id": self.model_provider,
            **_present(said),
            "approval_policy": self.approval_policy,
            "approvals_reviewer": self.approvals_reviewer,
            "requested_approvals_reviewer": self.approvals_reviewer,
            "permission_profile": self.permission_profile,
            **self._recorded_profile(),
            "cwd": self.cwd,
            "runtime_workspace_roots": list(self.runtime_workspace_roots),
            **_present(thought),
            "collaboration_mode": self.collaboration_mode(),
            "disabled_plugin_ids": list(self.disabled_plugin_ids),
        }

    def turn_context(self, turn_id: str, config: Config) -> Json:
        """The payload of the ``turn_context`` record of a turn."""
        model = config.known_model(self.model)
        entries = self.permission_profile.get("file_system", {}).get("entries")
        by_file = {"kind": "restricted", "entries": entries} if self.sandbox["type"] == "workspaceWrite" else None
        return {
            "turn_id": turn_id,
            "root_turn_id": turn_id,
            "disabled_plugin_ids": list(self.disabled_plugin_ids),
            "cwd": self.cwd,
            "approval_policy": self.approval_policy,
            "approvals_reviewer": self.approvals_reviewer,
            "permission_profile": self.permission_profile,
            **self._recorded_profile(),
            "model": self.model,
            **_present({"comp_hash": model.comp_hash}),
            "collaboration_mode": self.collaboration_mode(),
            "multi_agent_version": model.multi_agent or "v1",
            "realtime_active": False,
            **_present({"effort": self.effort}),
            "summary": "none",
            "sandbox_policy": recorded_policy(self.sandbox),
            **_present({"file_system_sandbox_policy": by_file}),
        }

    def changed(self, params: Mapping[str, Any], config: Config) -> SessionSettings:
        """These settings with what ``turn/start`` or ``thread/settings/update`` asks for.

        Args:
            params: The request's; names of ``turn/start``. What is absent or null stays, but a null ``serviceTier``.
            config: The configuration.

        Raises:
            RpcError: A permission profile does not exist, or rights are named twice.
        """
        given = {name: value for name, value in params.items() if value is not None}
        # A mode of collaboration says model and effort by itself, and counts before them.
        mode = given.get("collaborationMode")
        chosen = mode.get("settings") if isinstance(mode, dict) else None
        chosen = chosen if isinstance(chosen, dict) else {}
        cwd = _absolute(given.get("cwd"), self.cwd)
        model = chosen.get("model") or given.get("model", self.model)
        tier, refused = self.service_tier, None
        if "serviceTier" in params:
            tier, refused = _tier(params["serviceTier"] or "default", model, config)
        moved = msgspec.structs.replace(
            self,
            cwd=cwd,
            runtime_workspace_roots=_roots(given, self, cwd),
            model=model,
            effort=chosen.get("reasoning_effort") if chosen else given.get("effort", self.effort),
            summary=given.get("summary", self.summary),
            approval_policy=given.get("approvalPolicy", self.approval_policy),
            approvals_reviewer=given.get("approvalsReviewer", self.approvals_reviewer),
            personality=given.get("personality", self.personality),
            collaboration=mode.get("mode", self.collaboration) if isinstance(mode, dict) else self.collaboration,
            collaboration_instructions=chosen.get("developer_instructions")
            if isinstance(mode, dict)
            else self.collaboration_instructions,
            disabled_plugin_ids=tuple(given.get("disabledPluginIds", self.disabled_plugin_ids)),
            service_tier=tier,
            unsupported_tier=refused,
        )
        with _loading():
            return _with_rights(moved, given, config)

    def _recorded_profile(self) -> Json:
        name = self.active_permission_profile
        return {"active_permission_profile": {"id": name}} if name is not None else {}

    def _active(self) -> Json | None:
        name = self.active_permission_profile
        return {"id": name, "extends": None} if name is not None else None


def session_settings(
    config: Config, params: Mapping[str, Any], stated: Mapping[str, Any] | None = None, *, fork: bool = False
) -> SessionSettings:
    """The settings that a thread is started, resumed or forked with.

    Args:
        config: The configuration of the home.
        params: The request's parameters.
        stated: For a thread that exists, its settings as its rollout says: the payload of a ``turn_context``, the
            settings of a ``thread_settings_applied``, or the latter with the former laid over it, and
            ``model_provider`` of its beginning where these do not name one. Empty where it says nothing.
        fork: Whether ``stated`` are the settings of the parent.

    Raises:
        RpcError: The configuration cannot be used, or the request contradicts itself; the texts of 0.169.0.
    """
    if params.get("permissions") is not None and params.get("sandbox") is not None:
        raise invalid("`permissions` cannot be combined with `sandbox`")
    with _loading():
        known = config.with_request(params.get("config") or {})
        # With another provider's name, the one of the configuration need not exist.
        known = known.with_request(_present({"model_provider": params.get("modelProvider")}))
        known.require()
        return _resolved(known, params, stated, fork=fork)


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """A configuration is read: a client is told why that is not possible."""
    try:
        yield
    except ConfigProblem as problem:
        raise invalid(f"failed to load configuration: {problem}") from None


def _resolved(
    config: Config, params: Mapping[str, Any], stated: Mapping[str, Any] | None, *, fork: bool
) -> SessionSettings:
    given = {name: value for name, value in params.items() if value is not None}
    said: Mapping[str, Any] = stated or {}
    cwd = _absolute(given.get("cwd") or said.get("cwd"), config.cwd)
    provider = _provider(config, given, said, resumed=stated is not None and not fork)
    model, effort = _model_and_effort(config, given, said, resumed=stated is not None and not fork)
    tier = said.get("service_tier") if stated is not None and not fork else None
    asked = given.get("config") or {}
    tier, refused = _tier(
        tier if tier is not None and "service_tier" not in asked else config.service_tier, model, config
    )
    if "serviceTier" in params:
        # Null is a tier too: the standard one, whatever the configuration says (0.169.0 observed).
        tier, refused = _tier(params["serviceTier"] or "default", model, config)
    mode, told = _mode(said) if not fork else ("default", None)
    settings = SessionSettings(
        model=model,
        model_provider=provider,
        cwd=cwd,
        runtime_workspace_roots=(cwd,),
        approval_policy=_approvals(config, given, said, cwd, fork=fork),
        approvals_reviewer=given.get("approvalsReviewer")
        or _unless_asked("approvals_reviewer", asked, said.get("approvals_reviewer"))
        or config.approvals_reviewer
        or "user",
        sandbox=READ_ONLY,
        permission_profile={},
        effort=effort,
        summary=_unless_asked("model_reasoning_summary", asked, said.get("reasoning_summary"))
        or config.reasoning_summary,
        service_tier=tier,
        unsupported_tier=refused,
        personality=given.get("personality") or said.get("personality") or config.personality,
        collaboration=mode,
        collaboration_instructions=told,
        disabled_plugin_ids=tuple(name for name in said.get("disabled_plugin_ids") or () if isinstance(name, str)),
        base_instructions=given.get("baseInstructions") or config.base_instructions,
        developer_instructions=given.get("developerInstructions") or config.developer_instructions,
    )
    return _first_rights(settings, config, given, said)


def _mode(said: Mapping[str, Any]) -> tuple[str, str | None]:
    """The recorded mode of collaboration, and what a client said of it."""
    mode = said.get("collaboration_mode")
    if not isinstance(mode, dict) or not isinstance(mode.get("mode"), str):
        return "default", None
    settings = mode.get("settings")
    told = settings.get("developer_instructions") if isinstance(settings, dict) else None
    return mode["mode"], told if isinstance(told, str) else None


def _provider(config: Config, given: Mapping[str, Any], said: Mapping[str, Any], *, resumed: bool) -> str:
    """Id of the provider: a thread stays with its own."""
    recorded = said.get("model_provider_id") or said.get("model_provider")
    if not resumed or not isinstance(recorded, str) or not recorded:
        return config.provider().id
    if recorded not in config.providers:
        raise RpcError(
            -32600,
            f"This chat uses model provider \u201c{recorded}\u201d, which is no longer configured. "
            "Restore this provider\u2019s configuration to continue.",
        )
    wanted = given.get("modelProvider")
    if wanted is not None and wanted != recorded:
        raise ConfigProblem(f"Cannot change this thread's model provider from `{recorded}` to `{wanted}` on resume.")
    return recorded


def _model_and_effort(
    config: Config, given: Mapping[str, Any], said: Mapping[str, Any], *, resumed: bool
) -> tuple[str, str | None]:
    """Model and effort, which belong together."""
    asked = given.get("config") or {}
    chosen = any(given.get(name) for name in ("model", "modelProvider"))
    chosen = chosen or any(name in asked for name in ("model", "model_reasoning_effort", "model_provider"))
    if not resumed or chosen:
        return given.get("model") or config.model, config.reasoning_effort
    effort = said.get("effort") or said.get("reasoning_effort")
    return said.get("model") or config.model, effort if isinstance(effort, str) else None


def _approvals(config: Config, given: Mapping[str, Any], said: Mapping[str, Any], cwd: str, *, fork: bool) -> Any:
    """The approval policy; that of a folder that is not trusted asks about everything.

    A fork keeps its parent's, whatever the request's ``config`` says (0.169.0 observed).
    """
    default = "untrusted" if config.trust_level(cwd) == "untrusted" else "on-request"
    asked = {} if fork else given.get("config") or {}
    recorded = _unless_asked("approval_policy", asked, said.get("approval_policy"))
    policy = given.get("approvalPolicy") or recorded or config.approval_policy or default
    if isinstance(policy, dict) and isinstance(policy.get("granular"), dict):
        return {"granular": {each.name: policy["granular"].get(each.name) is True for each in GRANULAR.fields}}
    return policy


def _unless_asked(key: str, asked: Mapping[str, Any], recorded: Any) -> Any:
    """What was recorded, unless the request's ``config`` says something else."""
    return None if key in asked else recorded


def _tier(wanted: Any, model: str, config: Config) -> tuple[str | None, str | None]:
    """The service tier that a model is asked for, and the one that it does not have."""
    if wanted is None:
        return None, None
    tier = "priority" if wanted == "fast" else str(wanted)
    known = tier in STANDARD_TIERS or tier in config.known_model(model).tiers
    return (tier, None) if known else (None, tier)


def _first_rights(
    settings: SessionSettings, config: Config, given: Mapping[str, Any], said: Mapping[str, Any]
) -> SessionSettings:
    """The rights that a thread begins with: of the request, else recorded, else of the configuration."""
    asked = given.get("config") or {}
    settings = msgspec.structs.replace(settings, runtime_workspace_roots=_first_roots(settings.cwd, given, said))
    if given.get("permissions") or given.get("sandbox"):
        return _with_rights(settings, given, config)
    if not any(key.split(".")[0] in ("sandbox_mode", "default_permissions", "permissions") for key in asked):
        named = said.get("active_permission_profile")
        name = named.get("id") if isinstance(named, dict) else None
        if isinstance(name, str) and (name in BUILT_IN_PROFILES or name in config.permissions):
            return _with_profile(settings, name, config)
        policy = plain_profile_policy(said.get("permission_profile")) if name is None else None
        if policy is not None:
            return _with_policy(settings, policy)
    for layer in config.layers:
        # The name of a profile counts before a mode, but not before that of a layer above.
        if layer.values.get("default_permissions") is not None:
            return _with_profile(settings, layer.values["default_permissions"], config)
        if layer.values.get("sandbox_mode") is not None:
            return _with_mode(settings, layer.values["sandbox_mode"], config, given)
    if config.trust_level(settings.cwd) is None:
        settings = _with_mode(settings, "read-only", config, given)
        return _with_profile(settings, ":read-only", config)
    if config.sandbox_workspace_write:
        return _with_mode(settings, "workspace-write", config, given)
    return _with_profile(settings, ":workspace", config)


def _with_rights(settings: SessionSettings, given: Mapping[str, Any], config: Config) -> SessionSettings:
    """Settings with the rights that a request names; with the same rights in the new folder where it names none."""
    policy = given.get("sandboxPolicy")
    if given.get("permissions") is not None:
        if policy is not None:
            raise invalid("`permissions` cannot be combined with `sandboxPolicy`")
        return _with_profile(settings, given["permissions"], config)
    if given.get("sandbox") is not None:
        return _with_mode(settings, given["sandbox"], config, given)
    if isinstance(policy, dict):
        return _with_policy(settings, _whole_policy(policy))
    if settings.active_permission_profile is not None:
        return _with_profile(settings, settings.active_permission_profile, config)
    return _with_policy(settings, settings.sandbox)


def _with_profile(settings: SessionSettings, name: str, config: Config) -> SessionSettings:
    roots = settings.runtime_workspace_roots
    policy, profile = named_profile(name, config.permissions, roots, settings.cwd)
    return msgspec.structs.replace(settings, sandbox=policy, permission_profile=profile, active_permission_profile=name)


def _with_mode(settings: SessionSettings, mode: str, config: Config, given: Mapping[str, Any]) -> SessionSettings:
    table = config.sandbox_workspace_write
    more = [root for root in table.get("writable_roots") or () if isinstance(root, str)]
    roots = tuple(dict.fromkeys((*settings.runtime_workspace_roots, *more)))
    if not given.get("runtimeWorkspaceRoots"):
        # They belong to the workspace even where the mode lets nothing be written (0.169.0 observed).
        settings = msgspec.structs.replace(settings, runtime_workspace_roots=roots)
    if mode != "workspace-write":
        return _with_policy(settings, dict(FULL_ACCESS if mode == "danger-full-access" else READ_ONLY))
    return _with_policy(settings, workspace_write(table, roots, settings.cwd))


def _with_policy(settings: SessionSettings, policy: Json) -> SessionSettings:
    profile = permission_profile(policy, settings.cwd, settings.runtime_workspace_roots)
    return msgspec.structs.replace(settings, sandbox=policy, permission_profile=profile, active_permission_profile=None)


def _whole_policy(policy: Json) -> Json:
    """A policy with every member that its kind has."""
    defaults: dict[Any, Json] = {
        "readOnly": READ_ONLY,
        "workspaceWrite": workspace_write({}, (), ""),
        "externalSandbox": {"type": "externalSandbox", "networkAccess": "restricted"},
    }
    return {**defaults.get(policy.get("type"), FULL_ACCESS), **_present(policy)}


def _first_roots(cwd: str, given: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[str, ...]:
    """The workspace's folders: of the request, else recorded unless the folder changes, else the folder."""
    if named := _named_roots(given):
        return named
    recorded = said.get("runtime_workspace_roots")
    if given.get("cwd") is None and isinstance(recorded, list) and cwd in recorded:
        return tuple(dict.fromkeys(root for root in recorded if isinstance(root, str)))
    return (cwd,)


def _roots(given: Mapping[str, Any], settings: SessionSettings, cwd: str) -> tuple[str, ...]:
    """The workspace's folders after a change of settings: a new working folder takes the place of the old one."""
    if named := _named_roots(given):
        return named
    return tuple(cwd if root == settings.cwd else root for root in settings.runtime_workspace_roots)


def _named_roots(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The workspace's folders that a request names, each once."""
    return tuple(dict.fromkeys(os.path.normpath(root) for root in given.get("runtimeWorkspaceRoots") or ()))


def _absolute(path: Any, base: str) -> str:
    """A folder as an absolute path, without looking at the disk."""
    return os.path.normpath(os.path.join(base, path)) if isinstance(path, str) and path else base


def _present(values: Mapping[str, Any]) -> Json:
    return {name: value for name, value in values.items() if value is not None}
