"""Response items: what of their schema makes a record count, and what replay asks of them.

An item of a known type must fit its schema, or its record does not count; one of an unknown type is kept in the file
and never sent to a model (``storage.md`` 2.1, 2.4). What a tool gave is the largest there is, and stays bytes. Those
who ask have seen to it that all bytes are UTF-8, as every reading of a record does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec

from threadkeep.records._record import EMPTY_RAW, is_utf8

if TYPE_CHECKING:
    from threadkeep.records._record import Record

__all__ = [
    "AgentMessage",
    "CompactionTrigger",
    "HarnessMetadata",
    "InputImage",
    "InputText",
    "Message",
    "OutputText",
    "ResponseItem",
    "harness_metadata",
    "item_of",
    "response_item",
]


Unsigned = Annotated[int, msgspec.Meta(ge=0)]

_COPIED: Final = 1 << 20
"""Longer lines are not cut into pieces: those are copies."""

_METADATA: Final = b'},"metadata":{'
_BEFORE_METADATA: Final = len(_METADATA) - 1

_Raw: Final = msgspec.Raw


class _Passthrough(msgspec.Struct, gc=False):
    turn_id: str | None = None
    create_time: float | int | None = None


class _Item(msgspec.Struct, tag_field="type", kw_only=True, gc=False):
    id: str | None = None
    internal_chat_message_metadata_passthrough: _Passthrough | None = None

    @property
    def turn_id(self) -> str | None:
        """The turn that the item names."""
        passthrough = self.internal_chat_message_metadata_passthrough
        return passthrough.turn_id if passthrough is not None else None


class InputText(msgspec.Struct, gc=False, tag_field="type", tag="input_text"):
    """Text for the model."""

    text: str


class OutputText(msgspec.Struct, gc=False, tag_field="type", tag="output_text"):
    """Text of the model."""

    text: str
    annotations: list[msgspec.Raw] | None = None
    logprobs: list[msgspec.Raw] | None = None


class InputImage(msgspec.Struct, tag_field="type", tag="input_image"):
    """An image, by address or by file; one of the two must be a string, the other is not looked at."""

    image_url: Any = None
    file_id: Any = None
    detail: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.image_url, str) and not isinstance(self.file_id, str):
            raise ValueError("an image names its source")  # noqa: TRY004 - what msgspec turns into its own error


class InputAudio(msgspec.Struct, tag_field="type", tag="input_audio"):
    """A sound, by address or by file; one of the two must be a string, the other is not looked at."""

    audio_url: Any = None
    file_id: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.audio_url, str) and not isinstance(self.file_id, str):
            raise ValueError("a sound names its source")  # noqa: TRY004 - as above


class EncryptedPart(msgspec.Struct, tag_field="type", tag="encrypted_content"):
    """A part that only the provider can read."""

    encrypted_content: str


_QUOTE: Final = 0x22
_decode_output: Final = msgspec.json.Decoder(str | list[InputText | InputImage | InputAudio | EncryptedPart]).decode


Part = InputText | OutputText | InputImage | InputAudio


class Message(_Item, tag="message", kw_only=True):
    """A message: whose it is says ``role``."""

    role: str
    content: list[Part]
    phase: str | None = None
    status: str | None = None
    encrypted_content: str | None = None

    @property
    def texts(self) -> list[str]:
        """Its input texts."""
        return [part.text for part in self.content if isinstance(part, InputText)]


class AgentMessage(_Item, tag="agent_message", kw_only=True):
    """A message of another agent."""

    author: str
    recipient: str
    content: list[InputText | EncryptedPart]


class AdditionalTools(_Item, tag="additional_tools", kw_only=True):
    """Tools that were added on the way."""

    role: str
    tools: list[msgspec.Raw]


class _SummaryText(msgspec.Struct, gc=False, tag_field="type", tag="summary_text"):
    text: str


class _ReasoningText(msgspec.Struct, gc=False, tag_field="type", tag="reasoning_text"):
    text: str


class _PlainText(msgspec.Struct, gc=False, tag_field="type", tag="text"):
    text: str


class Reasoning(_Item, tag="reasoning", kw_only=True):
    """The model's reasoning, sealed or not."""

    summary: list[_SummaryText]
    content: list[_ReasoningText | _PlainText] | None = None
    encrypted_content: str | None = None


