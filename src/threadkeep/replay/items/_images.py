"""Images that the agent looked at or made."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from threadkeep.replay.items._paths import absolute_path, file_uri
from threadkeep.replay.items._schema import I64, Json, first_string

__all__ = ["ImageGeneration", "ImageGenerationExtension", "ImageView"]


class ImageView(msgspec.Struct, tag=True):
    """The agent looked at an image."""

    id: str
    path: str

    def shown(self) -> Json:
        """As the server shows it: the path of the URI."""
        return {"type": "imageView", "id": self.id, "path": file_uri(self.path).native}


class ImageGeneration(msgspec.Struct, tag=True):
    """An image that the model provider made. Any word is a status."""

    id: str
    status: str
    result: str
    revised_prompt: str | None = None
    saved_path: str | None = None

    def shown(self) -> Json:
        """As the server shows it: `ImageGenerationExtension` with less in it."""
        return {
            "type": "imageGeneration",
            "id": self.id,
            "status": self.status,
            "revisedPrompt": self.revised_prompt,
            "result": self.result,
            "transparentBackground": None,
            "failure": None,
            **_saved(self.saved_path),
            "generationId": None,
        }


class GenerationFailure(msgspec.Struct, rename="camel"):
    """Why there is no image; spelt and ordered like the server's."""

    type: Literal["usageLimitExceeded"]
    limit_id: str
    resets_at: I64 | None = None


class InputImage(msgspec.Struct):
    """An image that the new one was made from."""

    path: str
    sha256: str


class ImageGenerationExtension(msgspec.Struct, tag_field="kind", tag="image_gen.generation", rename="camel"):
    """An image that an extension made: a file by its id, else the image itself. Any word is a status."""

    id: str
    status: str
    revised_prompt: str | None = None
    file_id: Any = None
    result: Any = None
    transparent_background: bool | None = None
    failure: GenerationFailure | None = None
    saved_path: str | None = None
    input_images: list[InputImage] = []
    generation_id: str | None = None

    def shown(self) -> Json:
        """As the server shows it: ``savedPath`` and ``inputImages`` only where there are some."""
        inputs = [{"path": absolute_path(image.path), "sha256": image.sha256} for image in self.input_images]
        return {
            "type": "imageGeneration",
            "id": self.id,
            "status": self.status,
            "revisedPrompt": self.revised_prompt,
            **first_string(fileId=self.file_id, result=self.result),
            "transparentBackground": self.transparent_background,
            "failure": None if self.failure is None else msgspec.to_builtins(self.failure),
            **_saved(self.saved_path),
            **({"inputImages": inputs} if inputs else {}),
            "generationId": self.generation_id,
        }


def _saved(path: str | None) -> Json:
    return {} if path is None else {"savedPath": absolute_path(path)}
