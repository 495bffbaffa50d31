"""Turns and their items as a person reads them.

The items are in the app-server's shapes (``app-server.md`` 3). One that is not known here is shown by its type alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from threadkeep.cli._text import amount, body, clean, date, fit, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Json = dict[str, Any]
    Style = Callable[[str, str], str]

__all__ = ["said_in", "status_style", "turn_lines"]

_MOST_LINES: Final = 12
"""Lines of a tool's output that are shown; messages are shown whole."""

_MOST_COLUMNS: Final = 300
"""Columns of such a line, and of what a tool was called with."""

_STATUS_STYLES: Final = {"completed": "good", "failed": "bad", "interrupted": "warning", "inProgress": "warning"}


class _Shown(NamedTuple):
    """An item as it is shown: who or what, on the same line what it is about and how it ended, and its text."""

    label: str
    about: str = ""
    text: str = ""
    whole: bool = False
    outcome: str = ""


def status_style(status: str) -> str:
    """The style of a turn's status."""
    return _STATUS_STYLES.get(status, "")


def turn_lines(turn: Json, style: Style) -> Iterator[str]:
    """A turn with its items."""
    status = clean(str(turn.get("status")))
    facts = [date(_milliseconds(turn.get("startedAt")))] if turn.get("startedAt") else []
    if turn.get("durationMs") is not None:
        facts.append(span(turn["durationMs"]))
    about = ", ".join([f"turn {clean(str(turn.get('id')))}", *facts])
    yield f"{style('──', 'dim')} {style(about, 'dim')}, {style(status, status_style(status))}"
    for item in turn.get("items") or ():
        yield ""
        yield from _item_lines(item, style)
    error = turn.get("error")
    if isinstance(error, dict):
        yield ""
        yield f"{style('error', 'bad')}  {clean(str(error.get('message')))}"


def said_in(turn: Json) -> str:
    """What the user said first in a turn, else what the turn is about; on one line."""
    items = turn.get("items") or ()
    for item in items:
        if item.get("type") == "userMessage":
            return clean(_user(item).text)
    return clean(f"({_shown(items[0]).label})") if items else ""


def _milliseconds(seconds: Any) -> float | None:
    return seconds * 1000 if isinstance(seconds, int | float) else None


def _item_lines(item: Json, style: Style) -> Iterator[str]:
    shown = _shown(item)
    head = style(clean(shown.label), "bold")
    yield f"{head}  {_about(shown)}" if shown.about else head
    lines = body(shown.text).rstrip("\n").split("\n") if shown.text.strip() else []
    most = len(lines) if shown.whole else _MOST_LINES
    # One line more is not worth a line that says so.
    cut = len(lines) - most if len(lines) > most + 1 else 0
    hidden = 0
    for line in lines[: len(lines) - cut]:
        told = line if shown.whole else fit(line, _MOST_COLUMNS)
        hidden += len(line) - len(told) + 1 if told != line else 0  # the ellipsis stands for one
        yield f"  {told}".rstrip()
    if cut or hidden:
        more = amount(cut, "more line") if cut else amount(hidden, "more character")
        yield style(f"  ... {more} (--json has all)", "dim")


def _about(shown: _Shown) -> str:
    return f"{fit(clean(shown.about), _MOST_COLUMNS)} {clean(shown.outcome)}".rstrip()


def _shown(item: Json) -> _Shown:
    kind = str(item.get("type"))
    show = _KINDS.get(kind)
    return show(item) if show is not None else _Shown(kind)


# What people and agents said


def _user(item: Json) -> _Shown:
    parts = [_part(part) for part in item.get("content") or () if isinstance(part, dict)]
    return _Shown("user", text="\n".join(filter(None, parts)), whole=True)


def _part(part: Json) -> str:
    if part.get("type") == "text":
        return str(part.get("text") or "")
    named = part.get("name") or part.get("path") or part.get("fileId") or part.get("url") or ""
    about = "inline" if str(named).startswith("data:") else str(named)
    return f"[{part.get('type')}: {about}]" if about else f"[{part.get('type')}]"


def _agent(item: Json) -> _Shown:
    return _Shown("assistant", text=str(item.get("text") or ""), whole=True)


def _plan(item: Json) -> _Shown:
    return _Shown("plan", text=str(item.get("text") or ""), whole=True)


def _reasoning(item: Json) -> _Shown:
    said = item.get("summary") or item.get("content") or ()
    return _Shown("thought", text="\n".join(str(part) for part in said))


