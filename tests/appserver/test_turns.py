"""What the requests about turns take and refuse, in the words of the real server."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.appserver.scripted import Gate, Stage, items_told, message, on_stage, texts

from threadkeep.appserver._input import MOST_CHARACTERS, MOST_IMAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = dict[str, Any]

NOBODY: Final = "01a20539-62c4-7d30-b194-c0a5e6cebfff"
PNG: Final = b"\x89PNG\r\n\x1a\n and so on"
INLINE: Final = "data:image/png;base64,AAAA"
TEXT: Final[Json] = {"type": "text", "text": "look"}


@pytest.fixture
def stage(home: Path, mode: str) -> Iterator[Stage]:
    with on_stage(home, mode) as made:
        yield made


def send(stage: Stage, *parts: Json, **params: Any) -> tuple[Json, Json]:
    """Run a turn with this input: the user's message as it was told, and as the model was given it."""
    turn = stage.client.request("turn/start", {"threadId": stage.thread, "input": list(parts), **params})["turn"]["id"]
    assert stage.end_of(turn)["status"] == "completed"
    told = [item for item in items_told(stage.client) if item["type"] == "userMessage"][-1]
    return told, [item for item in stage.engine.histories[-1] if item.get("role") == "user"][-1]


# --- input ---------------------------------------------------------------------------------------------------------


def test_texts_and_their_elements(stage: Stage) -> None:
    element = {"byteRange": {"start": 2, "end": 4}, "placeholder": "@x"}
    parts: list[Json] = [{"type": "text", "text": "ä"}, {"type": "text", "text": "c @x", "text_elements": [element]}]
    told, given = send(stage, *parts, clientUserMessageId="mine")
    assert told["clientId"] == "mine"
    assert told["content"] == [{**parts[0], "text_elements": []}, parts[1]]
    assert given["content"] == [{"type": "input_text", "text": "ä"}, {"type": "input_text", "text": "c @x"}]
    (listed,) = stage.client.request("thread/turns/list", {"threadId": stage.thread})["data"]
    shown = listed["items"][0]
    if stage.server.threads.require(stage.thread).mode == "legacy":
        moved = {"byteRange": {"start": 4, "end": 6}, "placeholder": "@x"}
        assert shown["content"] == [{"type": "text", "text": "äc @x", "text_elements": [moved]}]
    else:
        assert shown["content"] == told["content"]
    assert shown["clientId"] == "mine"


def test_images_by_their_data_and_by_a_file_of_the_provider(stage: Stage) -> None:
    images = [{"type": "image", "url": INLINE, "detail": "low"}, {"type": "image", "fileId": "f1"}]
    told, given = send(stage, TEXT, *images)
    assert told["content"][1:] == [images[0], {**images[1], "detail": None}]
    assert given["content"][1:] == [
        {"type": "input_image", "image_url": INLINE, "detail": "original"},
        {"type": "input_image", "file_id": "f1", "detail": "high"},
    ]
    (listed,) = stage.client.request("thread/turns/list", {"threadId": stage.thread})["data"]
    assert [part["type"] for part in listed["items"][0]["content"]] == ["text", "image", "image"]


