"""The tool calls of a legacy turn, which its rollout holds as response items alone.

Codex shows few of them (``storage.md`` 5.4): what a live client saw of commands, images, dynamic tools and agents is
not in the events that a legacy rollout keeps. Here they are put together again, so that a legacy thread shows what a
paginated one would for the same calls: nothing for those that never ran (unknown tools, wrong arguments, refusals,
patches that do not apply) or that make no item (``write_stdin``, plans, goals, searches for tools).

What was never stored is None and not made up: the times of an item, the shell around a script, what a deleted file
held, whether a tool of an MCP server or of the client called its answer an error. There is one difference on purpose:
a command that was interrupted, or whose output is missing, is shown as failed, where a paginated thread shows nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.replay.items._call_agents import collab_call, is_collab_tool
from threadkeep.replay.items._call_commands import (
    Command,
    CommandCall,
    command_in_argv,
    command_in_call,
    patch_in_call,
    user_shell,
)
from threadkeep.replay.items._call_events import ExecCommandEnd, call_event
from threadkeep.replay.items._call_mcp import mcp_target, mcp_tool_call
from threadkeep.replay.items._call_output import Part, ToolOutput, output_text
from threadkeep.replay.items._call_patch import Patch
from threadkeep.replay.items._call_tools import (
    ImageGenerationCall,
    WebSearchCall,
    dynamic_tool_call,
    image_view,
)
from threadkeep.replay.items._legacy_events import WebSearchEnd
from threadkeep.replay.items._schema import Json, UndecodableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["CallBuilder"]

_FAILURES: Final = (msgspec.MsgspecError, UndecodableError, UnicodeDecodeError, RecursionError)


class _FunctionCall(msgspec.Struct):
    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class _CustomToolCall(msgspec.Struct):
    call_id: str
    name: str
    input: str


class _LocalAction(msgspec.Struct):
    command: list[str]
    working_directory: str | None = None


class _LocalShellCall(msgspec.Struct):
    action: _LocalAction
    call_id: str | None = None
    id: str | None = None


class _Text(msgspec.Struct):
    type: str
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: list[_Text]
    id: str | None = None


class _Stdin(msgspec.Struct):
    session_id: int | str


class _ToolCall:
    """A call of a tool whose item is made of its output.

    Attributes:
        offset: Byte offset of the record at which the item stands.
    """

    def __init__(self, offset: int, make: Callable[[str | list[Part]], Json | None]) -> None:
        self.offset = offset
        self._make = make
        self._item: Json | None = None

    def answer(self, offset: int, output: str | list[Part]) -> None:
        """Take the output. Raises what the item's maker raises: then there is none."""
        self.offset = offset
        self._item = None
        self._item = self._make(output)

    def item(self) -> Json | None:
        """The item; None where the tool did not run, or did not come to its end."""
        return self._item


