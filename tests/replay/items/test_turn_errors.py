"""Why a turn failed is shown like the server shows it; an error that is none makes the end of the turn not count."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle import thread_items, turns_paginated
from tests.support import dump

from threadkeep.replay.items import UndecodableError, turn_error

NAMES = (
    "context_window_exceeded other bio_policy invalid_prompt unheard_of http_connection_failed "
    "response_stream_disconnected response_too_many_failed_attempts response_stream_connection_failed "
    "active_turn_not_steerable"
).split()
values = st.one_of(
    st.none(),
    st.just({}),
    st.builds(
        lambda code: {"http_status_code": code}, st.none() | st.sampled_from([0, 429, 65_535, 65_536, -1, 1.0, "5"])
    ),
    st.builds(lambda kind: {"turn_kind": kind}, st.sampled_from(["review", "compact", "else", None])),
    st.just([1]),
)
causes = st.one_of(
    st.none(),
    st.sampled_from([*NAMES, *turns_paginated._ERROR_WORDS, ""]),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=2),
    st.sampled_from([5, 1.5, True, [], ["other"]]),
)
errors = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "message": st.sampled_from(["it failed", "", None, 5]),
            "codex_error_info": causes,
            "misalignment": st.just({"x": 1}),
        },
    ),
    st.builds(lambda cause: {"message": "it failed", "codex_error_info": cause}, causes),
    st.sampled_from([None, "text", 5, [], {}]),
)


def shown(error: Any) -> Any:
    return turn_error(msgspec.Raw(dump(error)))


@given(errors)
def test_an_error_is_shown_as_the_oracle_shows_it(error: Any) -> None:
    try:
        expected = turns_paginated.turn_error({"error": error})
    except thread_items.UndecodableError:
        with pytest.raises(UndecodableError):
            shown(error)
    else:
        assert shown(error) == expected
        assert expected is None or list(shown(error)) == list(expected)


def test_a_turn_without_an_error_shows_none() -> None:
    assert turn_error(msgspec.Raw(b"")) is None
    assert turn_error(msgspec.Raw(b"null")) is None


def test_what_codex_does_not_name_to_its_clients_is_other() -> None:
    for cause in ("bio_policy", "invented_later", {"invented_later": [1]}):
        assert shown({"message": "m", "codex_error_info": cause})["codexErrorInfo"] == "other"


def test_a_status_of_the_provider_is_shown() -> None:
    cause = {"response_too_many_failed_attempts": {"http_status_code": 503}}
    assert shown({"message": "m", "codex_error_info": cause})["codexErrorInfo"] == {
        "responseTooManyFailedAttempts": {"httpStatusCode": 503}
    }


@pytest.mark.parametrize("raw", [b'{"message":"a"', b'{"message":"\xff"}', b"[" * 100_000])
def test_bytes_that_are_no_json_are_no_error_of_a_turn(raw: bytes) -> None:
    with pytest.raises(UndecodableError):
        turn_error(msgspec.Raw(raw))
