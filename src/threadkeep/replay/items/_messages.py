"""Messages and thoughts: what a person, the agent or a hook said, what the agent planned and thought."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from threadkeep.replay.items._schema import U32, U64, Json, check_u64, first_string

__all__ = [
    "AgentMessage",
    "ContextCompaction",
    "FunctionCallOutput",
    "HookPrompt",
    "Phase",
    "Plan",
    "Reasoning",
    "UserMessage",
]

Detail: TypeAlias = Literal["auto", "low", "high", "original"]
Phase: TypeAlias = Literal["commentary", "partial_answer", "final_answer"]
"""What an agent message is to its turn; a final answer stands for the turn in its summary."""


# --- what a person said -----------------------------------------------------------------------------------------------


class ByteRange(msgspec.Struct):
    """A stretch of a text, in bytes of its UTF-8 form, the end excluded."""

    start: U64
    end: U64


class TextElement(msgspec.Struct):
    """A stretch of a text that stands for something else."""

    byte_range: ByteRange
    placeholder: str | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        start, end = self.byte_range.start, self.byte_range.end
        check_u64(start, end)
        return {"byteRange": {"start": start, "end": end}, "placeholder": self.placeholder}


class Text(msgspec.Struct, tag="text"):
    """A text; ``text_elements`` keeps its snake case."""

    text: str
    text_elements: list[TextElement] = []

    def shown(self) -> Json:
        """As the server shows it."""
        return {
            "type": "text",
            "text": self.text,
            "text_elements": [element.shown() for element in self.text_elements],
        }


class Image(msgspec.Struct, tag="image"):
    """An image by its URL, else by the id of a file."""

    image_url: Any = None
    file_id: Any = None
    detail: Detail | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "image", **first_string(url=self.image_url, fileId=self.file_id), "detail": self.detail}


class LocalImage(msgspec.Struct, tag="local_image"):
    """An image in a file of this machine."""

    path: str
    detail: Detail | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "localImage", "detail": self.detail, "path": self.path}


class Audio(msgspec.Struct, tag="audio"):
    """A recording by its URL, else by the id of a file."""

    audio_url: Any = None
    file_id: Any = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "audio", **first_string(url=self.audio_url, fileId=self.file_id)}


class LocalAudio(msgspec.Struct, tag="local_audio"):
    """A recording in a file of this machine."""

    path: str

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "localAudio", "path": self.path}


class Skill(msgspec.Struct, tag="skill"):
    """A skill that the message names."""

    name: str
    path: str

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "skill", "name": self.name, "path": self.path}


class Mention(msgspec.Struct, tag="mention"):
    """Something else that the message names."""

    name: str
    path: str

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "mention", "name": self.name, "path": self.path}


class UserMessage(msgspec.Struct, tag=True):
    """What a person, or a program in a person's place, said."""

    id: str
    content: list[Text | Image | LocalImage | Audio | LocalAudio | Skill | Mention]
    client_id: str | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {
            "type": "userMessage",
            "id": self.id,
            "clientId": self.client_id,
            "content": [part.shown() for part in self.content],
        }


# --- what the agent said ----------------------------------------------------------------------------------------------


class AgentText(msgspec.Struct):
    """A part of an agent message."""

    type: Literal["Text"]
    text: str


class ModerationDisplay(msgspec.Struct, rename="camel"):
    """How a moderated message is to be shown; spelt and ordered like the server's."""

    action: str
    block_type: str | None = None
    cyber_trusted_access: bool | None = None
    check_trusted_contacts: bool | None = None


class Moderation(msgspec.Struct):
    """Whether a message was moderated; spelt and ordered like the server's."""

    moderated: bool
    display: ModerationDisplay | None = None


class CitationEntry(msgspec.Struct, rename="camel"):
    """Lines of a memory; spelt and ordered like the server's."""

    path: str
    line_start: U32
    line_end: U32
    note: str