class CallBuilder:
    """The tool calls of one turn.

    Feed it the turn's records in file order, then ask it once for the items with `finish`. What does not fit is left
    out: nothing here raises. A process that is written to, or ends, in a later turn than that which began it is shown
    as it was when its own turn ended.
    """

    def __init__(
        self,
        *,
        thread_id: str,
        cwd: str | None,
        dynamic_tools: Collection[tuple[str | None, str]] = (),
        hosted_images: bool = False,
    ) -> None:
        """A turn without calls.

        Args:
            thread_id: Id of the thread, who is the sender of what agents are told.
            cwd: The folder that the turn works in; None where it is unknown (then ``cwd`` of commands is empty).
            dynamic_tools: Namespace and name of the client's tools, as `dynamic_tools` lists them.
            hosted_images: Whether ``image_generation_call`` shows an image, as `has_hosted_images` says.
        """
        self._thread_id = thread_id
        self._cwd = cwd
        self._dynamic_tools = frozenset(dynamic_tools)
        self._hosted_images = hosted_images
        self._calls: dict[str, CommandCall | _ToolCall] = {}
        self._made: dict[str, tuple[int, Json]] = {}  # items that need no output
        self._best: dict[str, tuple[int, Json]] = {}  # items of events
        self._sessions: dict[str, CommandCall] = {}  # by the number of the process
        self._stdin: dict[str, str] = {}  # call id of a write_stdin -> number of the process
        self._searches: list[Json] = []  # actions of searches that events show and no call has been found for
        self._user_scripts: list[str] = []  # the same for commands of the user

    def response_item(self, offset: int, subtype: str, payload: msgspec.Raw) -> None:
        """Take a response item, which starts at byte ``offset``."""
        read = _READERS.get(subtype)
        if read is not None:
            with suppress(*_FAILURES):
                read(self, offset, payload)

    def event(self, offset: int, subtype: str, payload: msgspec.Raw) -> None:
        """Take an event, which starts at byte ``offset``.

        The events of calls in extended histories give the items of their calls. A ``web_search_end`` is shown by
        `legacy_item`; here it finds the ``web_search_call`` without an id that it belongs to.
        """
        with suppress(*_FAILURES):
            if subtype == "web_search_end":
                self._searches.append(_decode_search_end(payload).shown()["action"])
                return
            event = call_event(subtype, payload)
            if event is not None:
                self._best[event.call_id] = (offset, event.shown())
                if isinstance(event, ExecCommandEnd) and event.user_script is not None:
                    self._user_scripts.append(event.user_script)

    def finish(self, *, shown_ids: Collection[str], running: bool) -> list[tuple[int, Json]]:
        """The items, each with the offset of the record at which it stands, in the order of these offsets.

        Items are shaped as `thread_item` says, with ``startedAtMs`` and ``completedAtMs`` None. No two have one id.

        Args:
            shown_ids: Ids of the items that the turn shows anyway; they win.
            running: Whether the turn is going on: then a command that nothing says the end of is in progress.
        """
        found = dict(self._made)
        for item_id, call in self._calls.items():
            item = call.item(running=running) if isinstance(call, CommandCall) else call.item()
            if item is not None:
                found[item_id] = (call.offset, item)
        found |= self._best
        items = [
            (offset, {**item, "startedAtMs": None, "completedAtMs": None})
            for item_id, (offset, item) in found.items()
            if item_id not in shown_ids
        ]
        return sorted(items, key=lambda entry: entry[0])

    # --- calls --------------------------------------------------------------------------------------------------------

    def _function_call(self, offset: int, payload: msgspec.Raw) -> None:
        call = _decode_function_call(payload)
        self._calls.pop(call.call_id, None)
        if call.namespace is None and call.name == "write_stdin":
            self._stdin[call.call_id] = str(_decode_stdin(call.arguments).session_id)
            return
        command = None
        if call.namespace is None:
            command = patch_in_call(call.arguments) if call.name == "apply_patch" else None
            command = command or command_in_call(call.name, call.arguments)
        if command is not None:
            self._calls[call.call_id] = CommandCall(call.call_id, offset, command, self._cwd)
            return
        make = self._maker(call)
        if make is not None:
            self._calls[call.call_id] = _ToolCall(offset, make)

    def _maker(self, call: _FunctionCall) -> Callable[[str | list[Part]], Json | None] | None:
        """What makes the item of the call of its output; None for a call that shows nothing."""
        item_id, arguments = call.call_id, call.arguments
        if (call.namespace, call.name) in self._dynamic_tools:
            return lambda output: dynamic_tool_call(item_id, call.namespace, call.name, arguments, output)
        if call.namespace is None and call.name == "view_image":
            return lambda output: image_view(item_id, arguments, output, self._cwd)
        if is_collab_tool(call.namespace, call.name):
            return lambda output: collab_call(item_id, self._thread_id, call.name, arguments, output_text(output))
        target = mcp_target(call.namespace, call.name, arguments)
        return None if target is None else lambda output: mcp_tool_call(item_id, target, arguments, output)

    def _custom_tool_call(self, offset: int, payload: msgspec.Raw) -> None:
        call = _decode_custom_tool_call(payload)
        self._calls.pop(call.call_id, None)
        if call.name == "apply_patch":
            command = Command("", "", patch=Patch(call.input))
            self._calls[call.call_id] = CommandCall(call.call_id, offset, command, self._cwd)

    def _local_shell_call(self, offset: int, payload: msgspec.Raw) -> None:
        call = _decode_local_shell_call(payload)
        item_id = call.call_id or call.id or f"call-{offset}"
        command = command_in_argv(call.action.command, call.action.working_directory)
        self._calls[item_id] = CommandCall(item_id, offset, command, self._cwd)

    def _web_search_call(self, offset: int, payload: msgspec.Raw) -> None:
        call = _decode_web_search_call(payload)
        item = call.shown(f"call-{offset}")
        if call.id is None and item["action"] in self._searches:
            place = len(self._searches) - 1 - self._searches[::-1].index(item["action"])
            del self._searches[place]
            return
        self._made[item["id"]] = (offset, item)

    def _image_generation_call(self, offset: int, payload: msgspec.Raw) -> None:
        if self._hosted_images:
            item = _decode_image_generation_call(payload).shown(f"call-{offset}")
            self._made[item["id"]] = (offset, item)

    def _message(self, offset: int, payload: msgspec.Raw) -> None:
        """A message that tells the model of a command that the user ran."""
        message = _decode_message(payload)
        if message.role != "user" or len(message.content) != 1:
            return
        item = user_shell(message.id or f"call-{offset}", message.content[0].text, self._cwd)
        if item is None:
            return
        if item["command"] in self._user_scripts:
            self._user_scripts.remove(item["command"])
            return
        self._made[item["id"]] = (offset, item)

    # --- outputs ------------------------------------------------------------------------------------------------------

    def _output(self, offset: int, payload: msgspec.Raw) -> None:
        answer = _decode_output(payload)
        session = self._stdin.get(answer.call_id)
        if session is not None:
            written = self._sessions.get(session)
            if written is not None:
                written.go_on(offset, output_text(answer.output))
                self._follow(written, session)
            return
        call = self._calls.get(answer.call_id)
        if isinstance(call, CommandCall):
            call.answer(offset, output_text(answer.output))
            self._follow(call, None)
        elif call is not None:
            call.answer(offset, answer.output)

    def _follow(self, call: CommandCall, before: str | None) -> None:
        """Remember which command a process that goes on belongs to."""
        if before is not None and before != call.session:
            self._sessions.pop(before, None)
        if call.session is not None:
            self._sessions[call.session] = call


