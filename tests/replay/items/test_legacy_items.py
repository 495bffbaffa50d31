"""What events of a legacy rollout show is what Codex 0.169.0 shows for them.

Two sources: the recorded cases of ``tests/fixtures/legacy``, put together by the turns of the naive oracle but with the
items of the product, and single events, for each of which the answer of the binary stands here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.turns_legacy import INVENTED_ID, NO_REVIEW, Builder, kept, shown

from threadkeep.replay.items import EMPTY_REVIEW, plain
from threadkeep.replay.items._legacy import LegacyItem, hook_prompt, legacy_item, reasoning_text

Json = dict[str, Any]

FIXTURES: Final = Path(__file__).parent.parent.parent / "fixtures" / "legacy"
CASES: Final = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FIXTURES.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]
ITEM_EVENTS: Final = (
    "user_message",
    "agent_message",
    "context_compacted",
    "entered_review_mode",
    "exited_review_mode",
    "patch_apply_end",
    "mcp_tool_call_end",
    "web_search_end",
    "image_generation_end",
    "sub_agent_activity",
    "item_completed",
)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


class Turns(Builder):
    """The turns of the naive oracle, with every item made by the product."""

    def feed(self, kind: str, payload: Json) -> None:
        self.number += 1
        if kind == "response_item":
            prompt = hook_prompt(raw(payload), INVENTED_ID) if payload["type"] == "message" else None
            if prompt is not None:
                self.take(kind, prompt)
        elif kind in ("agent_reasoning", "agent_reasoning_raw_content"):
            text = reasoning_text(raw(payload))
            self.reasoning("summary" if kind == "agent_reasoning" else "content", text or "")
        elif kind in ITEM_EVENTS:
            own_id = f"item-{self.next_item}"
            item = legacy_item(kind, raw(payload), own_id)
            if item is not None:
                # The server counts a message also where moderation gives it another id.
                self.next_item += item.item["id"] == own_id or kind == "agent_message"
                self.take(kind, item)
        else:
            handler = getattr(self, f"on_{kind}", None)
            if handler is not None:
                handler(payload)

    def take(self, kind: str, item: LegacyItem) -> None:
        turn = self.open
        if (
            kind == "user_message"
            and turn is not None
            and not turn["explicit"]
            and (turn["items"] or not turn["compacted"])
        ):
            self.close()
        turn = self.current() if item.turn_id is None else self.find(item.turn_id)
        if turn is None and item.opens:
            self.close()
            turn = self.open = self.new_turn(item.turn_id)
        if turn is None:
            return
        if item.started_at_ms is not None or item.completed_at_ms is not None:
            self.note_times(turn, item.item["id"], item.started_at_ms, item.completed_at_ms or 0)
        if item.shows and item.upsert:
            self.put(turn, plain(item.item))
        elif item.shows:
            turn["items"].append(plain(item.item))


def turns_of(records: list[Json | str]) -> list[Json]:
    """The turns; which events decode is for the product to say."""
    turns = Turns()
    for line in records:
        record = decoded(line)
        read = kept(record)
        if read is None and record is not None and record.get("type") == "event_msg" and wrong_envelope(record) is None:
            payload = record["payload"]
            assert not (payload.get("type") in ITEM_EVENTS and legacy_item(payload["type"], raw(payload), "own")), (
                payload
            )
        if read is not None:
            turns.feed(*read)
    turns.close()
    return [shown(turn) for turn in turns.turns]


def decoded(line: Json | str) -> Json | None:
    if isinstance(line, dict):
        return line
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def wrong_envelope(record: Json) -> str | None:
    """What is wrong with the record, whatever its payload is."""
    if not isinstance(record.get("timestamp"), str) or not isinstance(record.get("payload"), dict):
        return "members"
    ordinal = record.get("ordinal")
    return None if ordinal is None or (isinstance(ordinal, int) and ordinal >= 0) else "ordinal"


def our_words(value: Any) -> Any:
    """The answer with threadkeep's words where Codex's own are not repeated."""
    if isinstance(value, dict):
        return {name: our_words(member) for name, member in value.items()}
    if isinstance(value, list):
        return [our_words(member) for member in value]
    return EMPTY_REVIEW if value == NO_REVIEW else value


@pytest.mark.parametrize("case", CASES)
def test_the_items_of_a_legacy_rollout_are_those_that_codex_shows(case: Json) -> None:
    """Members in the same order, too."""
    assert json.dumps(turns_of(case["records"])) == json.dumps(our_words(case["turns"]))


# --- single events ----------------------------------------------------------------------------------------------------

OTHER: Final = "01a20000-0000-7000-8000-0000000000aa"
PATCH: Final[Json] = {"call_id": "c", "stdout": "", "stderr": "", "success": True, "status": "completed"}
MCP: Final[Json] = {
    "call_id": "c",
    "invocation": {"server": "s", "tool": "t"},
    "duration": {"secs": 1, "nanos": 0},
    "result": {"Ok": {"content": []}},
}
IMAGE: Final[Json] = {"call_id": "c", "status": "completed", "result": "AA"}
AGENT: Final[Json] = {"event_id": "c", "kind": "started", "agent_path": "/root/a", "agent_thread_id": OTHER}
PLAN: Final[Json] = {"type": "Plan", "id": "p", "text": "x"}
ITEM: Final[Json] = {"thread_id": OTHER, "turn_id": "t", "item": PLAN}
OUTPUT: Final[Json] = {"type": "FunctionCallOutput", "id": "f", "name": "n", "output": ""}
SLEEP: Final[Json] = {"type": "Extension", "kind": "clock.sleep", "id": "s", "durationMs": 5}
SEARCH: Final[Json] = {"call_id": "c", "query": "q", "action": {"type": "search"}}
FINDING: Final[Json] = {
    "title": "T",
    "body": "b",
    "confidence_score": 1,
    "priority": 1,
    "code_location": {"absolute_file_path": "/a", "line_range": {"start": 1, "end": 2}},
}


def review(*findings: Json, text: str = "e") -> Json:
    output = {"overall_correctness": "c", "overall_explanation": text, "overall_confidence_score": 1}
    return {"item_id": "r", "review_output": {"findings": list(findings), **output}}


SHOWN: Final[list[tuple[str, Json, Json]]] = [
    ("user_message", {"message": "a", "image_details": [], "images": ["u"]}, {"content": [
        {"type": "text", "text": "a", "text_elements": []}, {"type": "image", "url": "u", "detail": None}]}),
    ("user_message", {"message": "\u00a0\u2003\u0085"}, {"content": []}),
    ("user_message", {"message": "\x1c"}, {"content": [{"type": "text", "text": "\x1c", "text_elements": []}]}),
    ("user_message", {"message": " ", "audio_references": [{"audio_url": "u", "file_id": "f"}, {"file_id": "g"}]},
        {"content": [{"type": "audio", "url": "u"}, {"type": "audio", "fileId": "g"}]}),
    ("agent_message", {"message": "a", "memory_citation": {"entries": [], "rolloutIds": ["r"]}},
        {"memoryCitation": {"entries": [], "threadIds": ["r"]}}),
    ("agent_message", {"message": "a", "moderation": {"item_id": "m", "moderated": False}}, {"id": "m"}),
    ("entered_review_mode", {"target": {"type": "commit", "sha": "x", "title": None}, "user_facing_hint": ""}, {
        "id": "own", "review": ""}),
    ("exited_review_mode", review(FINDING | {"body": "b1\r\nb2\n"}), {
        "review": "e\n\nReview comment:\n\n- T — /a:1-2\n  b1\n  b2"}),
    ("exited_review_mode", review(FINDING | {"body": "x  \n  "}, text="\u00a0"), {
        "review": "Review comment:\n\n- T — /a:1-2\n  x"}),
    ("patch_apply_end", PATCH | {"changes": {
        "/a//b": {"type": "add", "content": "1"}, "/a/b": {"type": "add", "content": "2"},
        "/a b": {"type": "delete", "content": "3"}, "x": {"type": "update", "unified_diff": "d", "move_path": ""}}},
        {"changes": [
            {"path": "/a b", "kind": {"type": "delete"}, "diff": "3"},
            {"path": "/a//b", "kind": {"type": "add"}, "diff": "2"},
            {"path": "x", "kind": {"type": "update", "move_path": ""}, "diff": "d\n\nMoved to: "}]}),
    ("mcp_tool_call_end", MCP | {"mcp_app_ui": {
        "resourceUri": "r", "preferredModelDisplayMode": "fullscreen", "x": 1}},
        {"mcpAppUi": {"resourceUri": "r", "preferredModelDisplayMode": "fullscreen"}}),
    ("mcp_tool_call_end", MCP | {"duration": {"secs": 1, "nanos": 1_500_000_000}}, {"durationMs": 2500}),
    ("mcp_tool_call_end", MCP | {"duration": {"secs": 2**64 - 1, "nanos": 0}}, {"durationMs": None}),
    ("mcp_tool_call_end", MCP | {"result": {"Ok": {"content": [1, {"k": 1.5}], "isError": None}}}, {
        "status": "completed", "result": {"content": [1, {"k": 1.5}], "structuredContent": None, "_meta": None}}),
    ("image_generation_end", IMAGE | {"saved_path": "/a/../b//c/./"}, {"savedPath": "/b/c"}),
    ("image_generation_end", IMAGE | {"input_images": [{"path": "/a/../b/", "sha256": "x", "y": 1}]}, {
        "inputImages": [{"path": "/b", "sha256": "x"}]}),
    ("image_generation_end", IMAGE | {"failure": {"type": "usageLimitExceeded", "limitId": "l", "z": 1}}, {
        "failure": {"type": "usageLimitExceeded", "limitId": "l", "resetsAt": None}}),
    ("sub_agent_activity", AGENT | {"agent_path": "/morpheus"}, {"agentPath": "/morpheus"}),
    ("sub_agent_activity", AGENT | {"agent_thread_id": "{" + OTHER.upper() + "}"}, {"agentThreadId": OTHER}),
    ("item_completed", ITEM | {"thread_id": f"urn:uuid:{OTHER}"}, {"type": "plan", "text": "x"}),
    ("item_completed", ITEM | {"item": SLEEP | {"durationMs": 2**64 - 1}}, {"durationMs": 2**64 - 1}),
    ("item_completed", ITEM | {"item": OUTPUT | {"output": [
        {"type": "input_text", "text": "x", "y": 1}, {"type": "input_image", "image_url": "u", "detail": None}]}},
        {"output": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "u"}]}),
    ("web_search_end", SEARCH | {"results": [1.5, {"a": None}]}, {"results": [1.5, {"a": None}]}),
    ("web_search_end", SEARCH | {"action": {"type": "openPage", "url": "u"}}, {"action": {"type": "other"}}),
]  # fmt: skip

DROPPED: Final[list[tuple[str, Json]]] = [
    ("user_message", {"message": None}),
    ("user_message", {"message": "a", "image_details": ["huge"], "images": ["u"]}),
    ("user_message", {"message": "a", "local_image_details": None}),
    ("user_message", {"message": "a", "audio_references": [{}]}),
    ("user_message", {"message": "a", "text_elements": [{"byte_range": {"start": -1, "end": 1}}]}),
    ("agent_message", {"message": "a", "questions": [{"title": "q", "x": 1}]}),
    ("agent_message", {"message": "a", "memory_citation": {"entries": []}}),
    ("agent_message", {"message": "a", "delivery": "later"}),
    ("agent_message", {"message": "a", "phase": "last"}),
    ("agent_message", {"message": "a", "moderation": {"item_id": "m", "moderated": None}}),
    ("entered_review_mode", {"target": {"type": "everything"}}),
    ("entered_review_mode", {"item_id": "no target"}),
    ("exited_review_mode", review(FINDING | {"priority": 3_000_000_000})),
    ("exited_review_mode", review(FINDING | {"confidence_score": "x"})),
    ("patch_apply_end", {name: value for name, value in PATCH.items() if name != "status"}),
    ("patch_apply_end", PATCH | {"turn_id": None}),
    ("patch_apply_end", PATCH | {"changes": {"x": {"type": "new"}}}),
    ("mcp_tool_call_end", MCP | {"call_id": 5}),
    ("mcp_tool_call_end", MCP | {"turn_id": None}),
    ("mcp_tool_call_end", MCP | {"duration": {"secs": 1.0, "nanos": 0}}),
    ("mcp_tool_call_end", MCP | {"duration": {"secs": 1, "nanos": 0, "x": 1}}),
    ("mcp_tool_call_end", MCP | {"result": {"Ok": {"content": {}}}}),
    ("mcp_tool_call_end", MCP | {"result": {"Err": 5}}),
    ("mcp_tool_call_end", MCP | {"result": {}}),
    ("mcp_tool_call_end", MCP | {"result": {"Ok": {"content": []}, "other": 1}}),
    ("mcp_tool_call_end", MCP | {"mcp_app_ui": {"resourceUri": "r", "preferredModelDisplayMode": "tiny"}}),
    ("image_generation_end", IMAGE | {"failure": {"type": "usageLimitExceeded"}}),
    ("image_generation_end", IMAGE | {"input_images": None}),
    ("image_generation_end", IMAGE | {"saved_path": "i.png"}),
    ("image_generation_end", {"call_id": "c", "status": "completed"}),
    ("sub_agent_activity", AGENT | {"agent_path": "/root/root"}),
    ("sub_agent_activity", AGENT | {"agent_path": "/root/A"}),
    ("sub_agent_activity", AGENT | {"reasoning_effort": ""}),
    ("sub_agent_activity", AGENT | {"occurred_at_ms": None}),
    ("sub_agent_activity", AGENT | {"kind": "completed"}),
    ("item_completed", ITEM | {"thread_id": "nobody"}),
    ("item_completed", ITEM | {"completed_at_ms": 5.0}),
    ("item_completed", ITEM | {"item": SLEEP | {"durationMs": -1}}),
    (
        "item_completed",
        ITEM | {"item": OUTPUT | {"output": [{"type": "input_image", "image_url": "u", "detail": "x"}]}},
    ),
    ("item_completed", ITEM | {"item": {"type": "ContextCompaction", "id": "c"}}),
    ("item_completed", ITEM | {"item": {"type": "SubAgentActivity", "id": "a", **AGENT}}),
    ("web_search_end", SEARCH | {"action": {"type": "search", "query": 5}}),
    ("web_search_end", SEARCH | {"action": {}}),
    ("exec_command_end", {"call_id": "c"}),
    ("agent_reasoning", {"text": "x"}),
]


@pytest.mark.parametrize(("subtype", "event", "members"), SHOWN)
def test_an_event_is_shown_as_codex_shows_it(subtype: str, event: Json, members: Json) -> None:
    item = legacy_item(subtype, raw({"type": subtype, **event}), "own")
    assert item is not None
    assert item.shows
    value = plain(item.item)
    assert {name: value[name] for name in members} == members
    assert "startedAtMs" not in value


@pytest.mark.parametrize(("subtype", "event"), DROPPED)
def test_an_event_that_codex_cannot_decode_shows_nothing(subtype: str, event: Json) -> None:
    assert legacy_item(subtype, raw({"type": subtype, **event}), "own") is None


def test_an_event_says_which_turn_its_item_belongs_to() -> None:
    def told(subtype: str, event: Json) -> tuple[str | None, bool, bool]:
        item = legacy_item(subtype, raw(event), "own")
        assert item is not None
        return item.turn_id, item.opens, item.upsert

    assert told("patch_apply_end", PATCH) == (None, False, True)
    assert told("patch_apply_end", PATCH | {"turn_id": ""}) == (None, False, True)
    assert told("mcp_tool_call_end", MCP | {"turn_id": "t"}) == ("t", False, True)
    assert told("exited_review_mode", {}) == (None, True, True)
    assert told("exited_review_mode", {"turn_id": ""}) == ("", True, True)
    assert told("item_completed", ITEM | {"turn_id": ""}) == ("", False, True)
    assert told("web_search_end", SEARCH | {"turn_id": "t"}) == (None, False, True)
    assert told("agent_message", {"message": "a"}) == (None, False, False)


def test_an_event_says_when_its_item_began_and_ended() -> None:
    def times(subtype: str, event: Json) -> tuple[int | None, int | None, bool]:
        item = legacy_item(subtype, raw(event), "own")
        assert item is not None
        return item.started_at_ms, item.completed_at_ms, item.shows

    assert times("sub_agent_activity", AGENT | {"occurred_at_ms": 9}) == (None, 9, True)
    assert times("sub_agent_activity", AGENT | {"occurred_at_ms": 0}) == (None, None, True)
    assert times("item_completed", ITEM | {"started_at_ms": 0, "completed_at_ms": -5}) == (0, -5, True)
    assert times("item_completed", ITEM | {"item": PLAN | {"text": ""}, "completed_at_ms": 7}) == (None, 7, False)
    assert times("mcp_tool_call_end", MCP | {"completed_at_ms": 7}) == (None, None, True)


def test_reasoning_is_its_text() -> None:
    assert reasoning_text(raw({"text": "so"})) == "so"
    assert reasoning_text(raw({"text": ""})) is None
    assert reasoning_text(raw({"text": 5})) is None


# --- hook prompts -----------------------------------------------------------------------------------------------------

PROMPTS: Final[dict[str, tuple[str, str] | None]] = {
    '<a hook_run_id="r">x</a> tail &bad;': ("x", "r"),
    '<a hook_run_id="r">t<!-- c -->u<?p i?>v<![CDATA[w]]></a>': ("tuvw", "r"),
    '<a hook_run_id="&lt;&#65;">x&#10;y &amp;</a>': ("x\ny &", "<A"),
    '<a hook_run_id="r\n s">x\r\ny\rz</a>': ("x\ny\nz", "r  s"),
    '<p:a p:hook_run_id="r">x</p:a>': ("x", "r"),
    '<?xml version="1.0" encoding="latin-1"?><a hook_run_id="r">é</a>': ("é", "r"),
    '<!DOCTYPE a><!-- c --><a hook_run_id="r">x</a>': ("x", "r"),
    '\u00a0<a hook_run_id="r">\u00a0</a>': ("\u00a0", "r"),
    "\ufeff<a hook_run_id='r'>x</a>": ("x", "r"),
    '<a hook_run_id="r"><b>x</b> <c/>y</a>': ("y", "r"),
    '<a hook_run_id="r">x<b>y</b>\n</a>': ("x", "r"),
    '<a hook_run_id="r">x<b/>y</a>': None,
    '<a hook_run_id="r"><b>x</b></a>': None,
    '<a hook_run_id="r"> \n</a>': None,
    '<a hook_run_id="\u00a0">x</a>': None,
    '<a Hook_run_id="r">x</a>': None,
    '<a hook_run_id="r" p:hook_run_id="s">x</a>': None,
    '<a hook_run_id="r" hook_run_id="s">x</a>': None,
    "<a hook_run_id=r>x</a>": None,
    '<a hook_run_id="r">x</b>': None,
    '<a hook_run_id="r">x<b></a>': None,
    '<a hook_run_id="r">x': None,
    '<a hook_run_id="r">x & y</a>': None,
    '<!DOCTYPE a [<!ENTITY e "boo">]><a hook_run_id="r">&e;</a>': None,
    'said <a hook_run_id="r">x</a>': None,
    "<a>hook_run_id</a>": None,
}  # fmt: skip


def message(*texts: str, role: str = "user", item_id: str | None = "m") -> msgspec.Raw:
    content = [{"type": "input_text", "text": text} for text in texts]
    return raw({"type": "message", "role": role, "content": content, "id": item_id})


@pytest.mark.parametrize("text", PROMPTS)
def test_a_hook_prompt_is_told_as_codex_tells_it(text: str) -> None:
    expected = PROMPTS[text]
    item = hook_prompt(message(text), "own")
    if expected is None:
        assert item is None
        return
    assert item is not None
    assert item.item == {
        "type": "hookPrompt",
        "id": "m",
        "fragments": [{"text": expected[0], "hookRunId": expected[1]}],
    }
    assert not item.upsert


def test_a_message_is_hook_prompts_as_a_whole_or_not_at_all() -> None:
    prompt = '<a hook_run_id="r">x</a>'
    both = hook_prompt(message(prompt, prompt, item_id=None), "own")
    assert both is not None
    assert both.item["id"] == "own"
    assert len(both.item["fragments"]) == 2
    assert hook_prompt(message(prompt, "and more"), "own") is None
    assert hook_prompt(message(prompt, role="developer"), "own") is None
    assert hook_prompt(message(), "own") is None


def test_no_entity_is_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)
    )
    assert hook_prompt(message(f'{bomb}]><a hook_run_id="r">&j;</a>'), "own") is None


def test_a_text_of_any_length_and_depth_is_read_within_bounds() -> None:
    assert hook_prompt(message('<a hook_run_id="r">' + "x" * (1 << 20) + "</a>"), "own") is None
    deep = '<a hook_run_id="r">x' + "<b>" * 100_000 + "</b>" * 100_000 + "</a>"
    item = hook_prompt(message(deep), "own")
    assert item is not None
    assert item.item["fragments"] == [{"text": "x", "hookRunId": "r"}]


# --- anything ---------------------------------------------------------------------------------------------------------

ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(SHOWN), st.data())
def test_a_damaged_event_shows_an_item_or_nothing(sample: tuple[str, Json, Json], data: st.DataObject) -> None:
    subtype, event, _ = sample
    name = data.draw(st.sampled_from(sorted(event)))
    damaged = event | {name: data.draw(ANYTHING)}
    item = legacy_item(subtype, raw(damaged), "own")
    assert item is None or msgspec.json.encode(item.item)


@given(st.binary(max_size=64), st.sampled_from(ITEM_EVENTS))
def test_bytes_that_are_no_event_show_nothing(payload: bytes, subtype: str) -> None:
    item = legacy_item(subtype, msgspec.Raw(payload), "own")
    assert item is None or subtype in ("context_compacted", "exited_review_mode")
    assert reasoning_text(msgspec.Raw(payload)) is None
    assert hook_prompt(msgspec.Raw(payload), "own") is None
