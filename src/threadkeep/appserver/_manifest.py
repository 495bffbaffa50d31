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
    "_lists": "none: thread/list thread/loaded/list; read: thread/turns/list thread/items/list thread/items/read",
    "_search": "none: thread/search; read: thread/searchOccurrences",
    "_manage": "thread: thread/name/set thread/metadata/update thread/archive thread/unarchive thread/delete "
    "thread/revert thread/unsubscribe thread/settings/update thread/memoryMode/set thread/readState/update",
    "_turns": "thread: turn/start thread/compact/start thread/inject_items; urgent: turn/steer turn/interrupt",
    "_account": "none: account/read getAuthStatus",
    "_catalogs": "none: model/list modelProvider/capabilities/read collaborationMode/list permissionProfile/list "
    "experimentalFeature/list skills/list",
    "_config_read": "none: config/read configRequirements/read",
    "_misc": "none: hooks/list remoteControl/status/read account/rateLimits/read",
}
"""The module of each method, its lane before it."""

_NOTES: Final = {
    "initialize": "answered before anything else is loaded",
    "thread/fork": "`attachToSource` is refused",
    "account/read": "a key or none; never a ChatGPT account",
    "getAuthStatus": "the same, in the form of an older protocol; the key itself is not told",
    "skills/list": "an empty list for each folder",
}
"""What is to be said of methods that are implemented."""

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
    "plugin/list": {"marketplaces": [], "marketplaceLoadErrors": [], "featuredPluginIds": []},
    "plugin/installed": {"marketplaces": [], "marketplaceLoadErrors": []},
    "plugin/share/list": {"data": []},
    "app/list": _PAGE,
    "app/installed": {"apps": []},
    "remoteControl/client/list": _PAGE,
    "mcpServerStatus/list": _PAGE,
    "windowsSandbox/readiness": {"status": "notConfigured"},
    "account/bedrock/checkGovCloudRequirements": {"isGovCloud": False, "shouldWarn": False},
    "accountSession/list": {"activeSessionId": None, "sessions": []},
    "account/securitySetup/read": {"notice": None},
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
    "speech": "thread/timeline/list thread/realtime/start thread/realtime/appendAudio thread/realtime/appendText "
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
    table = {"initialize": Method("implemented", note=_NOTES["initialize"])}
    for module, lanes in _IMPLEMENTED.items():
        for part in lanes.split("; "):
            lane, names = part.split(": ")
            for name in names.split():
                function = _WORD_IN_CAMEL.sub("_", name).lower().replace("/", "_")
                note = _NOTES.get(name, "")
                table[name] = Method("implemented", f"{module}:{function}", name in _EXPERIMENTAL, lane, note)
    for name, answer in _EMPTY.items():
        table[name] = Method("empty", experimental=name in _EXPERIMENTAL, answer=answer)
    for note, names in _REFUSED.items():
        for name in names.split():
            table[name] = Method("refused", experimental=name in _EXPERIMENTAL, note=note)
    return {name: table[name] for name in METHOD_NAMES}


METHODS: Final = _methods()
"""What is done with each method of `METHOD_NAMES`."""

_SENT: Final = {
    "error": "a turn failed, or a call of the model is tried again",
    "thread/started": "after the answer of `thread/start` and `thread/fork`",
    "thread/status/changed": "a thread is loaded or let go, a turn begins or ends",
    "thread/readState/changed": "a turn ended, or a client said what is read",
    "thread/archived": "",
    "thread/deleted": "",
    "thread/unarchived": "",
    "thread/closed": "a thread without watchers was let go",
    "thread/reverted": "",
    "thread/name/updated": "",
    "thread/goal/cleared": "after a thread was loaded: it has no goal",
    "thread/settings/updated": "what a thread's turns run with has changed",
    "thread/tokenUsage/updated": "a call of the model ended, or a thread was loaded",
    "turn/started": "",
    "turn/completed": "",
    "item/started": "",
    "item/completed": "after the item is durable",
    "account/rateLimits/updated": "after each call of the model: no limits are known",
    "item/agentMessage/delta": "",
    "item/reasoning/summaryTextDelta": "",
    "item/reasoning/summaryPartAdded": "",
    "item/reasoning/textDelta": "where the provider shows it",
    "remoteControl/status/changed": "once, first of all: there is none",
    "warning": "damage that was found, and whatever else people should know",
    "deprecationNotice": "before the whole history of a paginated thread",
}
"""The notifications that are sent, and when."""