class MemoryCitation(msgspec.Struct, rename="camel"):
    """Which memories a message rests on."""

    entries: list[CitationEntry]
    rollout_ids: list[str]

    def shown(self) -> Json:
        """As the server shows it: the rollouts are called threads."""
        return {"entries": msgspec.to_builtins(self.entries), "threadIds": self.rollout_ids}


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """A question to the user; an unknown member makes the record undecodable."""

    title: str
    options: list[str] | None = None


class AgentMessage(msgspec.Struct, tag=True):
    """What the agent said: the texts of its parts, joined by nothing."""

    id: str
    content: list[AgentText]
    phase: Phase | None = None
    memory_citation: MemoryCitation | None = None
    moderation: Moderation | None = None
    delivery: Literal["async"] | None = None
    questions: list[Question] | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {
            "type": "agentMessage",
            "moderation": None if self.moderation is None else msgspec.to_builtins(self.moderation),
            "id": self.id,
            "text": "".join([part.text for part in self.content]),
            "phase": self.phase,
            "memoryCitation": None if self.memory_citation is None else self.memory_citation.shown(),
            "delivery": self.delivery,
            "questions": None if self.questions is None else msgspec.to_builtins(self.questions),
        }


class Plan(msgspec.Struct, tag=True):
    """The text of a plan."""

    id: str
    text: str

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "plan", "id": self.id, "text": self.text}


class Reasoning(msgspec.Struct, tag=True):
    """What the agent thought."""

    id: str
    summary_text: list[str]
    raw_content: list[str] = []

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "reasoning", "id": self.id, "summary": self.summary_text, "content": self.raw_content}


class ContextCompaction(msgspec.Struct, tag=True):
    """That the context was compacted here."""

    id: str

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "contextCompaction", "id": self.id}


# --- what others said -------------------------------------------------------------------------------------------------


class HookFragment(msgspec.Struct, rename="camel"):
    """A piece of a hook's message; spelt and ordered like the server's."""

    text: str
    hook_run_id: str


class HookPrompt(msgspec.Struct, tag=True):
    """What a hook said to the agent."""

    id: str
    fragments: list[HookFragment]

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "hookPrompt", "id": self.id, "fragments": msgspec.to_builtins(self.fragments)}


class InputText(msgspec.Struct, tag="input_text"):
    """A text in a function's output."""

    text: str

    def shown(self) -> Json:
        """As the server shows it: like the rollout."""
        return {"type": "input_text", "text": self.text}


class InputImage(msgspec.Struct, tag="input_image"):
    """An image in a function's output."""

    image_url: Any = None
    file_id: Any = None
    detail: Detail | None = None

    def shown(self) -> Json:
        """As the server shows it: like the rollout, without a detail that is null."""
        part = {"type": "input_image", **first_string(image_url=self.image_url, file_id=self.file_id)}
        return part if self.detail is None else {**part, "detail": self.detail}


class InputAudio(msgspec.Struct, tag="input_audio"):
    """A recording in a function's output."""

    audio_url: Any = None
    file_id: Any = None

    def shown(self) -> Json:
        """As the server shows it: like the rollout."""
        return {"type": "input_audio", **first_string(audio_url=self.audio_url, file_id=self.file_id)}


class EncryptedContent(msgspec.Struct, tag="encrypted_content"):
    """A part of a function's output that only the model provider can read."""

    encrypted_content: str

    def shown(self) -> Json:
        """As the server shows it: like the rollout."""
        return {"type": "encrypted_content", "encrypted_content": self.encrypted_content}


class FunctionCallOutput(msgspec.Struct, tag=True):
    """The result of a call that the client answered itself."""

    id: str
    name: str
    output: str | list[InputText | InputImage | InputAudio | EncryptedContent]
    namespace: str | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        output = self.output
        return {
            "type": "functionCallOutput",
            "id": self.id,
            "name": self.name,
            "namespace": self.namespace,
            "output": output if isinstance(output, str) else [part.shown() for part in output],
        }