def test_an_image_of_this_machine_is_read_and_named(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    told, given = send(stage, TEXT, {"type": "localImage", "path": str(path)})
    assert told["content"][1] == {"type": "localImage", "detail": None, "path": str(path)}
    assert given["content"][1:] == [
        {"type": "input_text", "text": f'<image name=[Image #1] path="{path}">'},
        {
            "type": "input_image",
            "image_url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}",
            "detail": "original",
        },
        {"type": "input_text", "text": "</image>"},
    ]
    (listed,) = stage.client.request("thread/turns/list", {"threadId": stage.thread})["data"]
    assert listed["items"][0]["content"][1]["path"] == str(path)


@pytest.mark.parametrize("what", ["missing", "text", "folder", "pipe", "huge", "nul"])
def test_an_image_that_cannot_be_read_is_said_to_the_model(stage: Stage, tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "text":
        path.write_bytes(b"no image")
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "huge":
        with path.open("wb") as file:
            file.write(PNG)
            file.truncate(MOST_IMAGE_BYTES + 1)
    named = f"{path}\0" if what == "nul" else str(path)
    _, given = send(stage, {"type": "localImage", "path": named})
    assert [part["type"] for part in given["content"]] == ["input_text"] * 3
    assert given["internal_chat_message_metadata_passthrough"]["content_item_kinds"][1] == "images.preparation_error"


def test_skills_and_mentions_are_shown_and_not_sent(stage: Stage) -> None:
    named = [{"type": "skill", "name": "s", "path": "/s.md"}, {"type": "mention", "name": "m", "path": "app://x"}]
    told, given = send(stage, TEXT, *named)
    assert told["content"][1:] == named
    assert texts([given]) == ["look"]


def test_a_turn_without_input_says_nothing(stage: Stage) -> None:
    turn = stage.client.request("turn/start", {"threadId": stage.thread, "input": []})["turn"]["id"]
    assert stage.end_of(turn)["status"] == "completed"
    assert stage.engine.histories == [[]]
    assert [item["type"] for item in items_told(stage.client)] == ["agentMessage"]


@pytest.mark.parametrize("kind", ["audio", "localAudio"])
def test_recordings_are_refused(stage: Stage, kind: str) -> None:
    given = {"type": kind, "url": "data:audio/wav;base64,AAAA", "path": "/a.wav"}
    assert "audio" in stage.error("turn/start", input=[given])["message"]
    assert stage.server.threads.require(stage.thread).run is None


def test_an_image_of_the_network_is_refused(stage: Stage) -> None:
    error = stage.error("turn/start", input=[{"type": "image", "url": "https://example.com/a.png"}])
    assert (error["code"], error["message"]) == (
        -32600,
        "remote image URLs are not supported; use an inline data URL instead",
    )


def test_an_input_that_is_too_long_is_refused(stage: Stage) -> None:
    half = {"type": "text", "text": "x" * (MOST_CHARACTERS // 2)}
    error = stage.error("turn/start", input=[half, half, {"type": "text", "text": "y"}])
    assert error == {
        "code": -32602,
        "message": "Input exceeds the maximum length of 1048576 characters.",
        "data": {"input_error_code": "input_too_large", "max_chars": 1048576, "actual_chars": 1048577},
    }
    told, _ = send(stage, half, half)
    assert len(told["content"]) == 2


# --- who is asked --------------------------------------------------------------------------------------------------

REQUESTS: Final[dict[str, Json]] = {
    "turn/start": {"input": [TEXT]},
    "turn/steer": {"expectedTurnId": "x", "input": [TEXT]},
    "turn/interrupt": {"turnId": "x"},
    "thread/compact/start": {},
    "thread/inject_items": {"items": [{"type": "message", "role": "user", "content": []}]},
}


@pytest.mark.parametrize("method", REQUESTS)
def test_a_thread_that_is_not_loaded_is_not_found(stage: Stage, method: str) -> None:
    error = stage.error(method, **{"threadId": NOBODY, **REQUESTS[method]})
    assert (error["code"], error["message"]) == (-32600, f"thread not found: {NOBODY}")


@pytest.mark.parametrize("method", REQUESTS)
def test_an_id_that_is_none_is_invalid(stage: Stage, method: str) -> None:
    error = stage.error(method, **{"threadId": "nope", **REQUESTS[method]})
    assert error["message"].startswith(
        "invalid thread id: invalid character: expected an optional prefix of `urn:uuid:`"
    )


def test_steering_and_interrupting_need_a_turn(stage: Stage) -> None:
    wanted = {"expectedTurnId": "x", "input": [TEXT]}
    assert stage.error("turn/steer", **wanted)["message"] == "no active turn to steer"
    assert stage.error("turn/interrupt", turnId="x")["message"] == "no active turn to interrupt"
    assert stage.error("turn/steer", **{**wanted, "expectedTurnId": ""})["message"] == (
        "expectedTurnId must not be empty"
    )


def test_steering_and_interrupting_name_the_turn(stage: Stage) -> None:
    gate = Gate()
    stage.engine.play(gate, *message("an answer"))
    turn = stage.start()
    gate.wait_reached()
    steered = stage.error("turn/steer", expectedTurnId="zzz", input=[TEXT])
    assert steered["message"] == f"expected active turn id `zzz` but found `{turn}`"
    interrupted = stage.error("turn/interrupt", turnId="zzz")
    assert interrupted["message"] == f"expected active turn id zzz but found {turn}"
    gate.open()
    stage.end_of(turn)


def test_a_compaction_hears_nobody(stage: Stage) -> None:
    gate = Gate()
    stage.run()

    async def compaction(turn: Any) -> Any:
        await gate.wait()
        async for event in stage.engine.sum_up(turn):
            yield event

    stage.engine.compaction = compaction
    stage.client.request("thread/compact/start", {"threadId": stage.thread})
    gate.wait_reached()
    run = stage.server.threads.require(stage.thread).run
    assert run is not None
    started = stage.error("turn/start", input=[TEXT])
    assert (started["code"], started["message"]) == (
        -32603,
        "failed to submit turn input: ActiveTurnNotSteerable { turn_kind: Compact }",
    )
    steered = stage.error("turn/steer", expectedTurnId=run.turn_id, input=[TEXT])
    assert (steered["code"], steered["message"]) == (-32600, "cannot steer a compact turn")
    assert steered["data"]["codexErrorInfo"] == {"activeTurnNotSteerable": {"turnKind": "compact"}}
    gate.open()
    stage.wait_ends(2)


# --- settings ------------------------------------------------------------------------------------------------------


def test_settings_of_a_turn_last(stage: Stage) -> None:
    stage.run("first")
    stage.run("second", model="other", effort="high", approvalPolicy="never")
    stage.run("third")
    contexts = [record["payload"] for record in stage.records() if record["type"] == "turn_context"]
    assert [context["model"] for context in contexts[1:]] == ["other", "other"]
    assert [context.get("effort") for context in contexts] == [None, "high", "high"]
    told = [m for m in stage.client.messages if m.get("method") == "thread/settings/updated"]
    assert len(told) == 1
    assert stage.kinds().count("thread_settings_applied") == 2


def test_an_engine_is_told_what_the_turn_runs_with(stage: Stage) -> None:
    seen: list[Any] = []

    async def script(turn: Any) -> Any:
        seen.append(turn.settings)
        for event in message("an answer"):
            yield event

    stage.engine.script = script
    schema = {"type": "object"}
    stage.run("first", model="other", effort="low", outputSchema=schema, serviceTierForTurn="priority")
    stage.run("second")
    first, second = seen
    assert (first.model, first.effort, first.output_schema, first.service_tier) == ("other", "low", schema, "priority")
    assert (second.model, second.effort, second.output_schema, second.service_tier) == ("other", "low", None, None)
    assert first.instructions


# --- items that a client puts in -----------------------------------------------------------------------------------


def test_items_that_are_put_in_while_the_context_is_compacted_are_not_lost(stage: Stage) -> None:
    gate = Gate()
    stage.run("first")

    async def compaction(turn: Any) -> Any:
        events = [event async for event in stage.engine.sum_up(turn)]
        yield events[0]
        await gate.wait()
        for event in events[1:]:
            yield event

    stage.engine.compaction = compaction
    stage.client.request("thread/compact/start", {"threadId": stage.thread})
    gate.wait_reached()
    stage.client.request("thread/inject_items", {"threadId": stage.thread, "items": [put("in")]})
    gate.open()
    stage.wait_ends(2)
    stage.run("second")
    assert texts(stage.engine.histories[-1]) == ["summary", "in", "second"]


def put(text: str) -> Json:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_items_that_are_put_in_are_kept_and_given_to_the_model(stage: Stage) -> None:
    stage.run("first")
    assert stage.client.request("thread/inject_items", {"threadId": stage.thread, "items": [put("in")]}) == {}
    kept = stage.records()[-1]["payload"]
    assert kept["id"].startswith("msg_")
    stage.run("second")
    assert texts(stage.engine.histories[-1]) == ["first", "an answer", "in", "second"]
    assert [turn["status"] for turn in stage.client.request("thread/turns/list", {"threadId": stage.thread})["data"]]


def test_items_that_are_put_in_while_a_turn_runs_are_given_to_its_next_call(stage: Stage) -> None:
    gate, got = Gate(), list[Any]()

    async def script(turn: Any) -> Any:
        await gate.wait()
        got.extend(turn.steered())
        for event in message("an answer"):
            yield event

    stage.engine.script = script
    turn = stage.start("first")
    gate.wait_reached()
    stage.client.request("thread/inject_items", {"threadId": stage.thread, "items": [put("in")]})
    assert "in" in str(stage.records()[-1])
    gate.open()
    stage.end_of(turn)
    assert len(got) == 1
    stage.engine.script = stage.engine.answer
    stage.run("second")
    assert texts(stage.engine.histories[-1]) == ["first", "in", "an answer", "second"]


NO_ITEM: Final = 'invalid type: string "x", expected internally tagged enum ResponseItem'


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "items must not be empty"),
        (["x"], f"items[0] is not a valid response item: {NO_ITEM}"),
        ([put("a"), {"role": "user"}], "items[1] is not a valid response item: missing field `type`"),
    ],
)
def test_what_is_no_response_item_is_refused_as_a_whole(stage: Stage, items: list[Any], said: str) -> None:
    stage.run()
    before = stage.records()
    assert stage.error("thread/inject_items", items=items)["message"] == said
    assert stage.records() == before


def test_items_of_a_kind_that_nobody_knows_are_passed_over(stage: Stage) -> None:
    stage.run()
    before = stage.records()
    assert stage.client.request("thread/inject_items", {"threadId": stage.thread, "items": [{"type": "nope"}]}) == {}
    assert stage.records() == before