class _Exec(msgspec.Struct, tag_field="type", tag="exec"):
    command: list[str]
    timeout_ms: Unsigned | None = None
    working_directory: str | None = None
    user: str | None = None
    env: dict[str, str] | None = None


class LocalShellCall(_Item, tag="local_shell_call", kw_only=True):
    """A command that the model ran by the hosted shell."""

    status: Literal["completed", "in_progress", "incomplete"]
    action: _Exec
    call_id: str | None = None
    encrypted_content: str | None = None


class FunctionCall(_Item, tag="function_call", kw_only=True):
    """A function call."""

    name: str
    arguments: str
    call_id: str
    namespace: str | None = None
    status: str | None = None
    encrypted_content: str | None = None
    encrypted_function_args: list[str] | None = None


class _Output(_Item, kw_only=True):
    """What a call gave: a text, or parts."""

    output: msgspec.Raw

    def __post_init__(self) -> None:
        # A text may be large, and nobody asks for it: that it is well-formed is checked already.
        if memoryview(self.output)[0] != _QUOTE:
            try:
                _decode_output(self.output)
            except msgspec.ValidationError as error:
                said, _, place = str(error).partition(" - at `$")
                raise ValueError(f"{said} - at `$.output{place or '`'}") from None


class FunctionCallOutput(_Output, tag="function_call_output", kw_only=True):
    """What a function call gave."""

    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None


class CustomToolCall(_Item, tag="custom_tool_call", kw_only=True):
    """A call of a tool with free input."""

    name: str
    input: str
    call_id: str
    namespace: str | None = None
    status: str | None = None
    encrypted_content: str | None = None


class CustomToolCallOutput(_Output, tag="custom_tool_call_output", kw_only=True):
    """What a tool with free input gave."""

    call_id: str
    name: str | None = None


class ToolSearchCall(_Item, tag="tool_search_call", kw_only=True):
    """A search among tools."""

    execution: str
    arguments: msgspec.Raw
    call_id: str | None = None
    status: str | None = None
    encrypted_content: str | None = None


class ToolSearchOutput(_Item, tag="tool_search_output", kw_only=True):
    """What a search among tools gave."""

    execution: str
    status: str
    tools: list[msgspec.Raw]
    call_id: str | None = None


class _WebAction(msgspec.Struct):
    type: Any
    query: Any = None
    queries: Any = None
    url: Any = None
    pattern: Any = None

    def __post_init__(self) -> None:
        if self.type not in _WEB_ACTIONS:
            return
        texts = [getattr(self, name) for name in _WEB_ACTIONS[self.type]]
        queries = self.queries if self.type == "search" and self.queries is not None else []
        if not isinstance(queries, list) or not all(
            text is None or isinstance(text, str) for text in [*texts, *queries]
        ):
            raise ValueError("a search is described by texts")


_WEB_ACTIONS: Final = {"search": ("query",), "open_page": ("url",), "find_in_page": ("url", "pattern")}


class WebSearchCall(_Item, tag="web_search_call", kw_only=True):
    """A web search that the model made."""

    status: str | None = None
    action: _WebAction | None = None
    encrypted_content: str | None = None


class ImageGenerationCall(_Item, tag="image_generation_call", kw_only=True):
    """An image that the model made."""

    status: str
    result: str
    revised_prompt: str | None = None
    encrypted_content: str | None = None


class Compaction(_Item, tag="compaction", kw_only=True):
    """A sealed summary."""

    encrypted_content: str


class CompactionSummary(_Item, tag="compaction_summary", kw_only=True):
    """A sealed summary, by its older name."""

    encrypted_content: str


class _Effort(msgspec.Struct):
    effort: str


class ConfigurationUpdate(_Item, tag="configuration_update", kw_only=True):
    """A change of how the model is to work."""

    reasoning: _Effort


class CompactionTrigger(_Item, tag="compaction_trigger", kw_only=True):
    """Asks the provider to compact; never stored."""


class ContextCompaction(_Item, tag="context_compaction", kw_only=True):
    """A compaction that the provider made."""

    encrypted_content: str | None = None


