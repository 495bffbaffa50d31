"""The parameters of a request, checked before anything else is done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc
from threadkeep.appserver._manifest import METHOD_NAMES, METHODS
from threadkeep.appserver._param_tables import TABLES
from threadkeep.appserver._param_types import UNIT, Mismatch, Struct, one_of

if TYPE_CHECKING:
    import msgspec

__all__ = ["check"]

_GRANULAR: Final = "askForApproval.granular"
"""What the real server calls the one value of a policy that is experimental."""


def check(method: str, params: msgspec.Raw | None, *, experimental: bool) -> dict[str, Any]:
    """The parameters as handlers see them.

    Members have the names of the protocol. One that is absent is not in the dict; null is only where it means
    something else than absence. Unknown members are dropped. Of methods that are not implemented nothing is looked
    at, and the dict is empty.

    Args:
        method: The method of the request.
        params: Its parameters as they came.
        experimental: Whether the client asked for the experimental API.

    Raises:
        RpcError: There is no such method, a parameter is not of its type (told first, 0.169.0 observed), or the
            method or a parameter is experimental and the client did not ask for that.
    """
    known = METHODS.get(method)
    if known is None:
        raise _rpc.invalid(f"Invalid request: unknown variant `{method}`, expected {one_of(METHOD_NAMES)}")
    table = TABLES.get(method)
    taken: dict[str, Any] = {}
    if table is not None:
        if params is None and table is not UNIT:
            raise _rpc.invalid("Invalid request: missing field `params`")
        try:
            taken = table(_rpc.plain(params))
        except Mismatch as mismatch:
            raise _rpc.invalid(f"Invalid request: {mismatch}") from None
    if not experimental:
        gate = method if known.experimental else _gate(method, table, taken)
        if gate is not None:
            raise _rpc.invalid(f"{gate} requires experimentalApi capability")
    return taken


def _gate(path: str, table: object, taken: dict[str, Any]) -> str | None:
    """The first experimental thing that is given, by its path; None when there is none."""
    if not isinstance(table, Struct):
        return None
    for field in table.fields:
        if field.name not in taken:
            continue
        value = taken[field.name]
        if field.gated and (field.nullable or value is not False):
            return f"{path}.{field.name}"
        if isinstance(value, dict):
            inner = _GRANULAR if field.name == "approvalPolicy" else _gate(f"{path}.{field.name}", field.type, value)
            if inner is not None:
                return inner
    return None
