"""What the app-server shows of one turn item: a rollout's ``item_completed`` item, written as a ``ThreadItem``.

One plain function per item type, no speed, no import from the package. Every rule was tried on Codex 0.169.0: an item
was put into a paginated rollout, the rollout resumed, the items listed (storage.md 5.1 has the frame, the details are
only here). The recorded trials are in ``tests/fixtures/items``.

What holds for all types:

* A member that the schema does not know is ignored. A required member that is missing, any member of a wrong JSON
  type, an unknown item type, an unknown enum word: :class:`UndecodableError`, the whole record does not exist.
* "Optional" members may be missing or null, which is the same. Members *with a default* may be missing but not null.
* Integers have ranges, floats are never integers (``5.0`` is an error).
* The members of the result stand in the order in which the server writes them.

Not transcribed, since nobody writes it: objects given as arrays of their members in order (``["t", null]`` for
``{"title": "t"}``), enum words given as objects (``{"completed": null}``), a ``type`` given as the number of the
variant, and what :func:`parse_file_uri` and :func:`windows_path_below` name.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

JsonObject = dict[str, Any]
"""One JSON object."""

I32: Final = (-(2**31), 2**31 - 1)
I64: Final = (-(2**63), 2**63 - 1)
U16: Final = (0, 2**16 - 1)
U32: Final = (0, 2**32 - 1)
U64: Final = (0, 2**64 - 1)

NO_REVIEW: Final = "SCRUBBED-REVIEW"
"""Stands for the sentence that the server shows for a review that has nothing to say."""
NUL_COMMAND: Final = "SCRUBBED-COMMAND"
"""Stands for what the server shows instead of a command with a NUL in it."""

TRUE_TEXTS: Final = {
    NO_REVIEW: (37, "02531ec69a36eb938ce5e6198dad42a0ce47fa06178528b933e1ba431449092f"),
    NUL_COMMAND: (27, "2d982886fba7c4f8928bd206ecc3516cad962bd33de74fcf22eb8a0dc902ca12"),
}
"""For the two: length and SHA-256 of the UTF-8 form of the true text, which is not ours to repeat."""


class UndecodableError(ValueError):
    """The value does not fit the schema: the record that holds it is dropped."""


# --- members of an object --------------------------------------------------------------------------------------------


def required(source: JsonObject, name: str) -> Any:
    """The member, which must be there; it may be null."""
    if name not in source:
        raise UndecodableError(f"missing field {name}")
    return source[name]


def as_object(value: Any) -> JsonObject:
    """``value`` as an object."""
    if not isinstance(value, dict):
        raise UndecodableError(f"not an object: {value!r}")
    return value


def as_list(value: Any) -> list[Any]:
    """``value`` as an array."""
    if not isinstance(value, list):
        raise UndecodableError(f"not an array: {value!r}")
    return value


def as_string(value: Any) -> str:
    """``value`` as a string."""
    if not isinstance(value, str):
        raise UndecodableError(f"not a string: {value!r}")
    return value


def as_bool(value: Any) -> bool:
    """``value`` as a boolean."""
    if not isinstance(value, bool):
        raise UndecodableError(f"not a boolean: {value!r}")
    return value


def as_integer(value: Any, limits: tuple[int, int]) -> int:
    """``value`` as an integer within ``limits``, both included."""
    if isinstance(value, bool) or not isinstance(value, int) or not limits[0] <= value <= limits[1]:
        raise UndecodableError(f"not an integer within {limits}: {value!r}")
    return value


def as_number(value: Any) -> float:
    """``value`` as any number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UndecodableError(f"not a number: {value!r}")
    return value


def string(source: JsonObject, name: str) -> str:
    """The required string ``name``."""
    return as_string(required(source, name))


def optional_string(source: JsonObject, name: str) -> str | None:
    """The optional string ``name``."""
    return None if source.get(name) is None else as_string(source[name])


def optional_bool(source: JsonObject, name: str) -> bool | None:
    """The optional boolean ``name``."""
    return None if source.get(name) is None else as_bool(source[name])


def optional_integer(source: JsonObject, name: str, limits: tuple[int, int]) -> int | None:
    """The optional integer ``name``."""
    return None if source.get(name) is None else as_integer(source[name], limits)


def strings(source: JsonObject, name: str) -> list[str]:
    """The required array of strings ``name``."""
    return [as_string(value) for value in as_list(required(source, name))]


def optional_strings(source: JsonObject, name: str) -> list[str] | None:
    """The optional array of strings ``name``."""
    return None if source.get(name) is None else strings(source, name)


def word(value: Any, words: dict[str, str]) -> str:
    """An enum word of the rollout, as the server spells it."""
    if as_string(value) not in words:
        raise UndecodableError(f"unknown variant {value!r}")
    return words[value]


def same(*words: str) -> dict[str, str]:
    """Enum words that the server spells like the rollout."""
    return {name: name for name in words}


