"""Recording a turn: the records of one exchange in the order in which Codex writes them (``storage.md`` 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from threadkeep.errors import InvalidRequest
from threadkeep.records import PAGINATED
from threadkeep.records import _build as build
from threadkeep.store._turn_records import Checkpoint, TurnRecords
from threadkeep.store._user_input import UserInput
from threadkeep.store._writer import NewRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from threadkeep.store._writer import Writer

__all__ = ["TurnWriter"]

_UNSAID: Final[dict[str, Any]] = {
    "cwd": "/",
    "model": "unknown",
    "approval_policy": "never",
    "permission_profile": {
        "type": "managed",
        "file_system": {
            "type": "restricted",
            "entries": [{"path": {"type": "special", "value": {"kind": "root"}}, "access": "read"}],
        },
        "network": "restricted",
    },
    "sandbox_policy": {"type": "read-only"},
}
"""What a turn runs with where nobody said anything: it may read and not write."""


class TurnWriter:
    """One turn while it is recorded; use it as a context manager.

    Entering writes the turn's start, its settings and what the user said; leaving writes its end: completed, failed
    after `fail`, interrupted after `interrupt` or an exception. What a person sees and what the model sees are written
    side by side, as the thread's history mode asks.

    What is not given is as it was in the thread before; in a new one the turn works in the thread's folder, may read
    and not write, and its model is ``unknown``. In a home shared with Codex a model must be given to the first turn:
    Codex would go on with a model of that name.

    Args:
        writer: The thread's writer.
        text: What the user said.
        model: The model that the turn runs with.
        cwd: The folder that the turn works in.
        approval_policy: As in Codex's ``turn_context``.
        permission_profile: As in Codex's ``turn_context``.
        effort: Reasoning effort.
        model_context_window: Tokens that the model takes; None where it is not known.

    Raises:
        InvalidRequest: The home is shared with Codex, and no model was given or set before.
    """

    def __init__(
        self,
        writer: Writer,
        text: str,
        *,
        model: str | None = None,
        cwd: str | None = None,
        approval_policy: Any = None,
        permission_profile: Mapping[str, Any] | None = None,
        effort: str | None = None,
        model_context_window: int | None = None,
    ) -> None:
        self._writer = writer
        self._text = text
        given = {
            "cwd": cwd,
            "model": model,
            "approval_policy": approval_policy,
            "permission_profile": dict(permission_profile) if permission_profile is not None else None,
            "effort": effort,
        }
        self._settings = {**_UNSAID, **writer.settings()}
        self._provider: str | None = self._settings.pop("model_provider", None)
        if permission_profile is not None:
            self._settings.pop("sandbox_policy", None)
        self._settings.update((name, value) for name, value in given.items() if value is not None)
        if self._settings["model"] == _UNSAID["model"] and writer.shared_with_codex:
            raise InvalidRequest(
                "nothing says which model the turn ran with, and Codex, which shares this home, would go on with it: "
                "give its `model`",
                thread=writer.thread_id,
            )
        self._records = TurnRecords(
            writer,
            context=lambda turn_id: build.turn_context(turn_id, **self._settings),
            applied=self._applied(),
            window=model_context_window,
        )
        self._error: dict[str, Any] | None = None
        self._interrupted = False
        self._said: str | None = None
        self._state = "new"
        self.id = self._records.id

    def __enter__(self) -> Self:
        if self._state != "new":
            raise InvalidRequest("a turn is recorded once", thread=self._writer.thread_id)
        self._state = "open"
        records = self._records
        said = records.said(UserInput.of_text(self._text)).records
        self._writer.append_all([records.start(), records.context(), *said])
        self._writer.remember({**self._settings, "model_provider": self._provider})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state != "open":
            return
        self._state = "closed"
        if error is not None or self._interrupted:
            self._writer.append_all(self._records.aborted())
            return
        self._writer.append_all([self._records.completed(last=self._said, error=self._error)])

    def say(self, text: str, *, phase: str | None = None) -> None:
        """Record an assistant message, for the model and for people."""
        item_id = f"msg_{self._writer.new_id()}"
        payload = build.assistant_message(text, item_id=item_id, turn_id=self.id)
        item = build.agent_item(text, item_id=item_id)
        event = build.agent_message_event(text)
        if phase is not None:
            payload["phase"] = item["phase"] = event["phase"] = phase
        self._said = text
        self._append(self._records.shown(item, [event], payload=payload).records)

    def add(self, item: Any, *, shown: Mapping[str, Any] | None = None, metadata: Any = None) -> None:
        """Record a response item as the provider gave it (a dict, or its bytes as `msgspec.Raw`).

        Args:
            item: The response item: what the model sees of it next time.
            shown: The turn item that a person sees of it, in a paginated thread; None for nothing.
            metadata: Harness metadata; None to leave it out.
        """
        visible = dict(shown) if shown is not None and self._writer.mode == PAGINATED else None
        self._append(self._records.shown(visible, payload=item, metadata=metadata).records)

    def event(self, payload: Any) -> None:
        """Record an event, as far as the thread's history mode keeps it."""
        self._append([NewRecord("event_msg", payload)])

    def count(self, *, total: Mapping[str, int], last: Mapping[str, int]) -> None:
        """Record the token usage after a model call."""
        self._append([self._records.count(total=total, last=last)])

    def compact(
        self,
        summary: str,
        replacement_history: Sequence[Any],
        *,
        window_number: int,
        window_ids: tuple[str, str, str] | None = None,
    ) -> None:
        """Record a checkpoint: from here on the model context begins with ``replacement_history``.

        Args:
            summary: What the compaction says of what came before.
            replacement_history: Response items (values or `msgspec.Raw`) that stand for everything before.
            window_number: Number of the context window that begins, one above the one before.
            window_ids: Ids (UUIDv7) of the first window, the previous one and this one; None makes up one of them all.
        """
        made = self._writer.new_id()
        checkpoint = Checkpoint(summary, replacement_history, window_number, window_ids or (made, made, made))
        self._append([*self._records.checkpoint(checkpoint), *self._records.compaction_shown().records])
        self._writer.remember({**self._settings, "model_provider": self._provider})

    def _applied(self) -> dict[str, Any] | None:
        """The settings as they are stated after a checkpoint.

        Codex resumes no thread whose provider it does not know (0.169.0 observed): without one they are not stated.
        """
        settings = self._settings
        if self._provider is None or settings["permission_profile"] is None:
            return None
        return {
            "model": settings["model"],
            "model_provider_id": self._provider,
            "approval_policy": settings["approval_policy"],
            "approvals_reviewer": "user",
            "permission_profile": settings["permission_profile"],
            "cwd": settings["cwd"],
            "collaboration_mode": {
                "mode": "default",
                "settings": {
                    "model": settings["model"],
                    "reasoning_effort": settings.get("effort"),
                    "developer_instructions": None,
                },
            },
        }

    def fail(self, message: str, info: Any = None) -> None:
        """The turn ends with an error."""
        self._error = {"message": message, "codex_error_info": info}

    def interrupt(self) -> None:
        """The turn ends interrupted."""
        self._interrupted = True

    def _append(self, records: list[NewRecord]) -> None:
        if self._state != "open":
            raise InvalidRequest("the turn is not open", thread=self._writer.thread_id)
        self._writer.append_all(records)
