"""A client's dynamic tools: how a model is told of them, and which of them a call means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver.engine._ids import new_id
from threadkeep.appserver.engine._outputs import OUTPUTS, output_item
from threadkeep.appserver.engine._protocol import ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tools", "is_call", "output_of"]


class _Call(msgspec.Struct):
    """A call, as far as it has to be known."""

    type: str
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Any = None
    execution: str | None = None


_decode_call: Final = msgspec.json.Decoder(_Call).decode


class Tools:
    """The dynamic tools of a thread, in the forms that ``thread/start`` takes.

    A tool is ``{name, description, inputSchema, namespace?}``, with ``type: function`` or without; or there is
    ``{type: namespace, name, description, tools}``. Tools that would be searched for first are offered like the others:
    there is no search here.
    """

    def __init__(self, specs: Sequence[dict[str, Any]]) -> None:
        self._names: set[tuple[str | None, str]] = set()
        self.offered: list[dict[str, Any]] = []
        """The ``tools`` of a request."""
        spaces: dict[str, dict[str, Any]] = {}
        for spec in specs:
            if spec.get("type") == "namespace":
                self._space(spaces, spec["name"], spec.get("description"))
                for tool in spec.get("tools") or ():
                    self._add(spaces[spec["name"]]["tools"], tool, spec["name"])
            elif (namespace := spec.get("namespace")) is not None:
                self._space(spaces, namespace, None)
                self._add(spaces[namespace]["tools"], spec, namespace)
            else:
                self._add(self.offered, spec, None)

    def _space(self, spaces: dict[str, dict[str, Any]], name: str, description: str | None) -> None:
        if name not in spaces:
            told = description or f"What {name} offers."
            spaces[name] = {"type": "namespace", "name": name, "description": told, "tools": []}
            self.offered.append(spaces[name])

    def _add(self, offered: list[dict[str, Any]], tool: dict[str, Any], namespace: str | None) -> None:
        self._names.add((namespace, tool["name"]))
        offered.append(
            {
                "type": "function",
                "name": tool["name"],
                "description": tool.get("description") or "",
                "strict": False,
                "parameters": _parameters(tool.get("inputSchema")),
            }
        )

    def meant_by(self, item: msgspec.Raw) -> ToolCall | str:
        """The call of a tool that an item is; or, where it is none of these, what the model is told instead."""
        call = _decode_call(item)
        if call.type != "function_call" or call.name is None or (call.namespace, call.name) not in self._names:
            wanted = ".".join(part for part in (call.namespace, call.name or call.type) if part)
            return f"There is no tool {wanted} here."
        if not isinstance(call.arguments, str):
            return "The arguments are no text."
        try:
            arguments = msgspec.json.decode(call.arguments)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            return f"The arguments are not JSON: {error}"
        return ToolCall(call.call_id or "", call.name, call.namespace, arguments)


def is_call(item: msgspec.Raw) -> bool:
    """Whether an item of the model is a call that it awaits an answer to."""
    call = _decode_call(item)
    return call.type in OUTPUTS and call.call_id is not None and call.execution != "server"


def output_of(item: msgspec.Raw, output: Any) -> msgspec.Raw:
    """The item that answers a call."""
    call = _decode_call(item)
    assert call.call_id is not None, "it awaits no answer"
    return msgspec.Raw(msgspec.json.encode(output_item(call.type, call.call_id, output, item_id=new_id())))


def _parameters(schema: Any) -> Any:
    """The schema of a tool's arguments; an object's members are named, be it none."""
    if isinstance(schema, dict) and schema.get("type", "object") == "object":
        return {"type": "object", **schema, "properties": schema.get("properties") or {}}
    return schema if schema is not None else {"type": "object", "properties": {}}