_decode_function_call: Final = msgspec.json.Decoder(_FunctionCall).decode
_decode_custom_tool_call: Final = msgspec.json.Decoder(_CustomToolCall).decode
_decode_local_shell_call: Final = msgspec.json.Decoder(_LocalShellCall).decode
_decode_web_search_call: Final = msgspec.json.Decoder(WebSearchCall).decode
_decode_image_generation_call: Final = msgspec.json.Decoder(ImageGenerationCall).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_output: Final = msgspec.json.Decoder(ToolOutput).decode
_decode_stdin: Final = msgspec.json.Decoder(_Stdin).decode
_decode_search_end: Final = msgspec.json.Decoder(WebSearchEnd).decode

_READERS: Final[dict[str, Callable[[CallBuilder, int, msgspec.Raw], None]]] = {
    "function_call": CallBuilder._function_call,  # noqa: SLF001 - this table is part of the class
    "custom_tool_call": CallBuilder._custom_tool_call,  # noqa: SLF001
    "local_shell_call": CallBuilder._local_shell_call,  # noqa: SLF001
    "web_search_call": CallBuilder._web_search_call,  # noqa: SLF001
    "image_generation_call": CallBuilder._image_generation_call,  # noqa: SLF001
    "message": CallBuilder._message,  # noqa: SLF001
    "function_call_output": CallBuilder._output,  # noqa: SLF001
    "custom_tool_call_output": CallBuilder._output,  # noqa: SLF001
}
