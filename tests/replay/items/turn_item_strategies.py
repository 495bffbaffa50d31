"""Random turn items: of every type, right ones, and ones with a member that is missing, null or wrong.

Kept out is what the oracle does not transcribe: U+001C to U+001F at the edges of a review's explanation (the oracle
trims them, the server does not), ``..`` behind a name like ``C:`` inside a URI, and ``%`` in the name of a share.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from hypothesis import strategies as st

Json = dict[str, Any]

NASTY: Final = "ab \n\t\r'\"\\^$`!%*=]/.:-\u00e9\u00a0\u2003\u65e5\U0001f600\0\x7f"

texts: Final = st.one_of(
    st.sampled_from(["", "word", "a b", "two\nlines", "ends\r\n\r\n", "it's", "$x \"y\" 'z'", "/a/b.c", "^a^", "\0"]),
    st.text(NASTY, max_size=12),
)
uuids: Final = st.one_of(
    st.sampled_from(
        [
            "01a20000-0000-7000-8000-00000000000a",
            "01A20000-0000-7000-8000-00000000000A",
            "{01a20000-0000-7000-8000-00000000000b}",
            "urn:uuid:01a20000-0000-7000-8000-00000000000c",
            "01a200000000700080000000000000cd",
            "01a20000-0000-7000-8000-00000000000d\n",
            "URN:uuid:01a20000-0000-7000-8000-00000000000c",
            "{01a200000000700080000000000000cd}",
            "01a20000-0000-7000-8000-00000000000",
            "",
        ]
    ),
    st.uuids().map(str),
)
numbers: Final = st.one_of(
    st.integers(-2, 300),
    st.sampled_from([2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, -(2**63) - 1, 2**64 - 1, 2**64, 5.0]),
)
booleans: Final = st.booleans()
anything: Final = st.recursive(
    st.none() | booleans | numbers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
wrong: Final = st.one_of(
    st.none(), st.sampled_from([5, -1, 1.5, True, "other words", "", {}, {"q": 1}, [], ["x"], [{}], 2**70]), anything
)
folder_names: Final = st.lists(
    st.sampled_from(
        ["a", "b c", "", ".", "..", "%2e%2E", ".%2E", "%41", "%", "%2F", "%ff%c3", "%E9", "\u00e9", "a\tb", "a:b"]
    ),
    max_size=5,
).map("/".join)
uris: Final = st.one_of(
    st.builds(
        str.__add__,
        st.sampled_from(
            [
                "file:///",
                "FILE:/",
                "file:",
                "file://host/",
                "file://LOCALHOST/",
                "file:///c:/",
                "file:///D%3a/",
                "file://e:/",
            ]
        ),
        folder_names,
    ),
    st.sampled_from(
        [
            " file:///edge\n",
            "file:\\\\host\\share",
            "file://host",
            "file:///C:",
            "/plain",
            "https://host/a",
            "file:///a?b",
            "file:///a#",
            "file:///a%00b",
            "file:///a\0b",
            "file://user@host/a",
            "file://host:80/a",
            "file://[::1]/a",
            "file://",
            "",
        ]
    ),
)
paths: Final = st.one_of(
    st.lists(st.sampled_from(["", "a", "b c", ".", "..", "x%41", "\u00e9", "t\tu", "~", "c:", "?"]), max_size=6).map(
        "/".join
    ),
    st.sampled_from(
        [
            "/",
            "/a/../b/",
            "a\0b",
            "c:\\x\\..\\..\\y\\",
            "C:rel",
            "d:x",
            "\\rooted\\",
            "\\\\H\\share\\x\\",
            "\\\\h\\s\\..\\..",
            "/\t",
            "\t",
            "a\\b",
        ]
    ),
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The value of an optional member that is there: null, or right."""
    return st.none() | strategy


def words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


def members(required: Json, optional: Json | None = None, kind: str | None = None) -> st.SearchStrategy[Json]:
    """An object; optional members are missing at times."""
    head = {} if kind is None else {"type": st.just(kind)}
    return st.fixed_dictionaries(head | required, optional=optional or {})


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=3)


details: Final = maybe(words("auto low high original"))
durations: Final = maybe(
    members({"secs": numbers, "nanos": st.sampled_from([0, 999_999, 10**6, 4 * 10**9, 2**32 - 1])})
)
efforts: Final = maybe(words("low any"))


def by_url(kind: str, name: str, optional: Json | None = None) -> st.SearchStrategy[Json]:
    reference = {name: texts | wrong, "file_id": texts | wrong}
    return members({}, reference | (optional or {}), kind)


