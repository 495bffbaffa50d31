"""Wrong parameters are told as the real server tells them; right ones reach the handlers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadkeep.appserver._manifest import METHOD_NAMES, METHODS
from threadkeep.appserver._param_tables import TABLES
from threadkeep.appserver._params import check
from threadkeep.appserver._rpc import INVALID_REQUEST, RpcError

CASES = [msgspec.json.decode(line) for line in (Path(__file__).parent / "params.jsonl").read_bytes().splitlines()]
"""Parameters and what 0.169.0 says of them (``error``; none where nothing is wrong), `tests/codex/test_manifest.py`."""

THREAD = "019aaaaa-0000-7000-8000-000000000000"


def checked(method: str, params: Any = None, *, experimental: bool = True) -> dict[str, Any]:
    raw = None if params is None else msgspec.Raw(msgspec.json.encode(params))
    return check(method, raw, experimental=experimental)


def told(method: str, params: Any = None, *, experimental: bool = True) -> str | None:
    """The message of the error, None when there is none."""
    try:
        checked(method, params, experimental=experimental)
    except RpcError as error:
        return error.message if error.code == INVALID_REQUEST else f"code {error.code}"
    return None


@pytest.mark.parametrize("method", sorted({case["method"] for case in CASES}))
def test_what_is_wrong_is_told_as_the_real_server_tells_it(method: str) -> None:
    for case in CASES:
        if case["method"] == method:
            said = told(method, case.get("params"), experimental=case.get("experimental", True))
            assert said == case.get("error"), case


def test_every_implemented_method_knows_its_parameters() -> None:
    implemented = {name for name, method in METHODS.items() if method.status == "implemented"}
    assert set(TABLES) == implemented - {"initialize"}


def test_an_unknown_method_is_answered_with_all_methods() -> None:
    message = told("thread/nope", {})
    assert message is not None
    assert message.startswith(
        "Invalid request: unknown variant `thread/nope`, expected one of `initialize`, `server/diagnostics`, "
    )
    assert message.count("`") == 2 * (len(METHOD_NAMES) + 1)


def test_an_absent_parameter_is_not_there_and_null_is_absence() -> None:
    assert checked("thread/list", {"limit": 5, "cursor": None}) == {"limit": 5}


def test_null_is_kept_where_it_takes_something_away() -> None:
    git = {"threadId": THREAD, "gitInfo": {"sha": None}}
    assert checked("thread/metadata/update", git) == git
    tier = {"threadId": THREAD, "serviceTier": None}
    assert checked("thread/settings/update", tier) == tier


def test_unknown_parameters_are_dropped() -> None:
    assert checked("thread/archive", {"threadId": THREAD, "why": "tidy"}) == {"threadId": THREAD}


def test_free_objects_stay_as_they_are() -> None:
    items = [{"type": "message", "role": "user", "content": [{"a": [1.5, None, True]}]}, 5, None]
    assert checked("thread/inject_items", {"threadId": THREAD, "items": items})["items"] == items
    config = {"model": "m", "deep": {"er": [1, {"x": None}]}}
    assert checked("thread/start", {"config": config})["config"] == config
    schema = {"type": "object", "properties": {"a": {"type": "null"}}}
    turn = checked("turn/start", {"threadId": THREAD, "input": [], "outputSchema": schema})
    assert turn["outputSchema"] == schema


def test_what_a_user_says_arrives_whole() -> None:
    said: list[dict[str, Any]] = [
        {"type": "text", "text": "look", "text_elements": [{"byteRange": {"start": 0, "end": 4}, "placeholder": "l"}]},
        {"type": "image", "url": "data:image/png;base64,AA==", "detail": "high"},
        {"type": "image", "fileId": "file-1"},
        {"type": "localImage", "path": "a.png", "detail": "low"},
        {"type": "audio", "url": "data:audio/wav;base64,AA=="},
        {"type": "localAudio", "path": "a.wav"},
        {"type": "skill", "name": "s", "path": "/s"},
        {"type": "mention", "name": "m", "path": "app://m"},
    ]
    assert checked("turn/start", {"threadId": THREAD, "input": said})["input"] == said


def test_a_word_may_be_the_only_member_of_an_object() -> None:
    assert checked("thread/list", {"sortDirection": {"asc": None}}) == {"sortDirection": "asc"}


def test_the_type_of_an_object_may_be_its_place() -> None:
    unread = {"threadId": THREAD, "operation": {"type": 1}, "expectedRevision": "0"}
    assert checked("thread/readState/update", unread)["operation"] == {"type": "unread"}
    read = {"threadId": THREAD, "operation": [0], "expectedRevision": "0"}
    assert checked("thread/readState/update", read)["operation"] == {"type": "read"}


@pytest.mark.parametrize("limit", [0, 2**32 - 1])
def test_limits_are_numbers_of_32_bits(limit: int) -> None:
    assert checked("thread/list", {"limit": limit}) == {"limit": limit}


def test_parameters_may_be_given_by_their_places() -> None:
    assert checked("thread/items/read", [THREAD, "turn", ["a", "b"]]) == {
        "threadId": THREAD,
        "turnId": "turn",
        "itemIds": ["a", "b"],
    }


def test_an_empty_path_is_no_path() -> None:
    assert checked("thread/resume", {"threadId": THREAD, "path": ""}, experimental=False) == {"threadId": THREAD}


def test_older_names_of_a_collaboration_mode_mean_the_default() -> None:
    mode = {"mode": "execute", "settings": {"model": "m", "reasoning_effort": None}}
    taken = checked("turn/start", {"threadId": THREAD, "input": [], "collaborationMode": mode})
    assert taken["collaborationMode"] == {"mode": "default", "settings": {"model": "m"}}


@pytest.mark.parametrize("method", ["command/exec", "app/list"])
def test_parameters_of_what_is_not_implemented_are_not_looked_at(method: str) -> None:
    assert checked(method, {"command": 5}) == {}
    assert checked(method) == {}


def test_experimental_methods_need_the_capability() -> None:
    for name, method in METHODS.items():
        if name not in TABLES:
            gate = f"{name} requires experimentalApi capability" if method.experimental else None
            assert told(name, {}, experimental=False) == gate
            assert told(name, {}) is None


def test_a_number_too_long_to_read_is_an_error_and_no_crash() -> None:
    with pytest.raises(RpcError, match="out of range"):
        check("thread/list", msgspec.Raw(b'{"limit":' + b"9" * 5000 + b"}"), experimental=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["threadId", "type", "limit", "input", "text", "mode"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(method=st.sampled_from(sorted(TABLES)), data=st.data(), experimental=st.booleans())
def test_whatever_is_sent_is_taken_or_told(method: str, data: st.DataObject, experimental: bool) -> None:
    table: Any = TABLES[method]
    names = [field.name for field in getattr(table, "fields", ())]
    params = data.draw(st.dictionaries(st.sampled_from(names), JSON) | JSON if names else JSON)
    message = told(method, params, experimental=experimental)
    if message is None:
        assert set(checked(method, params)) <= set(names)
    else:
        assert message.startswith("Invalid request: ") or message.endswith(" requires experimentalApi capability")