_NEVER: Final = {
    "there are no skills, hooks, plugins, apps or MCP servers": "skills/changed hook/started hook/completed "
    "app/list/updated item/mcpToolCall/progress mcpServer/oauthLogin/completed mcpServer/startupStatus/updated "
    "mcpServer/event/stream/notification",
    "there are no goals, queues, attachments, sections, projects or predictions": "thread/goal/updated "
    "thread/queue/changed thread/attachment/updated thread/section/changed project/changed "
    "thread/project/updated thread/prediction/updated",
    "nothing is run and no file is changed": "thread/environment/connected thread/environment/disconnected "
    "turn/diff/updated turn/plan/updated item/plan/delta command/exec/outputDelta process/outputDelta process/exited "
    "item/commandExecution/outputDelta item/commandExecution/terminalInteraction item/fileChange/outputDelta "
    "item/fileChange/patchUpdated fs/changed fuzzyFileSearch/sessionUpdated fuzzyFileSearch/sessionCompleted "
    "windows/worldWritableWarning windowsSandbox/setupCompleted",
    "nothing is approved or reviewed": "item/autoApprovalReview/started item/autoApprovalReview/completed "
    "autoApprovalReview/strictReviewRequired guardianWarning serverRequest/resolved",
    "nobody signs in or out": "account/updated account/gatewayOAuth/changed account/login/completed "
    "modelProvider/authRecoveryStarted modelProvider/authRecoveryCompleted",
    "the model that is asked for is the model that answers": "model/rerouted model/verification "
    "turn/moderationMetadata model/safetyBuffering/updated",
    "a compaction is an item of its turn": "thread/compacted",
    "what is wrong with the configuration is the answer of the request that needs it": "configWarning",
    "nothing is imported": "externalAgentConfig/import/progress externalAgentConfig/import/completed",
    "there is no speech": "thread/realtime/started thread/realtime/itemAdded thread/realtime/item/started "
    "thread/realtime/item/transcript/delta thread/realtime/item/completed thread/realtime/transcript/delta "
    "thread/realtime/transcript/done thread/realtime/outputAudio/delta thread/realtime/sdp thread/realtime/error "
    "thread/realtime/closed",
}
"""The notifications that are never sent, under the reason."""


def _notifications() -> dict[str, Message]:
    table = {name: Message("sent", note) for name, note in _SENT.items()}
    for note, names in _NEVER.items():
        table.update((name, Message("never", note)) for name in names.split())
    return table


NOTIFICATIONS: Final = _notifications()
"""What is done with each of the 86 notifications of the server."""

_NOTHING_TO_APPROVE: Final = "nothing is run that someone would have to allow"
_NO_ACCOUNT: Final = "there is never a ChatGPT account"

SERVER_REQUESTS: Final = {
    "item/commandExecution/requestApproval": Message("never", _NOTHING_TO_APPROVE),
    "item/fileChange/requestApproval": Message("never", _NOTHING_TO_APPROVE),
    "item/tool/requestUserInput": Message("never", "the engine has no tool that asks"),
    "mcpServer/elicitation/request": Message("never", "there are no MCP servers"),
    "item/permissions/requestApproval": Message("never", _NOTHING_TO_APPROVE),
    "item/tool/call": Message("sent", "the model calls one of the client's dynamic tools"),
    "account/chatgptAuthTokens/refresh": Message("never", _NO_ACCOUNT),
    "attestation/generate": Message("never", _NO_ACCOUNT),
    "currentTime/read": Message("never", "the clock is the server's"),
    "applyPatchApproval": Message("never", "of an older protocol"),
    "execCommandApproval": Message("never", "of an older protocol"),
}
"""What is done with each of the 11 requests of the server."""