ResponseItem = (
    Message
    | AgentMessage
    | AdditionalTools
    | Reasoning
    | LocalShellCall
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | ToolSearchCall
    | ToolSearchOutput
    | WebSearchCall
    | ImageGenerationCall
    | Compaction
    | CompactionSummary
    | ConfigurationUpdate
    | CompactionTrigger
    | ContextCompaction
)
"""A response item of a known type."""

KNOWN_ITEMS: Final = frozenset(
    str(item.__struct_config__.tag)
    for item in (
        Message,
        AgentMessage,
        AdditionalTools,
        Reasoning,
        LocalShellCall,
        FunctionCall,
        FunctionCallOutput,
        CustomToolCall,
        CustomToolCallOutput,
        ToolSearchCall,
        ToolSearchOutput,
        WebSearchCall,
        ImageGenerationCall,
        Compaction,
        CompactionSummary,
        ConfigurationUpdate,
        CompactionTrigger,
        ContextCompaction,
    )
)


class HarnessMetadata(msgspec.Struct, gc=False):
    """The metadata beside a response item: what of it makes a record count."""

    delivered_assistant_message: str | None = None
    user_input_order: Unsigned | None = None
    history_sequence: Unsigned | None = None
    sampled_through_sequence: Unsigned | None = None
    fallback_token_limit_override: Unsigned | None = None
    compaction_model_hash: str | None = None
    client_authored: bool = False
    compaction_output: bool = False
    additional_context_tool_output: bool = False
    compaction_without_file_error_sources: bool = False
    guardian_source_order_guidance: bool = False
    harness_authored_configuration: bool = False
    inherited_user_message: bool = False
    native_search_fallback_used: bool = False


class _Kind(msgspec.Struct):
    type: str


_decode_item: Final = msgspec.json.Decoder(ResponseItem).decode
_decode_metadata: Final = msgspec.json.Decoder(HarnessMetadata | None).decode
_decode_kind: Final = msgspec.json.Decoder(_Kind).decode


def response_item(payload: msgspec.Raw | bytes) -> ResponseItem | str | None:
    """A response item; its type alone where that is unknown; None where the payload does not fit its schema."""
    try:
        item: ResponseItem = _decode_item(payload)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _unknown_kind(payload)
    return item


def _unknown_kind(payload: msgspec.Raw | bytes) -> str | None:
    try:
        kind = _decode_kind(payload).type
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return kind if kind not in KNOWN_ITEMS else None


def harness_metadata(raw: msgspec.Raw) -> HarnessMetadata | None:
    """The metadata beside a response item; None where there is none.

    Raises:
        ValueError: It does not fit its schema: the record does not count.
    """
    if len(raw) == 0:
        return None
    try:
        metadata: HarnessMetadata | None = _decode_metadata(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("harness metadata that does not fit") from error
    return metadata


ItemParts: TypeAlias = tuple[msgspec.Raw, msgspec.Raw, ResponseItem, HarnessMetadata | None]
"""A response item that counts: its bytes, those of the metadata beside it (empty where there is none), both decoded."""


def item_of(record: Record) -> ItemParts | None:
    """The response item that a record holds, with the metadata beside it; None for one that does not count.

    Does not count: a damaged line, an item of unknown type, and one that does not fit its schema, or whose metadata
    does not.
    """
    # A line in the form that Codex writes need not be decoded twice: its head is known, and where what follows is one
    # JSON object, then metadata that is another, then the end, they are payload and metadata, whatever they hold.
    start, line = record.payload_start(), record.line
    if start is not None and line[-2:] == b"}}" and len(line) <= _COPIED and (line.isascii() or is_utf8(line)):
        named = line.rfind(_METADATA, start)
        try:
            if named < 0:
                payload = _Raw(line[start:-1])
                return payload, EMPTY_RAW, _decode_item(payload), None
            payload, harness = _Raw(line[start : named + 1]), _Raw(line[named + _BEFORE_METADATA : -1])
            return payload, harness, _decode_item(payload), _decode_metadata(harness)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            pass  # the line may have another form
    parts = record.parts()
    return _item_of_parts(*parts) if parts is not None else None


def _item_of_parts(payload: msgspec.Raw, harness: msgspec.Raw) -> ItemParts | None:
    """The same for lines of every form, piece by piece."""
    try:
        return payload, harness, _decode_item(payload), _decode_metadata(harness) if len(harness) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