def _review(item: Json) -> _Shown:
    ended = item.get("type") == "exitedReviewMode"
    return _Shown("review ended" if ended else "review", text=str(item.get("review") or ""), whole=True)


def _compaction(_: Json) -> _Shown:
    return _Shown("compacted", "what came before is summed up for the model")


# What tools did


def _outcome(item: Json, *more: str) -> str:
    status = str(item.get("status") or "")
    told = [] if status in ("completed", "") else [status]
    told += more
    if isinstance(item.get("durationMs"), int):
        told.append(span(item["durationMs"]))
    return f"({', '.join(told)})" if told else ""


def _command(item: Json) -> _Shown:
    code = item.get("exitCode")
    more = [f"exit {code}"] if code is not None else []
    output = str(item.get("aggregatedOutput") or "")
    return _Shown("ran", str(item.get("command") or ""), output, outcome=_outcome(item, *more))


def _changes(item: Json) -> _Shown:
    changes = [change for change in item.get("changes") or () if isinstance(change, dict)]
    paths = [f"{change.get('path')} ({(change.get('kind') or {}).get('type')})" for change in changes]
    diffs = "\n".join(str(change.get("diff") or "").rstrip("\n") for change in changes)
    return _Shown("edited", ", ".join(paths), diffs, outcome=_outcome(item))


def _mcp(item: Json) -> _Shown:
    failure = item.get("error")
    text = str(failure.get("message")) if isinstance(failure, dict) else _texts(item.get("result"))
    called = f"{item.get('server')}.{item.get('tool')} {_json(item.get('arguments'))}"
    return _Shown("called", called, text, outcome=_outcome(item))


def _dynamic(item: Json) -> _Shown:
    name = ".".join(str(part) for part in (item.get("namespace"), item.get("tool")) if part)
    text = _texts({"content": item.get("contentItems")})
    return _Shown("called", f"{name} {_json(item.get('arguments'))}", text, outcome=_outcome(item))


def _output(item: Json) -> _Shown:
    return _Shown("answered", text=_json(item.get("output")))


def _search(item: Json) -> _Shown:
    return _Shown("searched", str(item.get("query") or ""))


def _agents(item: Json) -> _Shown:
    agents = ", ".join(str(agent) for agent in item.get("receiverThreadIds") or ())
    return _Shown("agent", f"{item.get('tool')} {agents}", str(item.get("prompt") or ""), outcome=_outcome(item))


def _agent_activity(item: Json) -> _Shown:
    return _Shown("agent", f"{item.get('kind')} {item.get('agentPath')} ({item.get('agentThreadId')})")


def _image(item: Json) -> _Shown:
    made = item.get("type") == "imageGeneration"
    path = item.get("savedPath") if made else item.get("path")
    label, prompt = "made an image" if made else "looked at", str(item.get("revisedPrompt") or "")
    return _Shown(label, str(path or ""), prompt, outcome=_outcome(item))


def _sleep(item: Json) -> _Shown:
    return _Shown("waited", span(item.get("durationMs") or 0))


def _hook(item: Json) -> _Shown:
    fragments = [str(part.get("text") or "") for part in item.get("fragments") or () if isinstance(part, dict)]
    return _Shown("hook", text="\n".join(fragments))


def _json(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")


def _texts(result: Any) -> str:
    """The texts of what a tool gave back: a list of parts, some of them raw JSON."""
    if not isinstance(result, dict):
        return ""
    try:
        parts = msgspec.json.decode(msgspec.json.encode(result.get("content")))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return "\n".join(str(part["text"]) for part in parts or () if isinstance(part, dict) and "text" in part)


_KINDS: Final[dict[str, Callable[[Json], _Shown]]] = {
    "userMessage": _user,
    "agentMessage": _agent,
    "plan": _plan,
    "reasoning": _reasoning,
    "enteredReviewMode": _review,
    "exitedReviewMode": _review,
    "contextCompaction": _compaction,
    "commandExecution": _command,
    "fileChange": _changes,
    "mcpToolCall": _mcp,
    "dynamicToolCall": _dynamic,
    "functionCallOutput": _output,
    "webSearch": _search,
    "collabAgentToolCall": _agents,
    "subAgentActivity": _agent_activity,
    "imageView": _image,
    "imageGeneration": _image,
    "sleep": _sleep,
    "hookPrompt": _hook,
}
