"""What a turn may touch, in its three shapes: of the protocol, of a ``turn_context``, and as a permission profile.

threadkeep's own engine runs no commands; the settings are kept and shown, so that Codex goes on with the same ones.
Shapes: 0.169.0 observed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver._config_values import ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BUILT_IN_PROFILES",
    "named_profile",
    "permission_profile",
    "plain_profile_policy",
    "recorded_policy",
    "workspace_write",
]

Json = dict[str, Any]

READ_ONLY: Final[Json] = {"type": "readOnly", "networkAccess": False}
"""The policy that lets nothing be written."""
FULL_ACCESS: Final[Json] = {"type": "dangerFullAccess"}
"""The policy that lets everything be done."""
BUILT_IN_PROFILES: Final = (":read-only", ":workspace", ":danger-full-access")
"""Permission profiles that need no table, in the order in which they are listed."""

_ROOT: Final[Json] = {"path": {"type": "special", "value": {"kind": "root"}}, "access": "read"}
_PROTECTED: Final = (".git", ".agents", ".codex", ".aws")
_SPECIAL: Final = {":root": "root", ":minimal": "minimal", ":slash_tmp": "slash_tmp", ":tmpdir": "tmpdir"}


def workspace_write(table: Mapping[str, Any], roots: Sequence[str], cwd: str) -> Json:
    """The policy of the workspace.

    Args:
        table: ``sandbox_workspace_write`` of the configuration.
        roots: The workspace's folders.
        cwd: The one of them that goes without saying.
    """
    return {
        "type": "workspaceWrite",
        "writableRoots": [root for root in roots if root != cwd],
        "networkAccess": table.get("network_access") is True,
        "excludeTmpdirEnvVar": table.get("exclude_tmpdir_env_var") is True,
        "excludeSlashTmp": table.get("exclude_slash_tmp") is True,
    }


def named_profile(name: str, tables: Any, roots: Sequence[str], cwd: str) -> tuple[Json, Json]:
    """The policy and the permission profile that a name stands for.

    Args:
        name: A name of `BUILT_IN_PROFILES`, or of a table of ``permissions``.
        tables: ``permissions`` of the configuration.
        roots: The workspace's folders.
        cwd: The working folder.

    Raises:
        ConfigProblem: There is no such profile; the text is that of 0.169.0.
    """
    if name in BUILT_IN_PROFILES:
        policies = {":read-only": READ_ONLY, ":danger-full-access": FULL_ACCESS}
        policy = policies.get(name) or workspace_write({}, roots, cwd)
        return dict(policy), permission_profile(policy, cwd, roots)
    if name.startswith(":"):
        raise ConfigProblem(f"default_permissions refers to unknown built-in profile `{name}`")
    if not isinstance(tables, dict) or not tables:
        raise ConfigProblem("default_permissions requires a `[permissions]` table")
    if not isinstance(tables.get(name), dict):
        raise ConfigProblem(f"default_permissions refers to undefined profile `{name}`")
    return _own_profile(tables[name])


def permission_profile(policy: Mapping[str, Any], cwd: str, roots: Sequence[str]) -> Json:
    """The permission profile that says what a policy of the protocol says."""
    kind = policy.get("type")
    if kind == "dangerFullAccess":
        return {"type": "disabled"}
    if kind == "externalSandbox":
        return {"type": "external", "network": _network(policy.get("networkAccess"))}
    entries = [_ROOT] if kind == "readOnly" else _workspace_entries(policy, cwd, roots)
    restricted = {"type": "restricted", "entries": entries}
    return {"type": "managed", "file_system": restricted, "network": _network(policy.get("networkAccess"))}


def recorded_policy(policy: Mapping[str, Any]) -> Json:
    """A policy of the protocol as ``sandbox_policy`` of a ``turn_context``."""
    kind = policy.get("type")
    if kind == "dangerFullAccess":
        return {"type": "danger-full-access"}
    if kind == "externalSandbox":
        return {"type": "external-sandbox", "network_access": _network(policy.get("networkAccess"))}
    if kind == "readOnly":
        open_network = {"network_access": True} if policy.get("networkAccess") is True else {}
        return {"type": "read-only", **open_network}
    writable = policy.get("writableRoots")
    return {
        "type": "workspace-write",
        **({"writable_roots": list(writable)} if writable else {}),
        "network_access": policy.get("networkAccess") is True,
        "exclude_tmpdir_env_var": policy.get("excludeTmpdirEnvVar") is True,
        "exclude_slash_tmp": policy.get("excludeSlashTmp") is True,
    }


def plain_profile_policy(profile: Any) -> Json | None:
    """The policy of a recorded permission profile that says no more than ``read-only`` or full access; else None.

    0.169.0 takes over only these two from a rollout when they have no name; a recorded workspace is the
    configuration's business again (observed).
    """
    if not isinstance(profile, dict):
        return None
    if profile.get("type") == "disabled":
        return dict(FULL_ACCESS)
    files = profile.get("file_system")
    entries = files.get("entries") if isinstance(files, dict) else None
    plain = profile.get("type") == "managed" and entries == [_ROOT] and profile.get("network") == "restricted"
    return dict(READ_ONLY) if plain else None


def _network(access: Any) -> str:
    return "enabled" if access in (True, "enabled") else "restricted"


def _workspace_entries(policy: Mapping[str, Any], cwd: str, roots: Sequence[str]) -> list[Json]:
    """What a workspace policy lets be written, and what of it is protected."""
    writable = policy.get("writableRoots")
    # Folders of the configuration are workspace folders and writable folders: Codex names them twice.
    folders = [*roots, *(root for root in (writable if isinstance(writable, list) else []) if isinstance(root, str))]
    if cwd not in folders:
        folders.insert(0, cwd)
    entries = [_ROOT, *(_on(folder, "write") for folder in folders)]
    if policy.get("excludeSlashTmp") is not True:
        entries.append({"path": {"type": "special", "value": {"kind": "slash_tmp"}}, "access": "write"})
    if policy.get("excludeTmpdirEnvVar") is not True:
        entries.append({"path": {"type": "special", "value": {"kind": "tmpdir"}}, "access": "write"})
    once = dict.fromkeys(folders)
    return entries + [
        {**_on(f"{folder.rstrip('/')}/{name}", "read"), "missing_path_behavior": "skip"}
        for name in _PROTECTED
        for folder in once
    ]


def _on(path: str, access: str) -> Json:
    return {"path": {"type": "path", "path": path}, "access": access}


def _own_profile(table: Mapping[str, Any]) -> tuple[Json, Json]:
    """A profile of the configuration: its rules for files, nested ones aside, and whether it has the network."""
    files, network = table.get("filesystem"), table.get("network")
    rules = {path: access for path, access in sorted((files or {}).items()) if isinstance(access, str)}
    entries = [
        {"path": {"type": "special", "value": {"kind": _SPECIAL[path]}}, "access": access}
        if path in _SPECIAL
        else _on(path, access)
        for path, access in rules.items()
    ]
    online = isinstance(network, dict) and network.get("enabled") is True
    restricted = {"type": "restricted", "entries": entries}
    profile = {"type": "managed", "file_system": restricted, "network": _network(online)}
    writable = [path for path, access in rules.items() if access == "write" and path.startswith("/")]
    if not writable:
        return {**READ_ONLY, "networkAccess": online}, profile
    nothing_else = {"network_access": online, "exclude_tmpdir_env_var": True, "exclude_slash_tmp": True}
    return workspace_write(nothing_else, writable, ""), profile
