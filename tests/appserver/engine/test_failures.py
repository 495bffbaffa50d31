"""A model call that fails: what is tried again, how often, and how the turn's failure is told (0.169.0 observed)."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from tests.appserver.engine.scripted import Answer, Scripted, call, completed, created, failed, message, says
from tests.appserver.engine.turns import FakeTurn, Ran, plain, run, settings

from threadkeep.appserver.engine import ItemStarted, Retrying, Usage
from threadkeep.appserver.engine._errors import MAX_DELAY, answered_with

Json = dict[str, Any]
TOLD = "scripted message"


def error(code: str | None, **more: Any) -> Json:
    return {"error": {"message": TOLD, "type": "t", "code": code, **more}}


def status(number: int) -> Json:
    return {"httpStatusCode": number}


def broken(code: str | None) -> Answer:
    return Answer([created(), {"type": "response.failed", "response": {"error": {"code": code, "message": TOLD}}}])


def incomplete(reason: str) -> Answer:
    details = {"incomplete_details": {"reason": reason}}
    return Answer([created(), {"type": "response.incomplete", "response": {"id": "r", **details}}])


def tried(answer: Answer, **of: Any) -> tuple[Ran, int]:
    """A turn of which every call is answered in one way, and how many calls it made."""
    with Scripted(answer) as model:
        ran = run(FakeTurn(settings(model.base_url, of=of)))
        return ran, len(model.asked)


FAILURES: dict[str, tuple[Answer, Any, str, bool, bool]] = {
    # answer, codexErrorInfo, part of the message, whether sent again without a word, whether tried again with one
    "400": (Answer(status=400, body=error("x")), "other", '{"error": {"message": "scripted', False, False),
    "400, no JSON": (Answer(status=400, body="plain"), "other", "plain", False, False),
    "400, context": (
        *(Answer(status=400, body=error("context_length_exceeded")), "contextWindowExceeded"),
        *("the context is larger", False, False),
    ),
    "401": (Answer(status=401, body=error("x")), {"httpConnectionFailed": status(401)}, TOLD, False, True),
    "403": (Answer(status=403, body=error("x")), {"httpConnectionFailed": status(403)}, TOLD, False, True),
    "404": (Answer(status=404, body=error("x")), {"httpConnectionFailed": status(404)}, TOLD, False, True),
    "413": (Answer(status=413), {"httpConnectionFailed": status(413)}, "413 Payload Too Large", False, True),
    "429": (Answer(status=429, body=error("x")), {"responseTooManyFailedAttempts": status(429)}, "429", False, False),
    "429, wait": (
        *(Answer(status=429, headers={"retry-after": "0"}), {"responseTooManyFailedAttempts": status(429)}),
        *("429 Too Many Requests", False, True),
    ),
    "429, usage": (
        *(Answer(status=429, body=error(None, type="usage_limit_reached")), "usageLimitExceeded"),
        *(TOLD, False, False),
    ),
    "429, quota": (Answer(status=429, body=error("insufficient_quota")), "usageLimitExceeded", TOLD, False, False),
    "500": (Answer(status=500, body=error("x")), "internalServerError", TOLD, True, True),
    "502": (Answer(status=502, body=error("x")), {"httpConnectionFailed": status(502)}, TOLD, True, True),
    "503": (Answer(status=503, body=error("x")), {"httpConnectionFailed": status(503)}, TOLD, True, True),
    "503, overload": (
        *(Answer(status=503, body=error("server_is_overloaded")), "serverOverloaded"),
        *(TOLD, True, False),
    ),
    "304": (Answer(status=304), {"httpConnectionFailed": status(304)}, "304 Not Modified", False, True),
    "no stream": (Answer(body={"a": 1}), "other", "stream disconnected before completion", False, True),
    "early end": (Answer([created()]), "other", "stream closed before response.completed", False, True),
    "cut": (Answer([created()], cut=True), "other", "Transport error", False, True),
    "end without a response": (
        *(Answer([created(), {"type": "response.completed"}]), "other"),
        *("stream closed before response.completed", False, True),
    ),
    "error event": (Answer([created(), {"type": "error", "message": TOLD}]), "other", TOLD, False, True),
    "failed": (broken("some_code"), "other", f"stream disconnected before completion: {TOLD}", False, True),
    "failed without a word": (
        *(Answer([created(), {"type": "response.failed", "response": {"id": "r"}}]), "other"),
        *("response.failed event received", False, True),
    ),
    "failed: context": (broken("context_length_exceeded"), "contextWindowExceeded", "the context", False, False),
    "failed: quota": (broken("insufficient_quota"), "usageLimitExceeded", TOLD, False, False),
    "failed: usage": (broken("usage_not_included"), "usageLimitExceeded", TOLD, False, False),
    "failed: prompt": (broken("invalid_prompt"), "other", TOLD, False, False),
    "failed: policy": (broken("cyber_policy"), "cyberPolicy", TOLD, False, False),
    "failed: overload": (broken("server_is_overloaded"), "serverOverloaded", TOLD, False, False),
    "failed: rate": (broken("rate_limit_exceeded"), "rateLimitExceeded", f"rate limit exceeded: {TOLD}", False, True),
    "failed: slow": (broken("slow_down"), "rateLimitExceeded", f"rate limit exceeded: {TOLD}", False, True),
    "incomplete": (incomplete("max_output_tokens"), "other", "reason: max_output_tokens", False, False),
    "filtered": (incomplete("content_filter"), "other", "reason: content_filter", False, True),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_told_and_tried_again_as_codex_does(name: str) -> None:
    answer, info, told, silently, aloud = FAILURES[name]
    ran, calls = tried(answer, request_max_retries=1, stream_max_retries=2)
    assert ran.failure is not None
    assert ran.failure.info == info
    assert told in ran.failure.message
    assert calls == (2 if silently else 1) * (3 if aloud else 1)
    retrying = ran.of(Retrying)
    assert [event.message for event in retrying] == (["Reconnecting... 1/2", "Reconnecting... 2/2"] if aloud else [])
    for event in retrying:
        known = None if info == "internalServerError" or answer.status == 200 else answer.status
        assert event.info == {"responseStreamDisconnected": {"httpStatusCode": known}}
        assert told in event.details


def test_a_call_that_succeeds_at_last_is_a_turn_like_any_other() -> None:
    with Scripted(Answer(status=500), Answer(status=503), Answer([created()]), says("fine")) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"request_max_retries": 2, "stream_max_retries": 1})))
    assert ran.failure is None
    assert [item["content"][0]["text"] for item in ran.items] == ["fine"]
    assert len({asked.raw for asked in model.asked}) == 1


def test_what_a_broken_stream_had_finished_stays() -> None:
    half = Answer([created(), *message("half", 1)])
    with Scripted(half, says("whole", 2)) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"stream_max_retries": 1})))
    assert [item["content"][0]["text"] for item in ran.items] == ["half", "whole"]
    assert model.asked[1].input[-1] == ran.items[0]


def test_a_tool_that_a_broken_stream_called_is_answered_before_the_next_call() -> None:
    tool = {"name": "lookup", "description": "L", "inputSchema": {"type": "object"}}
    with Scripted(Answer([created(), *call("lookup", "{}")]), says("fine", 2), says("end", 3)) as model:
        turn = FakeTurn(settings(model.base_url, of={"stream_max_retries": 1}, tools=[tool]))
        ran = run(turn)
    assert len(turn.called) == 1
    assert [item["type"] for item in model.asked[1].input] == ["message", "function_call", "function_call_output"]
    assert ran.failure is None


def test_a_stream_that_falls_silent_is_given_up() -> None:
    with Scripted(Answer([created(), b": still here\n\n"], hold=True)) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"stream_idle_timeout_ms": 1_000, "stream_max_retries": 1})))
        assert model.gone.wait(60)
    assert ran.failure is not None
    assert "idle timeout" in ran.failure.message
    assert len(model.asked) == 2


def test_the_delay_that_a_provider_names_is_kept() -> None:
    slow = Answer([created(), failed("rate_limit_exceeded", "Please try again in 300ms.")])
    with Scripted(Answer(status=429, headers={"retry-after": "0.4"}), slow, says("fine")) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"stream_max_retries": 2})))
        first, second, third = (asked.at for asked in model.asked)
    assert ran.failure is None
    assert second - first > 0.39
    assert third - second > 0.29


def test_a_provider_that_is_not_there_is_waited_for() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    turn = FakeTurn(settings(f"http://127.0.0.1:{port}/v1"))
    servers: list[Scripted] = []

    def come_back(event: object) -> None:
        if isinstance(event, Retrying) and not servers:
            servers.append(Scripted(says("here again"), port=port).__enter__())

    try:
        ran = run(turn, seen=come_back)
    finally:
        for server in servers:
            server.__exit__(None, None, None)
    assert ran.failure is None
    waiting = ran.of(Retrying)
    assert waiting[0].message == "Reconnecting... waiting for network"
    assert waiting[0].info == {"responseStreamDisconnected": {"httpStatusCode": None}}
    assert waiting[0].details.startswith("Connection failed: ")
    assert [item["content"][0]["text"] for item in ran.items] == ["here again"]


def test_an_answer_that_is_large_is_passed_on_in_part() -> None:
    ran, _ = tried(Answer(status=400, body="x" * 1_000_000))
    assert ran.failure is not None
    assert len(ran.failure.message) == 20_000


def test_a_key_that_is_not_set_is_named() -> None:
    with Scripted(says("never")) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"env_key": "THE_KEY"})), environ={"THE_KEY": " "})
    assert ran.failure is not None
    assert (ran.failure.message, ran.failure.info) == ("Missing environment variable: `THE_KEY`.", "other")
    assert model.asked == []


DEEP = b"[" * 20_000 + b"]" * 20_000  # more than any Python reads


@pytest.mark.parametrize(
    "member",
    [b'"x":"\xff"', b'"x":"\\ud800"', b'"x":' + DEEP],
    ids=["no UTF-8", "half a character", "nested too deep"],
)
@pytest.mark.parametrize("event", [b"added", b"done"])
def test_an_item_that_is_no_json_is_passed_over(event: bytes, member: bytes) -> None:
    item = b'{"type":"message","id":"msg_b","role":"assistant","content":[],' + member + b"}"
    line = b'data: {"type":"response.output_item.' + event + b'","item":' + item + b"}\n\n"
    with Scripted(Answer([created(), line, *message("an answer"), completed()])) as model:
        ran = run(FakeTurn(settings(model.base_url)))
    assert ran.failure is None
    assert [item["id"] for item in ran.items] == ["msg_00000001"]
    assert [plain(begun.item)["id"] for begun in ran.of(ItemStarted)] == ["msg_00000001"]


@pytest.mark.parametrize("count", [2**70, -(2**70), 0.5])
def test_a_count_of_tokens_that_is_none_is_not_taken_for_one(count: float) -> None:
    """A rollout that holds it could not be read."""
    with Scripted(Answer([*message("an answer"), completed(count)])) as model:  # type: ignore[arg-type]
        ran = run(FakeTurn(settings(model.base_url)))
    assert ran.of(Usage) == []
    assert ran.failure is not None
    assert "the response cannot be read" in ran.failure.message


def test_of_an_answer_that_says_no_only_a_beginning_is_read() -> None:
    with Scripted(Answer([b"x" * 3_000_000], status=404, hold=True)) as model:
        ran = run(FakeTurn(settings(model.base_url)))
        assert model.gone.wait(60)
    assert ran.failure is not None
    assert ran.failure.message.startswith("unexpected status 404 Not Found: xxx")


@pytest.mark.parametrize(
    "address", ["http://[::1/v1?key=5ec2e7", "http://127.0.0.1:99999", "http://u:5ec2e7@host:port/", "http://h/\x01"]
)
def test_an_address_that_is_none_is_told_without_its_secrets(address: str) -> None:
    failure = run(FakeTurn(settings(address))).failure
    assert failure is not None
    assert failure.message.startswith("provider mock cannot be called")
    assert "5ec2e7" not in failure.message


@pytest.mark.parametrize("asked", ["nan", "inf", "-1", "soon"])
def test_a_wait_that_is_none_is_not_waited_for(asked: str) -> None:
    delay = answered_with(429, {"retry-after": asked}, "", "http://h").delay
    assert delay is None or 0 <= delay <= MAX_DELAY