user_inputs: Final = st.one_of(
    members(
        {"text": texts},
        {
            "text_elements": some(
                members({"byte_range": members({"start": numbers, "end": numbers})}, {"placeholder": maybe(texts)})
            )
        },
        "text",
    ),
    by_url("image", "image_url", {"detail": details}),
    members({"path": texts}, {"detail": details}, "local_image"),
    by_url("audio", "audio_url"),
    members({"path": texts}, kind="local_audio"),
    members({"name": texts, "path": texts}, kind="skill"),
    members({"name": texts, "path": texts}, kind="mention"),
)
output_parts: Final = st.one_of(
    members({"text": texts}, kind="input_text"),
    by_url("input_image", "image_url", {"detail": details}),
    by_url("input_audio", "audio_url"),
    members({"encrypted_content": texts}, kind="encrypted_content"),
)
moderations: Final = members(
    {"moderated": booleans},
    {
        "display": maybe(
            members(
                {"action": texts},
                {
                    "blockType": maybe(texts),
                    "checkTrustedContacts": maybe(booleans),
                    "cyberTrustedAccess": maybe(booleans),
                },
            )
        )
    },
)
citations: Final = members(
    {
        "entries": some(members({"note": texts, "path": texts, "lineStart": numbers, "lineEnd": numbers})),
        "rolloutIds": some(texts),
    }
)
commands_parsed: Final = st.one_of(
    members({"cmd": texts, "name": texts, "path": paths}, kind="read"),
    members({"cmd": texts}, {"path": maybe(paths)}, "list_files"),
    members({"cmd": texts}, {"query": maybe(texts), "path": maybe(paths)}, "search"),
    members({"cmd": texts}, kind="unknown"),
)
changes: Final = st.one_of(
    members({"content": texts}, kind="add"),
    members({"content": texts}, kind="delete"),
    members({"unified_diff": texts}, {"move_path": maybe(texts)}, "update"),
)
findings: Final = members(
    {
        "title": texts,
        "body": texts,
        "confidence_score": st.sampled_from([1, 0.5]),
        "priority": numbers,
        "code_location": members(
            {"absolute_file_path": texts, "line_range": members({"start": numbers, "end": numbers})}
        ),
    }
)


def actions(open_page: str, find_in_page: str) -> st.SearchStrategy[Json]:
    return st.one_of(
        members({}, {"query": maybe(texts), "queries": maybe(some(texts))}, "search"),
        members({}, {"url": maybe(texts)}, open_page),
        members({}, {"url": maybe(texts), "pattern": maybe(texts)}, find_in_page),
        members({}, {"query": anything, "url": anything}, "something"),
    )


states: Final = st.one_of(
    words("pending_init running interrupted shutdown not_found"),
    members({"completed": maybe(texts)}),
    members({"errored": texts}),
    members({"completed": texts, "errored": texts}),
)
extensions: Final = st.one_of(
    members({"kind": st.just("clock.sleep"), "durationMs": numbers}),
    members(
        {"kind": st.just("web.search"), "query": texts},
        {"action": maybe(actions("openPage", "findInPage")), "results": maybe(some(anything))},
    ),
    members(
        {"kind": st.just("image_gen.generation"), "status": texts},
        {
            "result": texts | wrong,
            "fileId": texts | wrong,
            "revisedPrompt": maybe(texts),
            "savedPath": maybe(paths),
            "generationId": maybe(texts),
            "transparentBackground": maybe(booleans),
            "failure": maybe(
                members({"limitId": texts}, {"resetsAt": maybe(numbers)}, "usageLimitExceeded"),
            ),
            "inputImages": some(members({"path": paths, "sha256": texts})),
        },
    ),
)

