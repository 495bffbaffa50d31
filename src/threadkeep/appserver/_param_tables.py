"""The parameters of the methods that are implemented, in the order in which 0.169.0 declares them.

The order shows: it is the order in which missing members, and members that are experimental, are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver._param_types import (
    ABSOLUTE_PATH,
    ANY,
    BOOL,
    EFFORT,
    GRANULAR,
    PATH,
    PATH_OR_NOTHING,
    STRING,
    U32,
    UNIT,
    USIZE,
    Mismatch,
    Struct,
    array,
    clearable,
    defaulted,
    enum,
    mapping,
    optional,
    required,
    tagged,
    untagged,
)

if TYPE_CHECKING:
    from threadkeep.appserver._param_types import Type

__all__ = ["TABLES"]

# Words

_ASCENDING: Final = enum("asc desc")
_HISTORY_MODE: Final = enum("legacy paginated")
_ITEMS_VIEW: Final = enum("notLoaded summary full")
_MODE: Final = enum(
    "plan code custom default execute pair_programming",
    aliases={"code": "default", "custom": "default", "execute": "default", "pair_programming": "default"},
)
_MULTI_AGENT: Final = enum("none custom explicitRequestOnly proactive", payloads={"custom": STRING})
_PERSONALITY: Final = enum("none friendly pragmatic")
_REVIEWER: Final = enum("user auto_review guardian_subagent")
_SANDBOX_MODE: Final = enum("read-only workspace-write danger-full-access")
_SOURCE_KIND: Final = enum(
    "cli vscode exec appServer subAgent subAgentReview subAgentCompact subAgentThreadSpawn subAgentOther unknown"
)
_SUMMARY: Final = enum("auto concise detailed none")
_DETAIL: Final = enum("auto low high original")

# Objects

_APPROVAL: Final = enum(
    "untrusted on-request granular never",
    payloads={
        "granular": GRANULAR,
    },
)
_SANDBOX_POLICY: Final = tagged(
    "SandboxPolicyDeserialize",
    dangerFullAccess=Struct("DangerFullAccess"),
    readOnly=Struct("ReadOnly", defaulted("networkAccess", BOOL)),
    externalSandbox=Struct("ExternalSandbox", defaulted("networkAccess", enum("restricted enabled"))),
    workspaceWrite=Struct(
        "WorkspaceWrite",
        defaulted("writableRoots", array(ABSOLUTE_PATH)),
        defaulted("networkAccess", BOOL),
        defaulted("excludeTmpdirEnvVar", BOOL),
        defaulted("excludeSlashTmp", BOOL),
    ),
)
_ENVIRONMENTS: Final = array(
    Struct(
        "TurnEnvironmentParams",
        required("environmentId", STRING),
        required("cwd", STRING),
        optional("runtimeWorkspaceRoots", array(STRING)),
    )
)
_COLLABORATION: Final = Struct(
    "CollaborationMode",
    required("mode", _MODE),
    required(
        "settings",
        Struct(
            "Settings",
            required("model", STRING),
            optional("reasoning_effort", EFFORT),
            optional("developer_instructions", STRING),
        ),
    ),
)
_TOOL: Final = Struct(
    "LegacyDynamicToolSpec",
    optional("namespace", STRING),
    required("name", STRING),
    required("description", STRING),
    required("inputSchema", ANY),
    defaulted("deferLoading", BOOL),
)
_TOOL_IN_NAMESPACE: Final = tagged("DynamicToolNamespaceTool", function=_TOOL)
_TAGGED_TOOL: Final = tagged(
    "DynamicToolSpec",
    function=_TOOL,
    namespace=Struct(
        "DynamicToolNamespaceSpec",
        required("name", STRING),
        required("description", STRING),
        required("tools", array(_TOOL_IN_NAMESPACE)),
    ),
)
_CAPABILITY_ROOT: Final = Struct(
    "SelectedCapabilityRoot",
    required("id", STRING),
    required(
        "location",
        tagged(
            "CapabilityRootLocation",
            environment=Struct("Environment", required("environmentId", STRING), required("path", STRING)),
        ),
    ),
)
_CONTEXT_ENTRY: Final = Struct(
    "AdditionalContextEntry",
    required("value", STRING),
    required("kind", enum("untrusted application")),
    optional("name", STRING),
)


def _dynamic_tool(value: Any) -> Any:
    """A tool of the client's: of a named type, or in the older form without one."""
    return _TAGGED_TOOL(value) if isinstance(value, dict) and "type" in value else _TOOL(value)