DIVERGENCES: Final = (
    Divergence(
        "unknown-extras",
        "Thread",
        "`section`, `projectId`, `attachedToThreadId`, `daybreakEnabled` and `extra` are filled from what else the "
        "home keeps",
        "they are null",
        "they say nothing about the conversation",
    ),
    Divergence(
        "legacy-items",
        "thread/items/list, thread/items/read, thread/searchOccurrences",
        "answers -32601 for a legacy thread",
        "works on every thread",
        "pages are made from the rollout itself",
    ),
    Divergence(
        "legacy-revert",
        "thread/revert",
        "refuses a legacy thread",
        "works in both modes",
        "a fork by reference needs no index",
    ),
    Divergence(
        "legacy-forks",
        "thread/fork",
        "copies a legacy parent into a legacy child",
        "the child of a legacy thread is paginated and inherits by reference",
        "nothing is copied; the pages of such a child work as those of every thread",
    ),
    Divergence(
        "legacy-item-ids",
        "thread/items/list, thread/turns/list, thread/read",
        "counts the items of a legacy thread from its beginning (`item-1`), and forgets its tool calls",
        "names them by their places (`item-2365`), shows the calls that the records hold, and names what it was itself "
        "told live by the ids that it was told with",
        "an id that is a count costs the whole history, and changes with a rollback",
    ),
    Divergence(
        "delete-parents",
        "thread/delete",
        "refuses to delete a paginated thread that others inherit from",
        "deletes it; what the others inherit stays theirs",
        "a delete never takes what was not named, and need not be refused for it",
    ),
    Divergence(
        "empty-parents",
        "thread/fork",
        "refuses to fork a thread that was just started and has no records",
        "makes its rollout and forks it",
        "a fork of a thread without turns is a thread without turns",
    ),
    Divergence(
        "fork-facts",
        "Thread of ephemeral forks, of reverted threads and in thread/list",
        "an ephemeral fork has no preview and does not say what it was forked from; lists leave `forkedFromId` out; a "
        "thread keeps the preview that it had before everything was reverted",
        "they say what their records say",
        "one thread is described in one way",
    ),
    Divergence(
        "writer-owner",
        "the error of a thread that another process holds",
        "says no more than that",
        "names the owner in the error's `data`",
        "a person must be able to find who holds a thread",
    ),
    Divergence(
        "codex-owned",
        "thread/name/set, thread/archive, thread/unarchive, thread/revert",
        "changes its own index",
        "has the installed Codex change a thread that Codex has indexed; without one, keeps the change to itself and "
        "tells so in a `warning`",
        "Codex's index is never written here",
    ),
    Divergence(
        "memory-mode",
        "thread/memoryMode/set, `daybreakEnabled` of thread/metadata/update",
        "keeps them in its index; the memory mode of a legacy thread in its rollout, too",
        "looks for the thread and keeps nothing",
        "no memories are made here, and those that Codex makes go by its own index",
    ),
    Divergence(
        "fresh-threads",
        "thread/read, thread/turns/list, thread/items/list of a thread that was just started",
        "says of a paginated one, once somebody asked for its turns, that lists are not supported yet",
        "says that it is not materialized yet, as for a legacy one",
        "that is what it is",
    ),
    Divergence(
        "given-history",
        "thread/resume with `history`",
        "the preview is the first message of the items",
        "there is no preview before a user says something",
        "the items are what the model knows, and not what was said in this thread",
    ),
    Divergence(
        "running-fork-summary",
        "thread/turns/list of a fork that was made while a turn ran",
        "the summary of that turn has the message that the model had finished by then",
        "it has the user's message alone, as every turn that was interrupted",
        "one rule for all turns that were cut off",
    ),
    Divergence(
        "search-snippets",
        "thread/search",
        "also searches what a client puts in front of a conversation for the model",
        "searches what was said",
        "nobody looks for the name of the folder in every thread",
    ),
    Divergence(
        "usage-turn",
        "thread/tokenUsage/updated after a resume",
        "a turn that was interrupted while nobody watched has no usage",
        "it has, whoever watched",
        "what is recorded does not depend on who looks",
    ),
    Divergence(
        "no-index",
        "thread/read, thread/turns/list, thread/items/list",
        "answers success and no turns while the history's index is missing",
        "answers the history",
        "an empty history that is none misleads clients",
    ),
    Divergence(
        "damage-told",
        "warning",
        "damage makes a thread vanish, or is passed over without a word",
        "serves what can be read and tells of the rest in a `warning`",
        "nobody should lose records without hearing of it",
    ),
    Divergence(
        "user-agent",
        "initialize",
        "the user agent names Codex's version, then the operating system and the terminal",
        "names the same version first, for clients that look at it, and threadkeep's after it",
        "whoever reads a log must be able to tell the two apart",
    ),
    Divergence(
        "deprecation-words",
        "deprecationNotice",
        "words of its own",
        "threadkeep's words",
        "texts of Codex are not part of threadkeep",
    ),
    Divergence(
        "cursors",
        "thread/list, thread/turns/list, thread/items/list and other pages",
        "cursors are JSON or times",
        "cursors have threadkeep's own form; those of one server mean nothing to the other",
        "a cursor is opaque; ours holds the end that was fixed when the first page was made",
    ),
    Divergence(
        "attached-threads",
        "thread/fork, thread/list",
        "`attachToSource` makes a thread that belongs to its parent and is told of together with it",
        "answers -32601; no thread is attached to another",
        "a fork by reference is a thread of its own",
    ),
    Divergence(
        "accounts",
        "account/read, getAuthStatus",
        "`OPENAI_API_KEY` alone is no account; `getAuthStatus` gives the key away to who asks for it",
        "it is one, since the engine calls models with it; the key is never told",
        "a client should not ask for a sign-in that nothing needs, nor learn a secret that it does not need",
    ),
    Divergence(
        "refusals",
        "methods that are refused",
        "carries them out, or answers why it cannot",
        "answers -32601 and one text, whatever the parameters are",
        "threadkeep keeps threads; it runs nothing and signs in nobody",
    ),
    Divergence(
        "empty-answers",
        "methods that are answered empty",
        "checks the parameters; some answers name built-in things or fail without an account",
        "one answer that lists nothing, whatever the parameters are",
        "clients ask for these lists as they start and go on without them",
    ),
    Divergence(
        "audio-input",
        "turn/start, turn/steer",
        "takes recordings for models that hear",
        "refuses them",
        "the built-in engine sends texts and images",
    ),
    Divergence(
        "invalid-utf8",
        "stdio",
        "a line that is not UTF-8 ends the process",
        "the line is passed over like every other that is no message",
        "one broken line must not end the work of a client",
    ),
    Divergence(
        "loose-envelope",
        "messages",
        "a message with two ids or methods, or a malformed `trace`, gets no answer",
        "the last id and method count; `trace` is passed over",
        "no client sends these, and an answer says more than none",
    ),
    Divergence(
        "serde-corners",
        "error texts of wrong parameters",
        "tells a number with an exponent or trailing zeros as a map, and one among `dynamicTools` without its value",
        "tells every number in the same words",
        "accidents of a library that no client relies on",
    ),
)
"""What is knowingly done otherwise than by 0.169.0. Tests name these ids."""