MEMBERS: Final[dict[str, st.SearchStrategy[Json]]] = {
    "UserMessage": members({"content": some(user_inputs)}, {"client_id": maybe(texts)}),
    "FunctionCallOutput": members({"name": texts, "output": texts | some(output_parts)}, {"namespace": maybe(texts)}),
    "HookPrompt": members({"fragments": some(members({"text": texts, "hookRunId": texts}))}),
    "AgentMessage": members(
        {"content": some(members({"text": texts}, kind="Text"))},
        {
            "phase": maybe(words("commentary partial_answer final_answer")),
            "delivery": maybe(st.just("async")),
            "memory_citation": maybe(citations),
            "moderation": maybe(moderations),
            "questions": maybe(some(members({"title": texts}, {"options": maybe(some(texts))}))),
        },
    ),
    "Plan": members({"text": texts}),
    "Reasoning": members({"summary_text": some(texts)}, {"raw_content": some(texts)}),
    "CommandExecution": members(
        {
            "command": st.lists(texts, max_size=4),
            "cwd": uris,
            "parsed_cmd": some(commands_parsed),
            "source": words("agent user_shell unified_exec_startup unified_exec_interaction"),
            "status": words("in_progress completed failed declined"),
        },
        {
            "aggregated_output": maybe(texts),
            "duration": durations,
            "exit_code": maybe(numbers),
            "interaction_input": maybe(texts),
            "plugin_id": maybe(texts),
            "process_id": maybe(texts),
            "script_path": maybe(texts),
        },
    ),
    "DynamicToolCall": members(
        {"arguments": anything, "status": words("in_progress completed failed"), "tool": texts},
        {
            "content_items": maybe(
                some(
                    st.one_of(
                        members({"text": texts}, kind="inputText"),
                        members({"imageUrl": texts}, kind="inputImage"),
                        members({"audioUrl": texts}, kind="inputAudio"),
                    )
                )
            ),
            "duration": durations,
            "error": maybe(texts),
            "namespace": maybe(texts),
            "success": maybe(booleans),
        },
    ),
    "CollabAgentToolCall": members(
        {
            "sender_thread_id": uuids,
            "status": words("in_progress completed failed interrupted"),
            "tool": words(
                "spawn_agent send_input resume_agent wait close_agent "
                "send_message followup_task interrupt_agent list_agents"
            ),
        },
        {
            "agents_states": st.dictionaries(uuids, states, max_size=2),
            "model": maybe(texts),
            "prompt": maybe(texts),
            "reasoning_effort": efforts,
            "receiver_agents": some(
                members({"thread_id": uuids}, {"agent_nickname": maybe(texts), "agent_role": maybe(texts)})
            ),
            "receiver_thread_ids": some(uuids),
        },
    ),
    "SubAgentActivity": members(
        {
            "agent_path": words(
                "/root /root/a /root/a_1/b /root/rooted /morpheus /root/A x /root/root /root/a/root/b /root/"
            ),
            "agent_thread_id": uuids,
            "kind": words("started interacted interrupted completed"),
        },
        {"model": maybe(texts), "reasoning_effort": efforts},
    ),
    "WebSearch": members(
        {"action": actions("open_page", "find_in_page"), "query": texts}, {"results": maybe(some(anything))}
    ),
    "ImageView": members({"path": uris}),
    "Extension": extensions,
    "ImageGeneration": members(
        {"result": texts, "status": texts}, {"revised_prompt": maybe(texts), "saved_path": maybe(paths)}
    ),
    "EnteredReviewMode": members(
        {
            "target": st.one_of(
                members({}, kind="uncommittedChanges"),
                members({"branch": texts}, kind="baseBranch"),
                members({"sha": texts}, {"title": maybe(texts)}, "commit"),
                members({"instructions": texts}, kind="custom"),
            ),
            "user_facing_hint": texts,
        }
    ),
    "ExitedReviewMode": members(
        {},
        {
            "review_output": maybe(
                members(
                    {
                        "findings": some(findings),
                        "overall_confidence_score": st.sampled_from([1, 0.25]),
                        "overall_correctness": texts,
                        "overall_explanation": texts,
                    }
                )
            )
        },
    ),
    "FileChange": members(
        {"changes": st.dictionaries(paths, changes, max_size=4)},
        {
            "auto_approved": maybe(booleans),
            "status": maybe(words("completed failed declined")),
            "stderr": maybe(texts),
            "stdout": maybe(texts),
        },
    ),
    "McpToolCall": members(
        {
            "arguments": anything,
            "server": texts,
            "status": words("inProgress completed failed"),
            "tool": texts,
        },
        {
            "actionName": maybe(texts),
            "appName": maybe(texts),
            "connectorId": maybe(texts),
            "duration": durations,
            "error": maybe(members({"message": texts})),
            "linkId": maybe(texts),
            "mcpAppResourceUri": maybe(texts),
            "mcpAppUi": maybe(members({"resourceUri": texts, "preferredModelDisplayMode": words("inline fullscreen")})),
            "pluginId": maybe(texts),
            "readOnlyHint": maybe(booleans),
            "result": maybe(
                members(
                    {"content": some(anything)},
                    {"structuredContent": anything, "_meta": anything, "isError": maybe(booleans)},
                )
            ),
        },
    ),
    "ContextCompaction": members({}),
}
"""The members of each type of item, but for its type and id."""


def items(kind: str) -> st.SearchStrategy[Json]:
    """Items of one type; numbers, ids and paths among them need not be right."""
    return st.builds(lambda own, name: {"type": kind, "id": name, **own}, MEMBERS[kind], texts)


@st.composite
def spoilt_items(draw: st.DrawFn, kind: str) -> Json:
    """An item with one member, anywhere in it, that is missing, replaced, or should not be there."""
    item = copy.deepcopy(draw(items(kind)))  # values of a strategy are shared by everything that draws them
    path = draw(st.sampled_from(list(places(item))))
    holder: Any = item
    for step in path[:-1]:
        holder = holder[step]
    way = draw(st.sampled_from(["missing", "replaced", "null", "another"]))
    if way == "missing":
        del holder[path[-1]]
    elif way == "another" and isinstance(holder, dict):
        holder["an unknown member"] = copy.deepcopy(draw(wrong))
    else:
        holder[path[-1]] = None if way == "null" else copy.deepcopy(draw(wrong))
    return item


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in ``value``."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for step, inner in steps:
        found.append((*above, step))
        found += places(inner, (*above, step))
    return found
