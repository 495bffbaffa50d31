"""Every method, notification and server request of the app-server protocol of Codex 0.169.0, and what is done with it.

Plain data: the answers to `initialize` wait for this module. `docs/app-server.md` is written from it.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

__all__ = [
    "DIVERGENCES",
    "METHODS",
    "METHOD_NAMES",
    "NOTIFICATIONS",
    "SERVER_REQUESTS",
    "Divergence",
    "Message",
    "Method",
    "refusal",
]


class Method(NamedTuple):
    """What is done with one method."""

    status: str
    """``implemented``, ``empty`` (one constant answer: there is never anything to tell) or ``refused``."""
    handler: str | None = None
    """``module:function`` below ``threadkeep.appserver._methods``; None unless it is implemented there."""
    experimental: bool = False
    """Whether a client needs ``experimentalApi`` for it."""
    lane: str = "none"
    """How it is ordered with the changes of its thread.

    ``thread``: a change, after the changes queued before it. ``read``: begins when those are done, then runs beside.
    ``urgent``: at once, overtaking them. ``none``: no thread is concerned.
    """
    note: str = ""
    """Why it is refused or what it does otherwise."""
    answer: dict[str, Any] | None = None
    """The answer of an ``empty`` method."""


class Message(NamedTuple):
    """What is done with one notification or request of the server."""

    status: str
    """``sent`` or ``never``."""
    note: str = ""
    """When, or why not."""


class Divergence(NamedTuple):
    """One thing that is knowingly done otherwise than Codex 0.169.0 does it."""

    id: str
    """What tests refer to it by."""
    where: str
    """The method, notification or part of the protocol."""
    codex: str
    """What 0.169.0 does (observed)."""
    threadkeep: str
    """What is done here."""
    why: str
    """The reason."""


METHOD_NAMES: Final = tuple(
    """
initialize server/diagnostics userVerification/status userVerification/enroll userVerification/delete
userVerification/verify userVerification/cancel thread/start thread/resume thread/fork thread/sample
thread/sample/cancel thread/archive thread/delete thread/unsubscribe thread/increment_elicitation
thread/decrement_elicitation thread/name/set thread/prediction/request thread/goal/set thread/goal/get
thread/goal/clear thread/queue/add thread/queue/list thread/queue/update thread/queue/delete
thread/queue/reorder thread/queue/start thread/metadata/update thread/attachment/add thread/attachment/list
thread/attachmentOwner/list thread/attachment/remove thread/section/move thread/settings/update
thread/memoryMode/set thread/memory/read memory/status memory/reset rollout/compress thread/unarchive
thread/compact/start thread/shellCommand thread/approveGuardianDeniedAction thread/backgroundTerminals/clean
thread/backgroundTerminals/list thread/backgroundTerminals/terminate thread/revert thread/list project/list
project/read project/create project/import project/update project/move project/delete threadSection/list
threadSection/create threadSection/update threadSection/delete thread/search thread/searchOccurrences
thread/loaded/list thread/read thread/readState/update thread/turns/list thread/items/list thread/items/read
thread/guardianReview thread/inject_items thread/prepareApprovedPlan skills/list skills/extraRoots/set
hooks/list marketplace/add marketplace/remove marketplace/upgrade plugin/list plugin/search plugin/installed
plugin/reconcile plugin/read plugin/skill/read plugin/share/save plugin/share/updateTargets plugin/share/list
plugin/share/checkout plugin/share/delete app/read app/list app/installed fs/readFile fs/writeFile
fs/createDirectory fs/getMetadata fs/readDirectory fs/remove fs/copy fs/watch fs/unwatch skills/config/write
plugin/install plugin/uninstall turn/start turn/settings/update turn/steer turn/interrupt thread/realtime/start
thread/realtime/appendAudio thread/realtime/appendText thread/realtime/appendSpeech thread/realtime/stop
thread/timeline/list thread/realtime/listVoices review/start model/list account/gatewayOAuth/read
account/gatewayOAuth/login account/gatewayOAuth/cancel modelProvider/list modelProvider/config/write
modelProvider/capabilities/read experimentalFeature/list permissionProfile/list
experimentalFeature/enablement/set remoteControl/enable remoteControl/disable remoteControl/status/read
remoteControl/pairing/start remoteControl/pairing/status remoteControl/client/list remoteControl/client/revoke
collaborationMode/list mock/experimentalMethod environment/add environment/info environment/status
mcpServer/oauth/login config/mcpServer/reload mcpServerStatus/list mcpServer/resource/read
mcpServer/event/stream/start mcpServer/event/stream/stop mcpServer/tool/call windowsSandbox/setupStart
windowsSandbox/readiness account/login/start account/bedrock/discover account/bedrock/setup account/gcp/setup
account/bedrock/checkGovCloudRequirements account/login/cancel accountSession/list accountSession/switch
account/logout account/securitySetup/read account/rateLimits/read account/rateLimitResetCredit/consume
account/usage/read account/workspaceMessages/read account/sendAddCreditsNudgeEmail feedback/upload feedback/save
command/exec command/exec/write command/exec/terminate command/exec/resize process/spawn process/writeStdin
process/kill process/resizePty config/read externalAgentConfig/detect externalAgentConfig/import
externalAgentConfig/import/recordHistory externalAgentConfig/import/readHistories config/value/write
config/batchWrite configRequirements/read account/read getConversationSummary gitDiffToRemote getAuthStatus
fuzzyFileSearch fuzzyFileSearch/sessionStart fuzzyFileSearch/sessionUpdate fuzzyFileSearch/sessionStop
""".split()
)
"""All methods in the order in which 0.169.0 names them to who asks for an unknown one."""

_EXPERIMENTAL: Final = frozenset(
    """