def camel(*words: str) -> dict[str, str]:
    """Enum words in ``snake_case`` that the server spells in ``camelCase``."""
    return {name: re.sub(r"_(.)", lambda match: match[1].upper(), name) for name in words}


def string_of_either(source: JsonObject, first: str, second: str) -> tuple[str, str]:
    """Name and value of the first of two members that is a string; the other is not looked at."""
    for name in (first, second):
        if isinstance(source.get(name), str):
            return name, source[name]
    raise UndecodableError(f"neither {first} nor {second}")


def thread_id(value: Any) -> str:
    """A thread id in any form of a UUID, as the server writes it: lower case, with hyphens."""
    text = as_string(value)
    hyphened = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    if not re.fullmatch(rf"[0-9a-fA-F]{{32}}|{hyphened}|urn:uuid:{hyphened}|\{{{hyphened}\}}", text):
        raise UndecodableError(f"not a UUID: {text!r}")
    digits = re.sub(r"[-{}]", "", text.removeprefix("urn:uuid:")).lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def agent_path(value: Any) -> str:
    """The path of an agent: ``/root``, names below it, or ``/morpheus``."""
    text = as_string(value)
    names = re.fullmatch(r"/root((?:/[a-z0-9_]+)*)", text)
    if text != "/morpheus" and (names is None or "root" in names[1].split("/")):
        raise UndecodableError(f"not an agent path: {text!r}")
    return text


def reasoning_effort(source: JsonObject) -> str | None:
    """The optional ``reasoning_effort``: any word, but not an empty one."""
    effort = optional_string(source, "reasoning_effort")
    if effort == "":
        raise UndecodableError("empty reasoning effort")
    return effort


def milliseconds(source: JsonObject) -> int | None:
    """The optional ``duration`` (``{"secs", "nanos"}``, nothing else in it) in whole milliseconds, rounded down.

    What does not fit a signed 64-bit integer is null.
    """
    if source.get("duration") is None:
        return None
    duration = as_object(source["duration"])
    if set(duration) != {"secs", "nanos"}:
        raise UndecodableError(f"not a duration: {duration!r}")
    seconds, nanoseconds = as_integer(duration["secs"], U64), as_integer(duration["nanos"], U32)
    if seconds + nanoseconds // 10**9 > U64[1]:
        raise UndecodableError("overflow in duration")
    result = seconds * 1000 + nanoseconds // 10**6
    return result if result <= I64[1] else None


def absolute_path(value: Any) -> str:
    """An absolute path without ``.``, ``..``, empty names and a slash at its end."""
    text = as_string(value)
    if not text.startswith("/"):
        raise UndecodableError(f"not an absolute path: {text!r}")
    return "/" + "/".join(plain_names(text))


def plain_names(path: str) -> list[str]:
    """The names of an absolute path, ``.`` and ``..`` applied."""
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            names = names[:-1]
        elif name not in {"", "."}:
            names.append(name)
    return names


# --- shell words -----------------------------------------------------------------------------------------------------

