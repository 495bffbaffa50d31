"""Long threads made up from a seed: the shapes and proportions of real ones, in either history mode.

A turn is a user's message, two to nine rounds of reasoning, command and output, and an answer, with the usage records
around them; a compaction stands every two megabytes, the last one a fixed distance before the end. The same seed
makes the same bytes.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from threadkeep.ids import Uuid7Source, utc
from threadkeep.records import LEGACY, PAGINATED, encode_record
from threadkeep.records import _build as build

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CheckpointAge", "CheckpointPlace", "Generated", "Recipe", "SeededIds", "SteppingClock", "generate"]

CheckpointAge = Literal["current", "no-resume-metadata", "no-window-number", "no-replacement-history"]
"""Which of the checkpoint shapes that Codex has written over the years the compactions of a thread have."""

CheckpointPlace = Literal["late", "early", "none"]
"""Every two megabytes and the last one at a stated distance from the end; one alone, after the first turn; nowhere."""

_SPACING: Final = 2_000_000
_LINE_WORDS: Final = 12
_WORDS: Final = (
    "the thread store keeps every record and reads from the end until nothing older can matter while a checkpoint "
    "holds what came before it and a fork writes one small record that names its boundary in the parent file"
).split()


class Recipe(msgspec.Struct, frozen=True):
    """What to make.

    Attributes:
        mode: History mode.
        size: Bytes that the rollout has at least.
        tail: Bytes after the last checkpoint, about, where it stands late.
        age: The shape of its checkpoints.
        checkpoints: Where they stand.
        rollback_every: After so many turns the newest one is rolled back; 0 for never. In legacy threads alone.
        seed: Source of all chance.
        cwd: The folder that the thread worked in.
        opening: What the user says first, which lists show; made up where it is empty.
    """

    mode: str = PAGINATED
    size: int = 1_000_000
    tail: int = 1_000_000
    age: CheckpointAge = "current"
    checkpoints: CheckpointPlace = "late"
    rollback_every: int = 0
    seed: int = 1
    cwd: str = "/home/me/project"
    opening: str = ""


class Generated(msgspec.Struct):
    """What was made, for checks.

    Attributes:
        thread_id: Id of the thread.
        created_ms: Its creation time.
        turns: Turns made, compactions included.
        records: Records made.
        compactions: Checkpoints made.
        rollbacks: Turns rolled back.
    """

    thread_id: str = ""
    created_ms: int = 0
    turns: int = 0
    records: int = 0
    compactions: int = 0
    rollbacks: int = 0


class SteppingClock:
    """Time that moves on when somebody sets it.

    Attributes:
        ms: Unix milliseconds.
    """

    def __init__(self, start_ms: int) -> None:
        self.ms = start_ms

    def now_ms(self) -> int:
        """The time."""
        return self.ms


class _Thread:
    """One thread being made up."""

    def __init__(self, recipe: Recipe, made: Generated, start_ms: int) -> None:
        self.recipe = recipe
        self.made = made
        self.random = random.Random(recipe.seed)  # noqa: S311 - made-up text
        self.clock = SteppingClock(start_ms)
        self.ids = SeededIds(self.random, self.clock)
        self.written = 0
        self.since_checkpoint = 0
        self.ended_late = False
        self.window = 0
        self.window_ids = [self.ids.new()]
        self.usage = dict.fromkeys(
            ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens"), 0
        )
        self.last_turn = ""
        self.recent: list[tuple[Any, Any]] = []
        made.thread_id = self.ids.new()
        made.created_ms = start_ms

    def record(self, kind: str, payload: Any, metadata: Any = None) -> bytes:
        self.clock.ms += self.random.randrange(1, 40)
        paginated = self.recipe.mode == PAGINATED
        line = encode_record(
            kind,
            payload,
            timestamp=utc(self.clock.ms),
            ordinal=self.made.records if paginated else None,
            metadata=metadata,
        )
        self.made.records += 1
        self.written += len(line)
        self.since_checkpoint += len(line)
        return line

    def text(self, size: int) -> str:
        words = self.random.choices(_WORDS, k=size // 5)
        return " ".join(words)[:size]

    def lines(self, size: int) -> str:
        words = self.text(size).split(" ")
        return "\n".join(" ".join(words[at : at + _LINE_WORDS]) for at in range(0, len(words), _LINE_WORDS))

    def session_meta(self) -> bytes:
        return self.record(
            "session_meta",
            build.session_meta(
                thread_id=self.made.thread_id,
                timestamp=utc(self.clock.ms),
                cwd=self.recipe.cwd,
                originator="threadkeep",
                cli_version="0.0.0",
                source="cli",
                model_provider="openai",
                base_instructions={"text": self.text(20_000)},
                history_mode=self.recipe.mode,
                window_id=self.window_ids[0],
            ),
        )

    def event(self, payload: Any) -> bytes:
        return self.record("event_msg", payload)

    def item(self, payload: Any, turn: str) -> bytes:
        now = self.clock.ms
        return self.event(
            build.item_completed(
                payload, thread_id=self.made.thread_id, turn_id=turn, started_at_ms=now, completed_at_ms=now
            )
        )

    def response(self, payload: Any) -> bytes:
        metadata = {"history_sequence": self.made.records, "client_authored": False}
        if payload["type"] == "message":
            self.recent = [*self.recent[-5:], (payload, metadata)]
        return self.record("response_item", payload, metadata)

    def start(self) -> Iterator[bytes]:
        self.last_turn = self.ids.new()
        self.made.turns += 1
        yield self.event(
            build.task_started(self.last_turn, started_at=self.clock.ms // 1000, model_context_window=258_400)
        )

    def finish(self, started_ms: int, answer: str | None) -> Iterator[bytes]:
        yield self.event(
            build.task_complete(
                self.last_turn,
                last_agent_message=answer,
                started_at=started_ms // 1000,
                completed_at=self.clock.ms // 1000,
                duration_ms=self.clock.ms - started_ms,
            )
        )

    def context(self) -> bytes:
        return self.record(
            "turn_context",
            build.turn_context(
                self.last_turn,
                cwd=self.recipe.cwd,
                model="gpt-5",
                approval_policy="never",
                permission_profile={"type": "disabled"},
            ),
        )

    def settings(self) -> bytes:
        return self.event(
            build.thread_settings_applied(
                self.made.thread_id,
                {
                    "model": "gpt-5",
                    "model_provider_id": "openai",
                    "approval_policy": "never",
                    "approvals_reviewer": "user",
                    "permission_profile": {"type": "disabled"},
                    "cwd": self.recipe.cwd,
                    "collaboration_mode": {
                        "mode": "default",
                        "settings": {"model": "gpt-5", "reasoning_effort": None, "developer_instructions": None},
                    },
                },
            )
        )

    def count(self) -> Iterator[bytes]:
        last = {
            "input_tokens": self.since_checkpoint // 4,
            "cached_input_tokens": 0,
            "output_tokens": 400,
            "reasoning_output_tokens": 100,
            "total_tokens": self.since_checkpoint // 4 + 400,
        }
        self.usage = {key: self.usage[key] + last[key] for key in self.usage}
        yield self.record(
            "token_usage_record",
            build.token_usage_record(
                thread_id=self.made.thread_id,
                turn_id=self.last_turn,
                response_id=f"resp_{self.ids.new()}",
                usage=last,
                turn_usage=last,
                thread_usage=self.usage,
            ),
        )
        yield self.event(build.token_count(self.usage, last, model_context_window=258_400))

    def turn(self) -> Iterator[bytes]:
        paginated = self.recipe.mode == PAGINATED
        yield from self.start()
        turn, started = self.last_turn, self.clock.ms
        yield self.context()
        text = self.text(300)
        if self.made.turns == 1 and self.recipe.opening:
            text = self.recipe.opening
        message = build.user_message(text, item_id=f"msg_{self.ids.new()}", turn_id=turn)
        yield self.response(message)
        yield (
            self.item(build.user_item(text, item_id=self.ids.new()), turn)
            if paginated
            else self.event(build.user_message_event(text))
        )
        for _ in range(self.random.randrange(2, 10)):
            yield from self.round(turn)
        answer = self.text(1_500)
        item_id = f"msg_{self.ids.new()}"
        yield (
            self.item(build.agent_item(answer, item_id=item_id), turn)
            if paginated
            else self.event(build.agent_message_event(answer))
        )
        yield self.response(build.assistant_message(answer, item_id=item_id, turn_id=turn))
        yield from self.count()
        yield from self.finish(started, answer)

    def round(self, turn: str) -> Iterator[bytes]:
        paginated = self.recipe.mode == PAGINATED
        summary, call = self.text(80), f"call_{self.ids.new()}"
        reasoning = f"rs_{self.ids.new()}"
        yield (
            self.item({"type": "Reasoning", "id": reasoning, "summary_text": [summary], "raw_content": []}, turn)
            if paginated
            else self.event({"type": "agent_reasoning", "text": summary})
        )
        sealed = f"{self.random.getrandbits(5_600):01400x}"
        yield self.response(
            {
                "type": "reasoning",
                "id": reasoning,
                "summary": [{"type": "summary_text", "text": summary}],
                "content": None,
                "encrypted_content": sealed,
            }
        )
        command = f"grep -rn {self.random.choice(_WORDS)} src"
        yield self.response(
            {
                "type": "function_call",
                "id": f"fc_{self.ids.new()}",
                "name": "exec_command",
                "arguments": f'{{"cmd":"{command}"}}',
                "call_id": call,
            }
        )
        output = self.lines(self.random.randrange(3_000, 5_000))
        now = self.clock.ms
        if paginated:
            yield self.item(
                {
                    "type": "CommandExecution",
                    "id": call,
                    "process_id": str(now % 100_000),
                    "command": ["/bin/bash", "-lc", command],
                    "cwd": f"file://{self.recipe.cwd}",
                    "parsed_cmd": [{"type": "unknown", "cmd": command}],
                    "source": "unified_exec_startup",
                    "status": "completed",
                    "aggregated_output": output,
                    "exit_code": 0,
                    "duration": {"secs": 0, "nanos": 40_000_000},
                },
                turn,
            )
        yield self.response(
            {
                "type": "function_call_output",
                "id": f"fco_{self.ids.new()}",
                "call_id": call,
                "output": f"Wall time: 0.0400 seconds\nProcess exited with code 0\nOutput:\n{output}",
            }
        )

    def rollback(self) -> bytes:
        self.made.rollbacks += 1
        return self.event({"type": "thread_rolled_back", "num_turns": 1})

    def due(self) -> bool:
        """Whether a checkpoint stands here."""
        places, done = self.recipe.checkpoints, self.made.compactions
        if places != "late":
            return places == "early" and not done
        last = max(0, self.recipe.size - self.recipe.tail)
        if self.ended_late:
            return False
        self.ended_late = self.written >= last
        return self.ended_late or (self.since_checkpoint >= _SPACING and self.written + _SPACING < last)

    def compaction(self) -> Iterator[bytes]:
        attributed = self.last_turn
        yield from self.start()
        turn, started = self.last_turn, self.clock.ms
        summary = self.text(2_000)
        age = self.recipe.age
        kept = [payload for payload, _ in self.recent if payload["role"] == "user"]
        kept_metadata = [metadata for payload, metadata in self.recent if payload["role"] == "user"]
        tail = build.user_message(summary, item_id=f"msg_{self.ids.new()}", turn_id=turn)
        tail["internal_chat_message_metadata_passthrough"]["content_item_kinds"] = ["compaction.summary"]
        self.window += 1
        self.window_ids.append(self.ids.new())
        payload = build.compacted(
            summary,
            [*kept, tail],
            replacement_history_metadata=[*kept_metadata, {"client_authored": False}],
            window_number=self.window if age in ("current", "no-resume-metadata") else None,
            first_window_id=self.window_ids[0],
            previous_window_id=self.window_ids[-2],
            window_id=self.window_ids[-1],
            # Without all of these Codex reads the whole rollout for a fork (0.169.0 observed).
            resume_metadata={
                "dynamic_tools": {"thread_id": self.made.thread_id, "tools": []},
                "multi_agent_version": "v1",
                "turn_attribution": {
                    "turn_id": attributed,
                    "turn_trigger": None,
                    "parent_turn_id": None,
                    "initiating_agent_path": None,
                    "root_turn_id": attributed,
                },
                "last_started_turn_id": turn,
                "previous_turn_settings": {"model": "gpt-5", "comp_hash": None, "realtime_active": False},
            }
            if age == "current"
            else None,
        )
        if age == "no-replacement-history":
            payload = {"message": summary}
        elif age == "no-window-number":
            for key in ("first_window_id", "previous_window_id", "window_id"):
                del payload[key]
        self.recent = []
        self.since_checkpoint = 0
        self.made.compactions += 1
        yield self.record("compacted", payload)
        yield self.record("world_state", {"full": True, "state": {"cwd": self.recipe.cwd, "note": self.text(600)}})
        yield self.context()
        yield self.settings()
        yield self.event(build.token_count(self.usage, dict.fromkeys(self.usage, 0), model_context_window=258_400))
        if self.recipe.mode == PAGINATED:
            yield self.item({"type": "ContextCompaction", "id": self.ids.new()}, turn)
        else:
            yield self.event({"type": "context_compacted"})
        yield from self.finish(started, None)


class SeededIds(Uuid7Source):
    """UUIDv7 ids whose chance is the seed's."""

    def __init__(self, chance: random.Random, clock: SteppingClock) -> None:
        super().__init__(clock)
        self._chance = chance
        self._now = clock

    def new(self) -> str:
        """A new id; the clock moves on by a millisecond."""
        bits = self._chance.getrandbits(74)
        digits = f"{self._now.ms:012x}7{bits >> 62:03x}{(bits & (1 << 62) - 1) | 1 << 63:016x}"
        self._now.ms += 1
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def generate(recipe: Recipe, made: Generated, *, start_ms: int = 1_760_000_000_000) -> Iterator[bytes]:
    """The records of a thread made by ``recipe``, with their newlines; ``made`` says afterwards what was made.

    Args:
        recipe: What to make.
        made: Filled in while the records are taken.
        start_ms: Creation time of the thread, Unix milliseconds.
    """
    if recipe.mode not in (LEGACY, PAGINATED):
        raise ValueError(f"unknown history mode {recipe.mode!r}")
    if recipe.rollback_every and recipe.mode != LEGACY:
        raise ValueError("only legacy threads are rolled back: paginated ones are reverted")
    thread = _Thread(recipe, made, start_ms)
    yield thread.session_meta()
    while thread.written < recipe.size:
        yield from thread.turn()
        if recipe.rollback_every and (made.turns - made.compactions) % recipe.rollback_every == 0:
            yield thread.rollback()
        if thread.due():
            yield from thread.compaction()