def _response_item(value: Any) -> Any:
    """An item of the model's history, as it is: who takes it looks at the rest."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return _UNTYPED(value)
    return value


_UNTYPED: Final = tagged("ResponseItem")

# What a user says


def _reference(name: str) -> Type:
    """An image or a recording: where it is, or the id of a file that the provider has."""

    def check(value: dict[str, Any]) -> None:
        if not isinstance(value.get("url"), str) and not isinstance(value.get("fileId"), str):
            raise Mismatch(f"data did not match any variant of untagged enum {name}")

    return check


_TEXT_ELEMENT: Final = Struct(
    "TextElement",
    required("byteRange", Struct("ByteRange", required("start", USIZE), required("end", USIZE))),
    optional("placeholder", STRING),
)
_PATH_AND_NAME: Final = (required("name", STRING), required("path", PATH))
_TAGGED_INPUT: Final = tagged(
    "UserInput",
    text=Struct("Text", required("text", STRING), defaulted("text_elements", array(_TEXT_ELEMENT))),
    image=Struct("Image", optional("detail", _DETAIL), defaulted("url", ANY), defaulted("fileId", ANY)),
    localImage=Struct("LocalImage", optional("detail", _DETAIL), required("path", PATH)),
    audio=Struct("Audio", defaulted("url", ANY), defaulted("fileId", ANY)),
    localAudio=Struct("LocalAudio", required("path", PATH)),
    skill=Struct("Skill", *_PATH_AND_NAME),
    mention=Struct("Mention", required("name", STRING), required("path", STRING)),
)
_REFERENCES: Final = {"image": _reference("ImageReference"), "audio": _reference("AudioReference")}


def _user_input(value: Any) -> Any:
    """One part of what a user says."""
    taken = _TAGGED_INPUT(value)
    if taken["type"] in _REFERENCES:
        _REFERENCES[taken["type"]](taken)
    return taken


_INPUT: Final = array(_user_input)
_OUTPUT_CONTENT: Final = tagged(
    "FunctionCallOutputContentItem",
    input_text=Struct("InputText", required("text", STRING)),
    input_image=Struct("InputImage", defaulted("image_url", ANY), defaulted("file_id", ANY), optional("detail", ANY)),
    input_audio=Struct("InputAudio", defaulted("audio_url", ANY), defaulted("file_id", ANY)),
    encrypted_content=Struct("EncryptedContent", required("encrypted_content", STRING)),
)
_TOOL_OUTPUT: Final = Struct(
    "TurnToolOutput",
    required("name", STRING),
    optional("namespace", STRING),
    required("output", untagged("FunctionCallOutputBody", STRING, array(_OUTPUT_CONTENT))),
    defaulted("retain", BOOL),
)

# Members that several methods have

_THREAD: Final = required("threadId", STRING)
_CURSOR: Final = optional("cursor", STRING)
_LIMIT: Final = optional("limit", U32)
_DIRECTION: Final = optional("sortDirection", _ASCENDING)
_MODEL: Final = (optional("model", STRING), optional("modelProvider", STRING))
_TIER: Final = clearable("serviceTier", STRING)
_ROOTS: Final = optional("runtimeWorkspaceRoots", array(ABSOLUTE_PATH), gated=True)
_POLICIES: Final = (optional("approvalPolicy", _APPROVAL), optional("approvalsReviewer", _REVIEWER))
_PERMISSIONS: Final = optional("permissions", STRING, gated=True)
_INSTRUCTIONS: Final = (optional("baseInstructions", STRING), optional("developerInstructions", STRING))
_PLACE_AND_POLICIES: Final = (
    _TIER,
    optional("cwd", STRING),
    _ROOTS,
    *_POLICIES,
    optional("sandbox", _SANDBOX_MODE),
    _PERMISSIONS,
    optional("config", mapping(ANY)),
)
_METADATA: Final = (
    optional("responsesapiClientMetadata", mapping(STRING), gated=True),
    optional("responsesapiClientMetadataPatch", mapping(STRING), gated=True),
    optional("additionalContext", mapping(_CONTEXT_ENTRY), gated=True),
)


def _thread_alone(name: str) -> Struct:
    return Struct(name, _THREAD)


_ANCHOR: Final = tagged("ThreadItemsListAnchor", item=Struct("Item", required("itemId", STRING)))

TABLES: Final[dict[str, Type]] = {
    "thread/start": Struct(
        "ThreadStartParams",
        *_MODEL,
        defaulted("allowProviderModelFallback", BOOL, gated=True),
        *_PLACE_AND_POLICIES,
        optional("serviceName", STRING),
        *_INSTRUCTIONS,
        optional("personality", _PERSONALITY),
        optional("multiAgentMode", _MULTI_AGENT, gated=True),
        optional("ephemeral", BOOL),
        optional("historyMode", _HISTORY_MODE, gated=True),
        optional("sessionStartSource", enum("startup clear")),
        optional("threadSource", STRING),
        optional("projectId", STRING, gated=True),
        optional("daybreakEnabled", BOOL, gated=True),
        optional("environments", _ENVIRONMENTS, gated=True),
        optional("dynamicTools", array(_dynamic_tool), gated=True),
        optional("selectedCapabilityRoots", array(_CAPABILITY_ROOT), gated=True),
        optional("mockExperimentalField", STRING, gated=True),
        defaulted("experimentalRawEvents", BOOL, gated=True),
    ),
    "thread/resume": Struct(
        "ThreadResumeParams",
        _THREAD,
        optional("history", array(_response_item), gated=True),
        optional("path", PATH_OR_NOTHING, gated=True),
        *_MODEL,
        *_PLACE_AND_POLICIES,
        *_INSTRUCTIONS,
        optional("personality", _PERSONALITY),
        defaulted("excludeTurns", BOOL),
        optional(
            "initialTurnsPage",
            Struct(
                "ThreadResumeInitialTurnsPageParams",
                _LIMIT,
                _DIRECTION,
                optional("itemsView", _ITEMS_VIEW),
            ),
            gated=True,
        ),
    ),
    "thread/fork": Struct(
        "ThreadForkParams",
        _THREAD,
        defaulted("experimentalPredictionMode", BOOL, gated=True),
        defaulted("experimentalDisablePredictionMcp", BOOL, gated=True),
        optional("lastTurnId", STRING),
        optional("beforeTurnId", STRING, gated=True),
        optional("path", PATH_OR_NOTHING, gated=True),
        *_MODEL,
        *_PLACE_AND_POLICIES,
        *_INSTRUCTIONS,
        defaulted("ephemeral", BOOL),
        defaulted("attachToSource", BOOL, gated=True),
        optional("threadSource", STRING),
        defaulted("excludeTurns", BOOL),
        defaulted("deferGoalContinuation", BOOL, gated=True),
    ),
    "thread/read": Struct("ThreadReadParams", _THREAD, defaulted("includeTurns", BOOL)),
    "thread/list": Struct(
        "ThreadListParams",
        defaulted("includeAttachedThreads", BOOL, gated=True),
        defaulted("currentAccountOnly", BOOL),
        _CURSOR,
        _LIMIT,
        optional("excludedThreadIds", array(STRING)),
        optional("sortKey", enum("created_at updated_at recency_at section_position")),
        _DIRECTION,
        optional("modelProviders", array(STRING)),
        optional("sourceKinds", array(_SOURCE_KIND)),
        optional("originators", array(STRING)),
        optional("archived", BOOL),
        optional("sectionId", STRING),
        clearable("projectId", STRING, gated=True),
        optional("cwd", untagged("ThreadListCwdFilter", STRING, array(STRING))),
        defaulted("useStateDbOnly", BOOL),
        optional("searchTerm", STRING),
        optional("parentThreadId", STRING, gated=True),
        optional("ancestorThreadId", STRING, gated=True),
        optional("attachedToThreadId", STRING, gated=True),
    ),
    "thread/loaded/list": Struct("ThreadLoadedListParams", _CURSOR, _LIMIT),
    "thread/turns/list": Struct(
        "ThreadTurnsListParams", _THREAD, _CURSOR, _LIMIT, _DIRECTION, optional("itemsView", _ITEMS_VIEW)
    ),
    "thread/items/list": Struct(
        "ThreadItemsListParams",
        _THREAD,
        optional("turnId", STRING),
        optional("cursor", untagged("ThreadItemsListCursor", STRING, _ANCHOR)),
        _LIMIT,
        _DIRECTION,
        optional(
            "deferOutput",
            Struct(
                "ThreadItemOutputDeferral",
                defaulted("commandExecution", BOOL, gated=True),
                defaulted("mcpToolCall", BOOL, gated=True),
            ),
        ),
    ),
    "thread/items/read": Struct(
        "ThreadItemsReadParams", _THREAD, required("turnId", STRING), required("itemIds", array(STRING))
    ),
    "thread/search": Struct(
        "ThreadSearchParams",
        defaulted("includeAttachedThreads", BOOL),
        defaulted("currentAccountOnly", BOOL),
        _CURSOR,
        _LIMIT,
        optional("sortKey", enum("created_at updated_at recency_at")),
        _DIRECTION,
        optional("sourceKinds", array(_SOURCE_KIND)),
        optional("archived", BOOL),
        required("searchTerm", STRING),
    ),
    "thread/searchOccurrences": Struct(
        "ThreadSearchOccurrencesParams", _THREAD, required("searchTerm", STRING), _CURSOR, _LIMIT
    ),
    "thread/name/set": Struct("ThreadSetNameParams", _THREAD, required("name", STRING)),
    "thread/metadata/update": Struct(
        "ThreadMetadataUpdateParams",
        _THREAD,
        optional("projectId", STRING, gated=True),
        optional(
            "gitInfo",
            Struct(
                "ThreadMetadataGitInfoUpdateParams",
                clearable("sha", STRING),
                clearable("branch", STRING),
                clearable("originUrl", STRING),
            ),
        ),
        optional("daybreakEnabled", BOOL, gated=True),
    ),
    "thread/archive": _thread_alone("ThreadArchiveParams"),
    "thread/unarchive": _thread_alone("ThreadUnarchiveParams"),
    "thread/delete": _thread_alone("ThreadDeleteParams"),
    "thread/revert": Struct("ThreadRevertParams", _THREAD, required("beforeTurnId", STRING)),
    "thread/unsubscribe": _thread_alone("ThreadUnsubscribeParams"),
    "thread/settings/update": Struct(
        "ThreadSettingsUpdateParams",
        _THREAD,
        optional("disabledPluginIds", array(STRING)),
        optional("cwd", PATH),
        optional("environments", _ENVIRONMENTS),
        *_POLICIES,
        optional("sandboxPolicy", _SANDBOX_POLICY),
        optional("permissions", STRING),
        optional("model", STRING),
        _TIER,
        optional("effort", EFFORT),
        optional("summary", _SUMMARY),
        optional("collaborationMode", _COLLABORATION),
        optional("multiAgentMode", _MULTI_AGENT),
        optional("personality", _PERSONALITY),
    ),
    "thread/memoryMode/set": Struct("ThreadMemoryModeSetParams", _THREAD, required("mode", enum("enabled disabled"))),
    "thread/readState/update": Struct(
        "ThreadReadStateUpdateParams",
        _THREAD,
        required("operation", tagged("ThreadReadStateOperation", read=Struct("Read"), unread=Struct("Unread"))),
        required("expectedRevision", STRING),
    ),
    "turn/start": Struct(
        "TurnStartParams",
        _THREAD,
        optional("disabledPluginIds", array(STRING)),
        optional("clientUserMessageId", STRING),
        required("input", _INPUT),
        optional("turnTrigger", STRING),
        optional("parentTurnId", STRING),
        optional("rootTurnId", STRING),
        optional("toolOutput", _TOOL_OUTPUT),
        *_METADATA,
        optional("environments", _ENVIRONMENTS, gated=True),
        optional("cwd", PATH),
        _ROOTS,
        *_POLICIES,
        optional("sandboxPolicy", _SANDBOX_POLICY),
        _PERMISSIONS,
        optional("model", STRING),
        _TIER,
        optional("serviceTierForTurn", STRING),
        optional("effort", EFFORT),
        optional("summary", _SUMMARY),
        optional("personality", _PERSONALITY),
        optional("outputSchema", ANY),
        optional("collaborationMode", _COLLABORATION, gated=True),
        optional("multiAgentMode", _MULTI_AGENT, gated=True),
        optional("cyberAccessProgram", enum("standard daybreakBlue daybreakRed"), gated=True),
    ),
    "turn/steer": Struct(
        "TurnSteerParams",
        _THREAD,
        optional("clientUserMessageId", STRING),
        required("input", _INPUT),
        *_METADATA,
        required("expectedTurnId", STRING),
    ),
    "turn/interrupt": Struct("TurnInterruptParams", _THREAD, required("turnId", STRING)),
    "thread/compact/start": _thread_alone("ThreadCompactStartParams"),
    "thread/inject_items": Struct("ThreadInjectItemsParams", _THREAD, required("items", array(ANY))),
    "account/read": Struct("GetAccountParams", defaulted("refreshToken", BOOL)),
    "getAuthStatus": Struct("GetAuthStatusParams", optional("includeToken", BOOL), optional("refreshToken", BOOL)),
    "model/list": Struct(
        "ModelListParams", optional("modelProvider", STRING), _CURSOR, _LIMIT, optional("includeHidden", BOOL)
    ),
    "modelProvider/capabilities/read": Struct("ModelProviderCapabilitiesReadParams"),
    "collaborationMode/list": Struct("CollaborationModeListParams"),
    "permissionProfile/list": Struct("PermissionProfileListParams", _CURSOR, _LIMIT, optional("cwd", STRING)),
    "experimentalFeature/list": Struct("ExperimentalFeatureListParams", _CURSOR, _LIMIT, optional("threadId", STRING)),
    "skills/list": Struct("SkillsListParams", defaulted("cwds", array(PATH)), defaulted("forceReload", BOOL)),
    "config/read": Struct("ConfigReadParams", defaulted("includeLayers", BOOL), optional("cwd", STRING)),
    "configRequirements/read": UNIT,
    "hooks/list": Struct("HooksListParams", defaulted("cwds", array(PATH)), optional("threadId", STRING)),
    "remoteControl/status/read": UNIT,
    "account/rateLimits/read": UNIT,
}
"""What the parameters of each implemented method are, `initialize` excepted: its handshake reads its own."""
