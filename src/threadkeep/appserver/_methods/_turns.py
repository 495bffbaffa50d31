"""Turns: ``turn/start``, ``turn/steer``, ``turn/interrupt``, ``thread/compact/start``, ``thread/inject_items``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver import _rpc
from threadkeep.appserver._loaded import wait_for_the_end
from threadkeep.appserver._settings_change import keep_settings, tell_settings
from threadkeep.appserver._thread_ids import named_thread
from threadkeep.records import response_item
from threadkeep.store import NewRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from threadkeep.appserver._call import Call
    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver._running import Run
    from threadkeep.store._user_input import UserInput

__all__ = ["thread_compact_start", "thread_inject_items", "turn_interrupt", "turn_start", "turn_steer"]

Json = dict[str, Any]

MOST_ITEMS: Final = 10_000
"""Response items that may be put into a thread at once."""

_NO_RUN: Final = "no active turn to"
_COMPACTS: Final = "cannot steer a compact turn"

_encode: Final = msgspec.json.Encoder().encode


def turn_start(call: Call) -> Any:
    """Begin a turn; while one runs, what is said goes to that one.

    Raises:
        RpcError: The thread is not loaded, the input cannot be taken, or what runs is a compaction.
    """
    from threadkeep.appserver._input import user_input
    from threadkeep.appserver._running import Run
    from threadkeep.appserver._telling import turn_json

    thread, params = _loaded(call), call.params
    given = user_input(params["input"], params.get("clientUserMessageId"))
    running = _take_over(thread, given)
    if running is not None:
        return {"turn": turn_json(running.turn_id)}
    if keep_settings(thread, thread.settings.changed(params, call.server.config)):
        tell_settings(thread)
    schema, tier = params.get("outputSchema"), params.get("serviceTierForTurn")
    run = Run(thread, given, output_schema=schema, service_tier=tier)
    _begin(call, thread, run, {"turn": turn_json(run.turn_id)})
    return None


def _take_over(thread: LoadedThread, given: UserInput) -> Run | None:
    """The turn that runs and hears what is said; None where none does any more."""
    run = thread.run
    if run is None:
        return None
    if not given.parts:
        raise _rpc.internal("failed to submit turn input: EmptyInput")
    if run.compacts:
        raise _rpc.internal("failed to submit turn input: ActiveTurnNotSteerable { turn_kind: Compact }")
    if run.hear(given):
        return run
    wait_for_the_end(run)
    if run.unsure:
        thread.renew()
    return None


def _begin(call: Call, thread: LoadedThread, run: Run, answer: Json) -> None:
    with thread.lock:
        thread.run = run
    call.respond(answer)
    run.launch()


def turn_steer(call: Call) -> Any:
    """Say something to the turn that runs.

    Raises:
        RpcError: None runs, another one does, or it hears nobody.
    """
    from threadkeep.appserver._input import user_input

    expected = call.params["expectedTurnId"]
    thread = _loaded(call)
    if not expected:
        raise _rpc.invalid("expectedTurnId must not be empty")
    run = thread.run
    if run is None:
        raise _rpc.invalid(f"{_NO_RUN} steer")
    if expected != run.turn_id:
        raise _rpc.invalid(f"expected active turn id `{expected}` but found `{run.turn_id}`")
    if run.compacts:
        info = {"activeTurnNotSteerable": {"turnKind": "compact"}}
        said = {"message": _COMPACTS, "codexErrorInfo": info, "additionalDetails": None, "misalignment": None}
        raise _rpc.RpcError(_rpc.INVALID_REQUEST, _COMPACTS, said)
    if not call.params["input"]:
        raise _rpc.invalid("input must not be empty")
    if not run.hear(user_input(call.params["input"], call.params.get("clientUserMessageId"))):
        raise _rpc.invalid(f"{_NO_RUN} steer")
    return {"turnId": run.turn_id}


def turn_interrupt(call: Call) -> Any:
    """End the turn that runs; answered when its end is kept, and at once where no turn is named (0.169.0 observed).

    Raises:
        RpcError: None runs, or another one does.
    """
    thread, expected = _loaded(call), call.params["turnId"]
    run = thread.run
    if run is None:
        raise _rpc.invalid(f"{_NO_RUN} interrupt")
    if expected and expected != run.turn_id:
        raise _rpc.invalid(f"expected active turn id {expected} but found {run.turn_id}")
    if not expected:
        call.respond({})
    run.interrupt(lambda: call.respond({}))
    wait_for_the_end(run)
    return {}


def thread_compact_start(call: Call) -> Any:
    """Compact the context, in a turn of its own; one that runs makes way for it."""
    from threadkeep.appserver._running import Run

    thread = _loaded(call)
    running = thread.run
    if running is not None:
        call.respond({})
        running.interrupt(replaced=True)
        wait_for_the_end(running)
    _begin(call, thread, Run(thread, None), {})
    return None


def thread_inject_items(call: Call) -> Any:
    """Put response items into the model context; a turn that runs has them with its next model call.

    Raises:
        RpcError: There are none, or one is no response item.
    """
    thread, items = _loaded(call), call.params["items"]
    if not items:
        raise _rpc.invalid("items must not be empty")
    if len(items) > MOST_ITEMS:
        raise _rpc.invalid(f"more than {MOST_ITEMS} items")
    run = thread.run
    made = [_injected(thread, item, index, run) for index, item in enumerate(items)]
    kept = [msgspec.Raw(_encode(item)) for item in made if item is not None]
    if run is not None:
        run.inject(kept)
    else:
        thread.writer.append_all([NewRecord("response_item", item) for item in kept])
    return {}


def _injected(thread: LoadedThread, item: Any, index: int, run: Run | None) -> Mapping[str, Any] | None:
    """A client's item as it is recorded; None for one of a kind that nobody knows, which is passed over.

    Raises:
        RpcError: It is no response item.
    """
    if not isinstance(item, dict):
        why = f"invalid type: {_said(item)}, expected internally tagged enum ResponseItem"
        raise _rpc.invalid(f"items[{index}] is not a valid response item: {why}")
    if not isinstance(item.get("type"), str):
        raise _rpc.invalid(f"items[{index}] is not a valid response item: missing field `type`")
    known = response_item(msgspec.Raw(_encode(item)))
    if known is None:
        raise _rpc.invalid(f"items[{index}] is not a valid response item: a member is missing or of another type")
    if isinstance(known, str):
        return None
    if item["type"] != "message":
        return item
    passthrough: Json = {"turn_id": run.turn_id} if run is not None else {}
    passthrough["content_item_kinds"] = ["unknown"] * len(item.get("content") or ())
    recorded = {"type": "message", "id": item.get("id") or f"msg_{thread.writer.new_id()}", **item}
    return {**recorded, "internal_chat_message_metadata_passthrough": passthrough}


def _said(value: Any) -> str:
    """A value in the words of the protocol's errors."""
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, str):
        return f'string "{value}"'
    if isinstance(value, (int, float)):
        return f"{'integer' if isinstance(value, int) else 'floating point'} `{value}`"
    return "null" if value is None else "sequence"


def _loaded(call: Call) -> LoadedThread:
    """The thread that a request names.

    Raises:
        RpcError: The id is none, or the thread is not loaded.
    """
    return call.server.threads.require(named_thread(call))