server/diagnostics userVerification/status userVerification/enroll userVerification/delete
userVerification/verify userVerification/cancel thread/sample thread/sample/cancel thread/increment_elicitation
thread/decrement_elicitation thread/prediction/request thread/queue/add thread/queue/list thread/queue/update
thread/queue/delete thread/queue/reorder thread/queue/start thread/settings/update thread/memoryMode/set
thread/memory/read memory/status memory/reset rollout/compress thread/backgroundTerminals/clean
thread/backgroundTerminals/list thread/backgroundTerminals/terminate project/list project/read project/create
project/import project/update project/move project/delete thread/search thread/searchOccurrences
thread/readState/update thread/items/read thread/guardianReview thread/prepareApprovedPlan plugin/search
turn/settings/update thread/realtime/start thread/realtime/appendAudio thread/realtime/appendText
thread/realtime/appendSpeech thread/realtime/stop thread/timeline/list thread/realtime/listVoices
remoteControl/enable remoteControl/disable remoteControl/status/read remoteControl/pairing/start
remoteControl/pairing/status remoteControl/client/list remoteControl/client/revoke collaborationMode/list
mock/experimentalMethod environment/add environment/info environment/status mcpServer/event/stream/start
mcpServer/event/stream/stop account/bedrock/discover account/bedrock/setup account/gcp/setup
account/bedrock/checkGovCloudRequirements accountSession/list accountSession/switch process/spawn
process/writeStdin process/kill process/resizePty fuzzyFileSearch/sessionStart fuzzyFileSearch/sessionUpdate
fuzzyFileSearch/sessionStop
""".split()
)

_IMPLEMENTED: Final = {
    "_start": "none: thread/start",
    "_resume": "thread: thread/resume",
    "_fork": "thread: thread/fork",
    "_read": "read: thread/read",
    "_lists": "none: thread/list thread/loaded/list; read: thread/turns/list thread/items/list thread/items/read "
    "thread/timeline/list",
    "_search": "none: thread/search; read: thread/searchOccurrences",
    "_manage": "thread: thread/name/set thread/metadata/update thread/archive thread/unarchive thread/delete "
    "thread/revert thread/unsubscribe thread/settings/update thread/memoryMode/set thread/readState/update",
    "_turns": "thread: turn/start thread/compact/start thread/inject_items; urgent: turn/steer turn/interrupt",
    "_account": "none: account/read getAuthStatus",
    "_catalogs": "none: model/list modelProvider/capabilities/read collaborationMode/list permissionProfile/list "
    "experimentalFeature/list skills/list",
    "_config_read": "none: config/read configRequirements/read",
}
"""The module of each method, its lane before it."""

_PAGE: Final[dict[str, Any]] = {"data": [], "nextCursor": None}

_EMPTY: Final[dict[str, dict[str, Any]]] = {
    "thread/goal/get": {"goal": None},
    "thread/goal/clear": {"cleared": False},
    "thread/queue/list": _PAGE,
    "thread/attachment/list": _PAGE,
    "thread/attachmentOwner/list": _PAGE,
    "thread/memory/read": {"summary": None},
    "memory/status": {"v2ConsolidatedThreads": 0, "v2Ready": False},
    "thread/backgroundTerminals/list": _PAGE,
    "project/list": _PAGE,
    "threadSection/list": _PAGE,
    "hooks/list": {"data": []},
    "plugin/list": {"marketplaces": [], "marketplaceLoadErrors": [], "featuredPluginIds": []},
    "plugin/installed": {"marketplaces": [], "marketplaceLoadErrors": []},
    "plugin/share/list": {"data": []},
    "app/list": _PAGE,
    "app/installed": {"apps": []},
    "remoteControl/status/read": {
        "status": "disabled",
        "serverName": "threadkeep",
        "installationId": "00000000-0000-0000-0000-000000000000",
        "environmentId": None,
    },
    "remoteControl/client/list": _PAGE,
    "mcpServerStatus/list": _PAGE,
    "windowsSandbox/readiness": {"status": "notConfigured"},
    "account/bedrock/checkGovCloudRequirements": {"isGovCloud": False, "shouldWarn": False},
    "accountSession/list": {"activeSessionId": None, "sessions": []},
    "account/securitySetup/read": {"notice": None},
    "account/rateLimits/read": {
        "rateLimits": {
            "limitId": "codex",
            "limitName": None,
            "normalModelSlug": None,
            "primary": None,
            "secondary": None,
            "credits": None,
            "individualLimit": None,
            "spendControlReached": None,
            "planType": None,
            "rateLimitReachedType": None,
        }
    },
    "externalAgentConfig/detect": {"items": [], "connectors": []},
    "externalAgentConfig/import/readHistories": {"data": [], "connectors": []},
}
"""The answers of methods that only list what there never is here. Their parameters are not looked at."""

_REFUSED: Final = {
    "runs commands": "thread/shellCommand thread/backgroundTerminals/clean thread/backgroundTerminals/terminate "
    "command/exec command/exec/write command/exec/terminate command/exec/resize process/spawn process/writeStdin "
    "process/kill process/resizePty environment/add environment/info environment/status",
    "reads or writes files": "fs/readFile fs/writeFile fs/createDirectory fs/getMetadata fs/readDirectory fs/remove "
    "fs/copy fs/watch fs/unwatch gitDiffToRemote fuzzyFileSearch fuzzyFileSearch/sessionStart "
    "fuzzyFileSearch/sessionUpdate fuzzyFileSearch/sessionStop",
    "signs in or out, or asks about an account": "account/login/start account/login/cancel account/logout "
    "account/gatewayOAuth/read account/gatewayOAuth/login account/gatewayOAuth/cancel account/bedrock/discover "
    "account/bedrock/setup account/gcp/setup accountSession/switch account/usage/read account/workspaceMessages/read "
    "account/rateLimitResetCredit/consume account/sendAddCreditsNudgeEmail userVerification/status "
    "userVerification/enroll userVerification/delete userVerification/verify userVerification/cancel",
    "speech": "thread/realtime/start thread/realtime/appendAudio thread/realtime/appendText "
    "thread/realtime/appendSpeech thread/realtime/stop thread/realtime/listVoices",
    "review, approval and prediction by a model": "review/start thread/guardianReview "
    "thread/approveGuardianDeniedAction thread/prepareApprovedPlan thread/prediction/request thread/sample "
    "thread/sample/cancel thread/increment_elicitation thread/decrement_elicitation",
    "plugins, skills and apps": "marketplace/add marketplace/remove marketplace/upgrade plugin/search plugin/reconcile "
    "plugin/read plugin/skill/read plugin/share/save plugin/share/updateTargets plugin/share/checkout "
    "plugin/share/delete plugin/install plugin/uninstall app/read skills/extraRoots/set skills/config/write",
    "MCP servers": "mcpServer/oauth/login config/mcpServer/reload mcpServer/resource/read mcpServer/event/stream/start "
    "mcpServer/event/stream/stop mcpServer/tool/call",
    "goals, queues, attachments, sections, projects and memories": "thread/goal/set thread/queue/add "
    "thread/queue/update thread/queue/delete thread/queue/reorder thread/queue/start thread/attachment/add "
    "thread/attachment/remove thread/section/move threadSection/create threadSection/update threadSection/delete "
    "project/read project/create project/import project/update project/move project/delete memory/reset",
    "changes settings of the home or of a running turn": "config/value/write config/batchWrite modelProvider/list "
    "modelProvider/config/write experimentalFeature/enablement/set externalAgentConfig/import "
    "externalAgentConfig/import/recordHistory turn/settings/update rollout/compress",
    "remote control": "remoteControl/enable remoteControl/disable remoteControl/pairing/start "
    "remoteControl/pairing/status remoteControl/client/revoke",
    "of an older protocol": "getConversationSummary",
    "about the process of Codex itself": "server/diagnostics mock/experimentalMethod windowsSandbox/setupStart "
    "feedback/upload feedback/save",
}
"""The methods that are refused, under what they are for."""

_WORD_IN_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def refusal(method: str) -> str:
    """What a refused method is answered with."""
    return f"`{method}` is not supported by threadkeep"


def _methods() -> dict[str, Method]:
    """The table, in the order of `METHOD_NAMES`."""
    table = {"initialize": Method("implemented", note="answered before anything else is loaded")}
    for module, lanes in _IMPLEMENTED.items():
        for part in lanes.split("; "):
            lane, names = part.split(": ")
            for name in names.split():
                function = _WORD_IN_CAMEL.sub("_", name).lower().replace("/", "_")
                table[name] = Method("implemented", f"{module}:{function}", name in _EXPERIMENTAL, lane)
    for name, answer in _EMPTY.items():
        table[name] = Method("empty", experimental=name in _EXPERIMENTAL, answer=answer)
    for note, names in _REFUSED.items():
        for name in names.split():
            table[name] = Method("refused", experimental=name in _EXPERIMENTAL, note=note)
    return {name: table[name] for name in METHOD_NAMES}


METHODS: Final = _methods()
"""What is done with each method of `METHOD_NAMES`."""

NOTIFICATIONS: Final[dict[str, Message]] = {}
SERVER_REQUESTS: Final[dict[str, Message]] = {}
DIVERGENCES: Final[tuple[Divergence, ...]] = ()
