"""Thread ids as clients write them: any form of a UUID; and what is said of one that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.appserver import _rpc
from threadkeep.ids import canonical

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call

__all__ = ["named_thread", "plain", "what_is_wrong"]

_SESSIONS: Final = frozenset({"thread/resume", "thread/fork", "thread/archive", "thread/unarchive"})
"""Methods that say ``session id`` (0.169.0 observed)."""

_HYPHENED: Final = 36
_GROUPS: Final = (8, 4, 4, 4, 12)
_STARTS: Final = (0, 9, 14, 19, 24)


def named_thread(call: Call) -> str:
    """The id of the thread that a request names, in lower case with hyphens.

    Raises:
        RpcError: It is none.
    """
    given: str = call.params["threadId"]
    whole = plain(given)
    if whole is None:
        noun = "session" if call.method in _SESSIONS else "thread"
        code = _rpc.INVALID_PARAMS if call.method == "thread/readState/update" else _rpc.INVALID_REQUEST
        raise _rpc.RpcError(code, f"invalid {noun} id: {what_is_wrong(given)}")
    return whole


def plain(text: str) -> str | None:
    """An id in lower case with hyphens, of any form in which a UUID is written; None for what is none."""
    bare = text.removeprefix("urn:uuid:")
    if bare == text and text.startswith("{") and text.endswith("}"):
        bare = text[1:-1]
    return canonical(bare) if bare == text or len(bare) == _HYPHENED else None


def what_is_wrong(text: str) -> str:
    """Why a text is no UUID, in the words of 0.169.0 (observed)."""
    body, offset, simple = text, 0, True
    if text.startswith("{") and text.endswith("}") and len(text) > 1:
        body, offset, simple = text[1:-1], 1, False
    elif text.startswith("urn:uuid:"):
        body, offset, simple = text[9:], 9, False
    hyphens: list[int] = []
    place = 0
    for character in body:
        if character == "-":
            hyphens.append(place)
        elif character not in "0123456789abcdefABCDEF":
            return (
                "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], "
                f"found `{character}` at {place + offset + 1}"
            )
        place += len(character.encode())
    if not hyphens and simple:
        return f"invalid length: expected length 32 for simple format, found {len(text)}"
    if len(hyphens) != 4:
        return f"invalid group count: expected 5, found {len(hyphens) + 1}"
    for group, hyphen in enumerate(hyphens):
        if hyphen != _STARTS[group + 1] - 1:
            return _wrong_group(group, hyphen - _STARTS[group])
    return _wrong_group(4, len(text) - _STARTS[4])


def _wrong_group(group: int, found: int) -> str:
    return f"invalid group length in group {group}: expected {_GROUPS[group]}, found {found}"
