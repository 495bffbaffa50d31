"""The handshake: what a client must say of itself in ``initialize``, and what it is told.

Standard library only, and little of it: over stdio the answer is sent before anything else is loaded. The connection
uses the same `answer` for a client that comes by another way, so that both say the same.

The texts of errors and the form of the user agent are 0.169.0's (observed).
"""

from __future__ import annotations

import json
import os
import sys

from threadkeep._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = ["CODEX_VERSION", "answer", "answered_early", "remote_control"]

CODEX_VERSION: Final = "0.169.0"
"""The version of Codex's app-server that is served: clients read it out of the user agent."""

_EARLY_NESTING: Final = 32
"""Brackets that a first message may have to be answered early; an SDK's has three."""

_MEMBERS: Final = frozenset({"id", "method", "params", "jsonrpc"})

_FLAGS: Final = (
    "experimentalApi",
    "requestAttestation",
    "requiredHumanApproval",
    "explicitGatewayOauth",
    "mcpServerOpenaiFormElicitation",
)
"""The capabilities that are true or false."""

_SYSTEMS: Final = {"darwin": "macos", "win32": "windows"}
"""Names of operating systems, where ``sys.platform`` says something else than Codex."""


def answer(params: object, home: str) -> dict[str, str] | str:
    """What ``initialize`` is answered.

    Args:
        params: Its decoded parameters; None where there are none.
        home: The home folder, absolute.

    Returns:
        The result; or, where the parameters are not valid, the message of the error (code -32600).
    """
    wrong = _params(params)
    if wrong is not None:
        return f"Invalid request: {wrong}"
    assert isinstance(params, dict)
    client = params["clientInfo"]
    name = client["name"]
    if _sanitized(name) != name:
        return f"Invalid clientInfo.name: '{name}'. Must be a valid HTTP header value."
    return {
        "userAgent": _user_agent(name, client["version"]),
        "codexHome": home,
        "platformFamily": "windows" if os.name == "nt" else "unix",
        "platformOs": _SYSTEMS.get(sys.platform, sys.platform.rstrip("0123456789")),
    }


def answered_early(line: bytes, home: str) -> tuple[dict[str, Any], bytes] | None:
    """Answer a first message, where that takes no more than this module.

    Args:
        line: The message.
        home: The home folder, absolute.

    Returns:
        The parameters of its ``initialize`` and the answer, encoded as every answer is. None where the message is
        anything else or there is the least doubt about it: then it is the connection's, with all its rules.
    """
    # An escape may be half a character, and deep nesting a trap; neither is in what honest clients say first.
    if b"\\u" in line or line.count(b"{") + line.count(b"[") > _EARLY_NESTING:
        return None
    try:
        message = json.loads(line.decode(), object_pairs_hook=_distinct, parse_constant=_no_number)
    except ValueError:
        return None
    if not isinstance(message, dict) or message.get("method") != "initialize" or not message.keys() <= _MEMBERS:
        return None
    request_id, params = message.get("id"), message.get("params")
    if not _is_request_id(request_id) or not isinstance(params, dict):
        return None
    result = answer(params, home)
    if isinstance(result, str):
        return None
    encoded = json.dumps({"id": request_id, "result": result}, ensure_ascii=False, separators=(",", ":")).encode()
    return params, encoded


def remote_control(home: str) -> dict[str, Any]:
    """The parameters of ``remoteControl/status/changed``, which every client is told first: there is none.

    The installation's id is the one that Codex keeps in the home, or one made of the home's name.
    """
    try:
        with open(os.path.join(home, "installation_id"), encoding="ascii") as file:
            installation = file.read(64).strip()
    except (OSError, ValueError):
        installation = ""
    if not installation:
        import uuid

        installation = str(uuid.uuid5(uuid.NAMESPACE_URL, f"threadkeep:{home}"))
    return {
        "status": "disabled",
        "serverName": os.uname().nodename.partition(".")[0],
        "installationId": installation,
        "environmentId": None,
    }


# What is valid, in the words of the real server. Members are looked at in the order in which they came.


def _params(params: object) -> str | None:
    if params is None:
        return "missing field `params`"
    if not isinstance(params, dict):
        return _unexpected(params, "struct InitializeParams")
    wrong = None
    for key, value in params.items():
        if key == "clientInfo":
            wrong = _client(value)
        elif key == "capabilities" and value is not None:
            wrong = _capabilities(value)
        if wrong is not None:
            return wrong
    return None if "clientInfo" in params else "missing field `clientInfo`"


def _client(client: object) -> str | None:
    if not isinstance(client, dict):
        return _unexpected(client, "struct ClientInfo")
    for key, value in client.items():
        texts = ("name", "version") if value is None else ("name", "version", "title")
        if key in texts and not isinstance(value, str):
            return _unexpected(value, "a string")
    return next((f"missing field `{key}`" for key in ("name", "version") if key not in client), None)


def _capabilities(capabilities: object) -> str | None:
    if not isinstance(capabilities, dict):
        return _unexpected(capabilities, "struct InitializeCapabilities")
    for key, value in capabilities.items():
        if key in _FLAGS and not isinstance(value, bool):
            return _unexpected(value, "a boolean")
        if key == "extensions" and value is not None and not isinstance(value, dict):
            return _unexpected(value, "a map")
        if key == "optOutNotificationMethods" and value is not None:
            if not isinstance(value, list):
                return _unexpected(value, "a sequence")
            for method in value:
                if not isinstance(method, str):
                    return _unexpected(method, "a string")
    return None


def _unexpected(value: object, expected: str) -> str:
    if value is None:
        got = "null"
    elif isinstance(value, bool):
        got = f"boolean `{str(value).lower()}`"
    elif isinstance(value, int):
        got = f"integer `{value}`"
    elif isinstance(value, float):
        got = f"floating point `{value}`"
    elif isinstance(value, str):
        got = f"string {json.dumps(value, ensure_ascii=False)}"
    else:
        got = "map" if isinstance(value, dict) else "sequence"
    return f"invalid type: {got}, expected {expected}"


# What is answered


def _user_agent(name: str, version: str) -> str:
    suffix = f"{name}; {version}".strip()
    machine = os.uname().machine
    return _sanitized(f"{name}/{CODEX_VERSION} ({_system()}; {machine}) threadkeep/{__version__} ({suffix})")


def _sanitized(text: str) -> str:
    """A text as the value of an HTTP header: control characters but the tab are replaced."""
    if text.isprintable():
        return text
    return "".join("_" if (c < " " and c != "\t") or c == "\x7f" else c for c in text)


def _system() -> str:
    """Name and version of the operating system: ``Debian 12.0.0``."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            said = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    except (OSError, ValueError):
        said = {}
    name, version = (said.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID"))
    if not name:
        system = os.uname()
        return f"{system.sysname} {system.release}"
    numbers = version.split(".") if version else []
    if numbers and all(number.isdigit() for number in numbers):
        version = ".".join(str(int(number)) for number in [*numbers, "0", "0"][: max(3, len(numbers))])
    return f"{name.capitalize()} {version or 'Unknown'}"


# How a message is read here: as strictly as anywhere, but without saying what is wrong with it


def _is_request_id(value: object) -> bool:
    if isinstance(value, str):
        return True
    return type(value) is int and -(2**63) <= value < 2**63


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _no_number(text: str) -> float:
    raise ValueError(text)