_PLAIN: Final = frozenset("+-./:@]_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def shell_command(words: list[str]) -> str:
    """The words of a command as one line for a shell."""
    if any("\0" in one for one in words):
        return NUL_COMMAND
    return " ".join(shell_word(one) for one in words)


def shell_word(text: str) -> str:
    r"""One word, quoted where a shell needs it.

    The text is cut into the longest pieces that one way of quoting can hold: nothing (letters, digits and
    ``+-./:@]_``), single quotes (all but ``'``, ``\`` and a ``^`` that is not the first character of the piece),
    double quotes (all but backtick, ``$``, ``!`` and ``^``; ``"`` and ``\`` get a backslash), tried in this order.
    """
    if not text:
        return "''"
    result = ""
    while text:
        length, kind = piece(text)
        part, text = text[:length], text[length:]
        if kind == "double":
            part = '"' + re.sub(r'(["\\])', r"\\\1", part) + '"'
        elif kind == "single":
            part = f"'{part}'"
        result += part
    return result


def piece(text: str) -> tuple[int, str]:
    """How many of the first characters of ``text`` one way of quoting can hold, and which way that is."""
    possible = {"single"} if text[0] == "^" else {"none", "single", "double"}
    for place, character in enumerate(text):
        fits = {
            "none": character in _PLAIN,
            "single": character not in "'\\^" or (character == "^" and place == 0),
            "double": character not in "`$!^",
        }
        still = {kind for kind in possible if fits[kind]}
        if not still:
            return place, best(possible)
        possible = still
    return len(text), best(possible)


def best(possible: set[str]) -> str:
    """The way of quoting that is taken when several would do."""
    return next(kind for kind in ("none", "single", "double") if kind in possible)


# --- file URIs -------------------------------------------------------------------------------------------------------

_CONTROL_OR_SPACE: Final = "".join(map(chr, range(0x21)))
_DRIVE: Final = re.compile(r"[A-Za-z](?::|%3[Aa])")


def parse_file_uri(value: Any) -> tuple[str, list[str]]:
    """Host and path names (still percent-encoded) of a ``file:`` URI, read as a browser reads it.

    A plain path, another scheme, a port, a user, ``?``, ``#`` or a NUL: :class:`UndecodableError`. Not transcribed:
    host names beyond lower and upper case (IPv4 forms, international names).
    """
    text = re.sub(r"[\t\n\r]", "", as_string(value).strip(_CONTROL_OR_SPACE))
    if text[:5].lower() != "file:" or re.search(r"[?#\0]|%00", text):
        raise UndecodableError(f"not a file URI: {value!r}")
    rest = text[5:].replace("\\", "/")
    host = ""
    if rest.startswith("//"):
        host, _, rest = rest[2:].partition("/")
        if re.fullmatch(r"[A-Za-z]:", host):
            host, rest = "", f"{host}/{rest}"
        if not re.fullmatch(r"(\[[0-9A-Fa-f:]+\])|[A-Za-z0-9._-]*", host):
            raise UndecodableError(f"not a file URI: {value!r}")
    host = "" if host.lower() == "localhost" else host.lower()
    names: list[str] = []
    parts = rest.lstrip("/").split("/")
    for place, part in enumerate(parts):
        dots = re.sub(r"(?i)%2e", ".", part)
        if dots not in {".", ".."}:
            names.append(part)
            continue
        if dots == ".." and not (len(names) == 1 and re.fullmatch(r"[A-Za-z]:", names[0])):
            names = names[:-1]
        if place == len(parts) - 1:
            names.append("")
    return host, names


def native_path(host: str, names: list[str]) -> str:
    r"""The path that a file URI names, in the way of the system that it looks like: POSIX, ``C:\``, ``\\host\``."""
    plain = [urllib.parse.unquote_to_bytes(name).decode("utf-8", "replace") for name in names]
    if host:
        return "\\\\" + "\\".join([host, *plain]) if any(plain) else f"file://{host}/"
    if names and _DRIVE.fullmatch(names[0]):
        return names[0][0].upper() + ":\\" + "\\".join(plain[1:])
    return "/" + "/".join(plain)


def path_of_uri(value: Any) -> str:
    """The native path of a ``file:`` URI."""
    return native_path(*parse_file_uri(value))


def path_below(host: str, names: list[str], path: str) -> str | None:
    """The native path of ``path``, written by a command that ran in the folder of that URI; None: there is none."""
    if "\0" in path:
        return None
    bare = re.sub(r"[\t\n\r]", "", path)
    if not path:
        return native_path(host, names)
    if host or (names and _DRIVE.fullmatch(names[0])):
        return windows_path_below(host, names, path)
    if path.startswith("/"):
        result = "/" + "/".join(plain_names(bare))
        return result + "/" if bare.endswith("/") and result != "/" else result
    return native_path("", joined(names, path.split("/"), keep=0))


def joined(names: list[str], more: list[str], keep: int) -> list[str]:
    """URI names, then plain ones; ``..`` never takes away the first ``keep``.

    How often ``..`` may still take one away is counted, and an empty name (``/a//b``) does not count.
    """
    names = names[:-1] if names and not names[-1] else list(names)
    depth = sum(1 for name in names if name)
    for name in more:
        if name == ".." and depth > keep:
            names.pop()
            depth -= 1
        elif name not in {"", ".", ".."}:
            names.append(re.sub(r"[\t\n\r]", "", name).replace("%", "%25"))
            depth += 1
    return names


def windows_path_below(host: str, names: list[str], path: str) -> str | None:
    r"""As :func:`path_below`, for a folder with a drive letter or on a host: the rules of Windows.

    Not transcribed: the paths of devices, ``\\?\`` and ``\\.\``.
    """
    path = path.replace("/", "\\")
    drive, rest = re.match(r"([A-Za-z]:)?(.*)", path, re.DOTALL).groups()  # type: ignore[union-attr]
    if drive:
        if rest.startswith("\\"):
            result = joined([drive], rest.split("\\"), keep=1)
            return native_path("", [*result, ""] if rest.endswith("\\") else result)
        if host or names[0][0].lower() != drive[0].lower():
            return None
        return native_path("", joined(names, rest.split("\\"), keep=1))
    share = re.fullmatch(r"\\\\([^\\]+)\\([^\\]+)(\\.*)?", path, re.DOTALL)
    if share:
        result = joined([share[2]], (share[3] or "").split("\\"), keep=1)
        return native_path(share[1].lower(), [*result, ""] if path.endswith("\\") else result)
    if path.startswith("\\") and not path.startswith("\\\\"):
        names = [name for name in names[:1] if name]
    return native_path(host, joined(names, path.split("\\"), keep=1))


# --- messages --------------------------------------------------------------------------------------------------------

_DETAILS: Final = same("auto", "low", "high", "original")


def user_message(item: JsonObject) -> JsonObject:
    """``UserMessage``: what a person, or a program in a person's place, said."""
    return {
        "type": "userMessage",
        "id": string(item, "id"),
        "clientId": optional_string(item, "client_id"),
        "content": [user_input(as_object(part)) for part in as_list(required(item, "content"))],
    }


def user_input(part: JsonObject) -> JsonObject:
    """One part of a user message."""
    kind = string(part, "type")
    if kind == "text":
        elements = as_list(part.get("text_elements", []))
        return {
            "type": "text",
            "text": string(part, "text"),
            "text_elements": [text_element(as_object(element)) for element in elements],
        }
    if kind == "image":
        name, value = string_of_either(part, "image_url", "file_id")
        return {"type": "image", {"image_url": "url", "file_id": "fileId"}[name]: value, "detail": image_detail(part)}
    if kind == "local_image":
        return {"type": "localImage", "detail": image_detail(part), "path": string(part, "path")}
    if kind == "audio":
        name, value = string_of_either(part, "audio_url", "file_id")
        return {"type": "audio", {"audio_url": "url", "file_id": "fileId"}[name]: value}
    if kind == "local_audio":
        return {"type": "localAudio", "path": string(part, "path")}
    if kind in {"skill", "mention"}:
        return {"type": kind, "name": string(part, "name"), "path": string(part, "path")}
    raise UndecodableError(f"unknown variant {kind!r}")


def text_element(element: JsonObject) -> JsonObject:
    """A stretch of a text that stands for something else. ``text_elements`` itself keeps its snake case."""
    span = as_object(required(element, "byte_range"))
    limits = {name: as_integer(required(span, name), U64) for name in ("start", "end")}
    return {"byteRange": limits, "placeholder": optional_string(element, "placeholder")}


def image_detail(part: JsonObject) -> str | None:
    """The optional ``detail`` of an image."""
    return None if part.get("detail") is None else word(part["detail"], _DETAILS)


def agent_message(item: JsonObject) -> JsonObject:
    """``AgentMessage``: its text is the texts of its parts, joined by nothing."""
    parts = [as_object(part) for part in as_list(required(item, "content"))]
    for part in parts:
        word(required(part, "type"), same("Text"))
    return {
        "type": "agentMessage",
        "moderation": moderation(item),
        "id": string(item, "id"),
        "text": "".join(string(part, "text") for part in parts),
        "phase": phase(item),
        "memoryCitation": memory_citation(item),
        "delivery": None if item.get("delivery") is None else word(item["delivery"], same("async")),
        "questions": questions(item),
    }


def phase(item: JsonObject) -> str | None:
    """The optional ``phase`` of an agent message; it decides what the summary of a turn shows."""
    return (
        None if item.get("phase") is None else word(item["phase"], same("commentary", "partial_answer", "final_answer"))
    )


def moderation(item: JsonObject) -> JsonObject | None:
    """The optional ``moderation``, whose members are in camel case in the rollout already."""
    if item.get("moderation") is None:
        return None
    source = as_object(item["moderation"])
    display: JsonObject | None = None
    if source.get("display") is not None:
        shown = as_object(source["display"])
        display = {
            "action": string(shown, "action"),
            "blockType": optional_string(shown, "blockType"),
            "cyberTrustedAccess": optional_bool(shown, "cyberTrustedAccess"),
            "checkTrustedContacts": optional_bool(shown, "checkTrustedContacts"),
        }
    return {"moderated": as_bool(required(source, "moderated")), "display": display}


def memory_citation(item: JsonObject) -> JsonObject | None:
    """The optional ``memory_citation``; its rollout ids are called thread ids."""
    if item.get("memory_citation") is None:
        return None
    source = as_object(item["memory_citation"])
    entries = [
        {
            "path": string(entry, "path"),
            "lineStart": as_integer(required(entry, "lineStart"), U32),
            "lineEnd": as_integer(required(entry, "lineEnd"), U32),
            "note": string(entry, "note"),
        }
        for entry in map(as_object, as_list(required(source, "entries")))
    ]
    return {"entries": entries, "threadIds": strings(source, "rolloutIds")}


def questions(item: JsonObject) -> list[JsonObject] | None:
    """The optional ``questions``; an unknown member in one is an error."""
    if item.get("questions") is None:
        return None
    result = []
    for question in map(as_object, as_list(item["questions"])):
        if not set(question) <= {"title", "options"}:
            raise UndecodableError(f"unknown field in {question!r}")
        result.append({"title": string(question, "title"), "options": optional_strings(question, "options")})
    return result


def hook_prompt(item: JsonObject) -> JsonObject:
    """``HookPrompt``: what a hook said to the agent. Its fragments are in camel case in the rollout already."""
    fragments = [
        {"text": string(fragment, "text"), "hookRunId": string(fragment, "hookRunId")}
        for fragment in map(as_object, as_list(required(item, "fragments")))
    ]
    return {"type": "hookPrompt", "id": string(item, "id"), "fragments": fragments}


def function_call_output(item: JsonObject) -> JsonObject:
    """``FunctionCallOutput``: the result of a call that the client answered itself."""
    output = required(item, "output")
    return {
        "type": "functionCallOutput",
        "id": string(item, "id"),
        "name": string(item, "name"),
        "namespace": optional_string(item, "namespace"),
        "output": output if isinstance(output, str) else [output_part(as_object(part)) for part in as_list(output)],
    }


def output_part(part: JsonObject) -> JsonObject:
    """One part of a function's output: spelt as in the rollout, a null ``detail`` left out."""
    kind = string(part, "type")
    if kind == "input_text":
        return {"type": kind, "text": string(part, "text")}
    if kind == "input_image":
        name, value = string_of_either(part, "image_url", "file_id")
        detail = image_detail(part)
        return {"type": kind, name: value} | ({} if detail is None else {"detail": detail})
    if kind == "input_audio":
        name, value = string_of_either(part, "audio_url", "file_id")
        return {"type": kind, name: value}
    if kind == "encrypted_content":
        return {"type": kind, "encrypted_content": string(part, "encrypted_content")}
    raise UndecodableError(f"unknown variant {kind!r}")


def plan(item: JsonObject) -> JsonObject:
    """``Plan``: the text of a plan."""
    return {"type": "plan", "id": string(item, "id"), "text": string(item, "text")}


def reasoning(item: JsonObject) -> JsonObject:
    """``Reasoning``: ``raw_content`` has a default, ``summary_text`` has none."""
    return {
        "type": "reasoning",
        "id": string(item, "id"),
        "summary": strings(item, "summary_text"),
        "content": [as_string(text) for text in as_list(item.get("raw_content", []))],
    }


def context_compaction(item: JsonObject) -> JsonObject:
    """``ContextCompaction``: that the context was compacted here."""
    return {"type": "contextCompaction", "id": string(item, "id")}


# --- tools -----------------------------------------------------------------------------------------------------------


def command_execution(item: JsonObject) -> JsonObject:
    """``CommandExecution``: ``interaction_input`` is not shown; an empty output is shown as none."""
    host, names = parse_file_uri(required(item, "cwd"))
    optional_string(item, "interaction_input")
    actions = [command_action(as_object(part), host, names) for part in as_list(required(item, "parsed_cmd"))]
    return {
        "type": "commandExecution",
        "id": string(item, "id"),
        "pluginId": optional_string(item, "plugin_id"),
        "scriptPath": optional_string(item, "script_path"),
        "command": shell_command(strings(item, "command")),
        "cwd": native_path(host, names),
        "processId": optional_string(item, "process_id"),
        "source": word(
            required(item, "source"),
            camel("agent", "user_shell", "unified_exec_startup", "unified_exec_interaction"),
        ),
        "status": word(required(item, "status"), camel("in_progress", "completed", "failed", "declined")),
        "commandActions": [action for action in actions if action is not None],
        "aggregatedOutput": optional_string(item, "aggregated_output") or None,
        "exitCode": optional_integer(item, "exit_code", I32),
        "durationMs": milliseconds(item),
    }


def command_action(part: JsonObject, host: str, names: list[str]) -> JsonObject | None:
    """One parsed command. The path that is read is resolved in the working folder; the other paths are as written."""
    kind = string(part, "type")
    command = string(part, "cmd") if kind in {"read", "list_files", "search", "unknown"} else ""
    if kind == "read":
        name = string(part, "name")
        path = path_below(host, names, string(part, "path"))
        return None if path is None else {"type": "read", "command": command, "name": name, "path": path}
    if kind == "list_files":
        return {"type": "listFiles", "command": command, "path": optional_string(part, "path")}
    if kind == "search":
        query, path = optional_string(part, "query"), optional_string(part, "path")
        return {"type": "search", "command": command, "query": query, "path": path}
    if kind == "unknown":
        return {"type": "unknown", "command": command}
    raise UndecodableError(f"unknown variant {kind!r}")


def file_change(item: JsonObject) -> JsonObject:
    """``FileChange``: sorted by path; without a status it is in progress; what the tool printed is not shown.

    Two spellings of one path (``/a/b``, ``/a//b``) are one change: the first spelling, the last content.
    """
    for name in ("stdout", "stderr"):
        optional_string(item, name)
    optional_bool(item, "auto_approved")
    spelling: dict[tuple[str, ...], str] = {}
    changes: dict[str, JsonObject] = {}
    for path, change in as_object(required(item, "changes")).items():
        names = path.split("/")
        root = ("/",) if path.startswith("/") else names[:1] if names[0] else ()
        key = (*root, *(name for name in names[1:] if name not in {"", "."}))
        changes[spelling.setdefault(key, path)] = as_object(change)
    status = item.get("status")
    return {
        "type": "fileChange",
        "id": string(item, "id"),
        "changes": [one_change(path, changes[path]) for path in sorted(changes)],
        "status": "inProgress" if status is None else word(status, same("completed", "failed", "declined")),
    }


def one_change(path: str, change: JsonObject) -> JsonObject:
    """One file of a file change: a new or deleted one has its content for a diff. ``move_path`` stays in snake case."""
    kind = string(change, "type")
    if kind in {"add", "delete"}:
        return {"path": path, "kind": {"type": kind}, "diff": string(change, "content")}
    if kind == "update":
        moved = optional_string(change, "move_path")
        diff = string(change, "unified_diff") + ("" if moved is None else f"\n\nMoved to: {moved}")
        return {"path": path, "kind": {"type": "update", "move_path": moved}, "diff": diff}
    raise UndecodableError(f"unknown variant {kind!r}")


def mcp_tool_call(item: JsonObject) -> JsonObject:
    """``McpToolCall``: in camel case in the rollout already, the context of an app grouped.

    ``isError`` is not shown, and ``mcpAppResourceUri`` is there only when it has a value.
    """
    names = ("connectorId", "linkId", "mcpAppResourceUri", "appName", "actionName")
    connector, link, resource, app, action = (optional_string(item, name) for name in names)
    context = {
        "connectorId": connector,
        "linkId": link,
        "resourceUri": resource,
        "appName": app,
        "actionName": action,
    }
    result = {
        "type": "mcpToolCall",
        "id": string(item, "id"),
        "server": string(item, "server"),
        "tool": string(item, "tool"),
        "status": word(required(item, "status"), same("inProgress", "completed", "failed")),
        "arguments": required(item, "arguments"),
        "appContext": None if connector is None else context,
    }
    if resource is not None:
        result["mcpAppResourceUri"] = resource
    return result | {
        "mcpAppUi": mcp_app_ui(item),
        "pluginId": optional_string(item, "pluginId"),
        "readOnlyHint": optional_bool(item, "readOnlyHint"),
        "result": mcp_result(item),
        "error": None if item.get("error") is None else {"message": string(as_object(item["error"]), "message")},
        "durationMs": milliseconds(item),
    }


def mcp_app_ui(item: JsonObject) -> JsonObject | None:
    """The optional ``mcpAppUi``."""
    if item.get("mcpAppUi") is None:
        return None
    source = as_object(item["mcpAppUi"])
    mode = word(required(source, "preferredModelDisplayMode"), same("inline", "fullscreen"))
    return {"resourceUri": string(source, "resourceUri"), "preferredModelDisplayMode": mode}


def mcp_result(item: JsonObject) -> JsonObject | None:
    """The optional ``result`` of an MCP call."""
    if item.get("result") is None:
        return None
    source = as_object(item["result"])
    optional_bool(source, "isError")
    return {
        "content": as_list(required(source, "content")),
        "structuredContent": source.get("structuredContent"),
        "_meta": source.get("_meta"),
    }


def dynamic_tool_call(item: JsonObject) -> JsonObject:
    """``DynamicToolCall``: its ``error`` is not shown."""
    optional_string(item, "error")
    parts = item.get("content_items")
    return {
        "type": "dynamicToolCall",
        "id": string(item, "id"),
        "namespace": optional_string(item, "namespace"),
        "tool": string(item, "tool"),
        "arguments": required(item, "arguments"),
        "status": word(required(item, "status"), camel("in_progress", "completed", "failed")),
        "contentItems": None if parts is None else [dynamic_part(as_object(part)) for part in as_list(parts)],
        "success": optional_bool(item, "success"),
        "durationMs": milliseconds(item),
    }


def dynamic_part(part: JsonObject) -> JsonObject:
    """One part of what a dynamic tool answered: in camel case in the rollout already."""
    kind = string(part, "type")
    names = {"inputText": "text", "inputImage": "imageUrl", "inputAudio": "audioUrl"}
    if kind not in names:
        raise UndecodableError(f"unknown variant {kind!r}")
    return {"type": kind, names[kind]: string(part, names[kind])}


_COLLABORATION_TOOLS: Final = camel(
    "spawn_agent",
    "send_input",
    "resume_agent",
    "wait",
    "close_agent",
    "send_message",
    "followup_task",
    "interrupt_agent",
    "list_agents",
)


def collab_agent_tool_call(item: JsonObject) -> JsonObject:
    """``CollabAgentToolCall``: ``receiver_agents`` is not shown. The order of ``agentsStates`` is not defined."""
    for agent in map(as_object, as_list(item.get("receiver_agents", []))):
        thread_id(required(agent, "thread_id"))
        optional_string(agent, "agent_nickname")
        optional_string(agent, "agent_role")
    states = as_object(item.get("agents_states", {}))
    return {
        "type": "collabAgentToolCall",
        "id": string(item, "id"),
        "tool": word(required(item, "tool"), _COLLABORATION_TOOLS),
        "status": word(required(item, "status"), camel("in_progress", "completed", "failed", "interrupted")),
        "senderThreadId": thread_id(required(item, "sender_thread_id")),
        "receiverThreadIds": [thread_id(value) for value in as_list(item.get("receiver_thread_ids", []))],
        "prompt": optional_string(item, "prompt"),
        "model": optional_string(item, "model"),
        "reasoningEffort": reasoning_effort(item),
        "agentsStates": {thread_id(name): agent_state(state) for name, state in states.items()},
    }


def agent_state(state: Any) -> JsonObject:
    """What an agent does: a word, or an object with what it said at its end."""
    if isinstance(state, str):
        words = camel("pending_init", "running", "interrupted", "shutdown", "not_found")
        return {"status": word(state, words), "message": None}
    state = as_object(state)
    if set(state) == {"completed"}:
        return {"status": "completed", "message": optional_string(state, "completed")}
    if set(state) == {"errored"}:
        return {"status": "errored", "message": string(state, "errored")}
    raise UndecodableError(f"unknown state {state!r}")


def sub_agent_activity(item: JsonObject) -> JsonObject:
    """``SubAgentActivity``: that an agent was started, spoken to, interrupted, or came to its end."""
    return {
        "type": "subAgentActivity",
        "model": optional_string(item, "model"),
        "reasoningEffort": reasoning_effort(item),
        "id": string(item, "id"),
        "kind": word(required(item, "kind"), same("started", "interacted", "interrupted", "completed")),
        "agentThreadId": thread_id(required(item, "agent_thread_id")),
        "agentPath": agent_path(required(item, "agent_path")),
    }


def web_search(item: JsonObject) -> JsonObject:
    """``WebSearch``: the action is required, and in snake case; an unknown one is ``other``."""
    return {
        "type": "webSearch",
        "id": string(item, "id"),
        "query": string(item, "query"),
        "action": search_action(as_object(required(item, "action")), "open_page", "find_in_page"),
        "results": None if item.get("results") is None else as_list(item["results"]),
    }


def search_action(action: JsonObject, open_page: str, find_in_page: str) -> JsonObject:
    """What a web search did; two of its words are spelt differently in the two places where it stands."""
    kind = string(action, "type")
    if kind == "search":
        query, queries = optional_string(action, "query"), optional_strings(action, "queries")
        return {"type": "search", "query": query, "queries": queries}
    if kind == open_page:
        return {"type": "openPage", "url": optional_string(action, "url")}
    if kind == find_in_page:
        url, pattern = optional_string(action, "url"), optional_string(action, "pattern")
        return {"type": "findInPage", "url": url, "pattern": pattern}
    return {"type": "other"}


def image_view(item: JsonObject) -> JsonObject:
    """``ImageView``: the path of a URI."""
    return {"type": "imageView", "id": string(item, "id"), "path": path_of_uri(required(item, "path"))}


def image_generation(item: JsonObject) -> JsonObject:
    """``ImageGeneration``: any word is a status. ``savedPath`` is there only when it has a value."""
    saved = item.get("saved_path")
    return generated_image(
        item,
        {"result": string(item, "result")},
        revised_prompt=optional_string(item, "revised_prompt"),
        saved_path=None if saved is None else absolute_path(saved),
    )


def generated_image(
    item: JsonObject,
    image: JsonObject,
    *,
    revised_prompt: str | None,
    saved_path: str | None,
    transparent: bool | None = None,
    failure: JsonObject | None = None,
    inputs: list[JsonObject] | None = None,
    generation_id: str | None = None,
) -> JsonObject:
    """An image that was made; the older form of the item fills less."""
    result = {
        "type": "imageGeneration",
        "id": string(item, "id"),
        "status": string(item, "status"),
        "revisedPrompt": revised_prompt,
        **image,
        "transparentBackground": transparent,
        "failure": failure,
    }
    if saved_path is not None:
        result["savedPath"] = saved_path
    if inputs:
        result["inputImages"] = inputs
    return result | {"generationId": generation_id}


def extension(item: JsonObject) -> JsonObject:
    """``Extension``: three kinds, in camel case in the rollout already; another kind is an error."""
    kind = string(item, "kind")
    if kind == "clock.sleep":
        duration = as_integer(required(item, "durationMs"), U64)
        return {"type": "sleep", "id": string(item, "id"), "durationMs": duration}
    if kind == "web.search":
        action = item.get("action")
        return {
            "type": "webSearch",
            "id": string(item, "id"),
            "query": string(item, "query"),
            "action": None if action is None else search_action(as_object(action), "openPage", "findInPage"),
            "results": None if item.get("results") is None else as_list(item["results"]),
        }
    if kind == "image_gen.generation":
        name, value = string_of_either(item, "fileId", "result")
        saved = item.get("savedPath")
        return generated_image(
            item,
            {name: value},
            revised_prompt=optional_string(item, "revisedPrompt"),
            saved_path=None if saved is None else absolute_path(saved),
            transparent=optional_bool(item, "transparentBackground"),
            failure=generation_failure(item),
            inputs=[
                {"path": absolute_path(required(image, "path")), "sha256": string(image, "sha256")}
                for image in map(as_object, as_list(item.get("inputImages", [])))
            ],
            generation_id=optional_string(item, "generationId"),
        )
    raise UndecodableError(f"unknown variant {kind!r}")


def generation_failure(item: JsonObject) -> JsonObject | None:
    """The optional ``failure`` of an image generation."""
    if item.get("failure") is None:
        return None
    source = as_object(item["failure"])
    return {
        "type": word(required(source, "type"), same("usageLimitExceeded")),
        "limitId": string(source, "limitId"),
        "resetsAt": optional_integer(source, "resetsAt", I64),
    }


# --- review ----------------------------------------------------------------------------------------------------------


def entered_review_mode(item: JsonObject) -> JsonObject:
    """``EnteredReviewMode``: the hint alone is shown; the target must be one, all the same."""
    target = as_object(required(item, "target"))
    kind = word(required(target, "type"), same("uncommittedChanges", "baseBranch", "commit", "custom"))
    if kind == "baseBranch":
        string(target, "branch")
    elif kind == "commit":
        string(target, "sha")
        optional_string(target, "title")
    elif kind == "custom":
        string(target, "instructions")
    return {"type": "enteredReviewMode", "id": string(item, "id"), "review": string(item, "user_facing_hint")}


def exited_review_mode(item: JsonObject) -> JsonObject:
    """``ExitedReviewMode``: the review as a text."""
    output = item.get("review_output")
    review = NO_REVIEW if output is None else review_text(as_object(output))
    return {"type": "exitedReviewMode", "id": string(item, "id"), "review": review}


def review_text(output: JsonObject) -> str:
    """The explanation, then every finding with its place, the lines of its body indented by two."""
    as_number(required(output, "overall_confidence_score"))
    string(output, "overall_correctness")
    findings = [finding(as_object(one)) for one in as_list(required(output, "findings"))]
    blocks = [string(output, "overall_explanation").strip()]
    if findings:
        blocks.append("Review comment:" if len(findings) == 1 else "Full review comments:")
    return "\n\n".join(block for block in [*blocks, *findings] if block).rstrip() or NO_REVIEW


def finding(source: JsonObject) -> str:
    """One finding of a review."""
    as_number(required(source, "confidence_score"))
    as_integer(required(source, "priority"), I32)
    place = as_object(required(source, "code_location"))
    lines = as_object(required(place, "line_range"))
    start, end = (as_integer(required(lines, name), U32) for name in ("start", "end"))
    *ended, rest = string(source, "body").split("\n")
    body = [line.removesuffix("\r") for line in ended] + ([rest] if rest else [])
    head = f"- {string(source, 'title')} \u2014 {string(place, 'absolute_file_path')}:{start}-{end}"
    return "\n".join([head, *("  " + line for line in body)])


# --- all -------------------------------------------------------------------------------------------------------------

_TYPES: Final[dict[str, Callable[[JsonObject], JsonObject]]] = {
    "UserMessage": user_message,
    "FunctionCallOutput": function_call_output,
    "HookPrompt": hook_prompt,
    "AgentMessage": agent_message,
    "Plan": plan,
    "Reasoning": reasoning,
    "CommandExecution": command_execution,
    "DynamicToolCall": dynamic_tool_call,
    "CollabAgentToolCall": collab_agent_tool_call,
    "SubAgentActivity": sub_agent_activity,
    "WebSearch": web_search,
    "ImageView": image_view,
    "Extension": extension,
    "ImageGeneration": image_generation,
    "EnteredReviewMode": entered_review_mode,
    "ExitedReviewMode": exited_review_mode,
    "FileChange": file_change,
    "McpToolCall": mcp_tool_call,
    "ContextCompaction": context_compaction,
}


def decode_item(turn_item: Any) -> JsonObject:
    """The item as the server shows it, without its times. Raises :class:`UndecodableError`."""
    item = as_object(turn_item)
    kind = string(item, "type")
    if kind not in _TYPES:
        raise UndecodableError(f"unknown variant {kind!r}")
    return _TYPES[kind](item)


def thread_item(
    turn_item: JsonObject, started_at_ms: int | None = None, completed_at_ms: int | None = None
) -> JsonObject | None:
    """The item as the server shows it, or None for one that it drops with its record.

    The times are those of the ``item_completed`` event; a completion at 0 (or missing) is unknown.
    """
    try:
        shown = decode_item(turn_item)
    except UndecodableError:
        return None
    return {**shown, "startedAtMs": started_at_ms, "completedAtMs": completed_at_ms or None}
