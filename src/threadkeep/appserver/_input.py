"""What a client sends as the input of a turn: as the model sees it, and as the turn shows it (0.169.0 observed)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc
from threadkeep.appserver._regular_files import read_regular
from threadkeep.appserver._rpc import RpcError
from threadkeep.store._user_input import UserInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MOST_CHARACTERS", "MOST_IMAGE_BYTES", "MOST_PARTS", "user_input"]

Json = dict[str, Any]

MOST_CHARACTERS: Final = 1_048_576
"""Characters that the texts of one input may have together, as in 0.169.0."""

MOST_PARTS: Final = 10_000
"""Parts that one input may have."""

MOST_IMAGE_BYTES: Final = 32 * 1024 * 1024
"""Bytes that an image of this machine may have to be sent to a model."""

MOST_IMAGES_BYTES: Final = 128 * 1024 * 1024
"""Bytes that the images of this machine may have together in one input."""

_NO_URL: Final = "remote image URLs are not supported; use an inline data URL instead"
_AUDIO: Final = "audio input is not supported by threadkeep"
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def user_input(given: Sequence[Mapping[str, Any]], client_id: str | None = None) -> UserInput:
    """The input of a turn. Reads the images of this machine that it names.

    Args:
        given: ``UserInput`` values of the protocol, checked.
        client_id: The client's own id of the message.

    Raises:
        RpcError: It is too large, or holds what cannot be sent to a model.
    """
    _check_size(given)
    parts: list[Json] = []
    content: list[Json] = []
    kinds: list[str] = []
    images, room = 0, MOST_IMAGES_BYTES
    for part in given:
        kind = part["type"]
        if kind == "text":
            parts.append({"type": "text", "text": part["text"], "text_elements": _elements(part)})
            content.append({"type": "input_text", "text": part["text"]})
            kinds.append("user.text")
        elif kind == "image":
            parts.append(_image_part(part))
            content.append(_image_content(part))
            kinds.append("user.image")
            images += 1
        elif kind == "localImage":
            images += 1
            parts.append({"type": "local_image", "path": part["path"], **_detail(part)})
            room -= _add_local_image(part["path"], images, content, kinds, room)
        elif kind in ("skill", "mention"):
            parts.append({"type": kind, "name": part["name"], "path": part["path"]})
        else:
            raise _rpc.invalid(_AUDIO)
    return UserInput(parts, content, kinds, client_id)


def _check_size(given: Sequence[Mapping[str, Any]]) -> None:
    size = sum(len(part["text"]) for part in given if part["type"] == "text")
    if size > MOST_CHARACTERS:
        raise RpcError(
            _rpc.INVALID_PARAMS,
            f"Input exceeds the maximum length of {MOST_CHARACTERS} characters.",
            {"input_error_code": "input_too_large", "max_chars": MOST_CHARACTERS, "actual_chars": size},
        )
    if len(given) > MOST_PARTS:
        raise _rpc.invalid(f"the input has more than {MOST_PARTS} parts")


def _elements(part: Mapping[str, Any]) -> list[Json]:
    """The elements of a text, spelt as in a rollout."""
    return [
        {
            "byte_range": {"start": element["byteRange"]["start"], "end": element["byteRange"]["end"]},
            **({"placeholder": element["placeholder"]} if element.get("placeholder") is not None else {}),
        }
        for element in part.get("text_elements") or ()
    ]


def _detail(part: Mapping[str, Any]) -> Json:
    return {"detail": part["detail"]} if part.get("detail") is not None else {}


def _image_part(part: Mapping[str, Any]) -> Json:
    if part.get("url") is not None:
        if not part["url"][:5].lower() == "data:":
            raise _rpc.invalid(_NO_URL)
        return {"type": "image", "image_url": part["url"], **_detail(part)}
    return {"type": "image", "file_id": part["fileId"], **_detail(part)}


def _image_content(part: Mapping[str, Any]) -> Json:
    if part.get("url") is not None:
        return {"type": "input_image", "image_url": part["url"], "detail": "original"}
    return {"type": "input_image", "file_id": part["fileId"], "detail": "high"}


def _add_local_image(path: str, number: int, content: list[Json], kinds: list[str], room: int) -> int:
    """An image of this machine between two labels; where it cannot be read, words that say so stand in its place.

    Returns:
        How many bytes of ``room`` it took.
    """
    image, size = _read_image(path, room)
    label = f'<image name=[Image #{number}] path="{path}">'
    content += [{"type": "input_text", "text": label}, image, {"type": "input_text", "text": "</image>"}]
    of_image = "user.image" if image["type"] == "input_image" else "images.preparation_error"
    kinds += ["user.text", of_image, "user.text"]
    return size


def _read_image(path: str, room: int) -> tuple[Json, int]:
    """What the model sees of an image, and how many bytes it took."""
    try:
        data = read_regular(path, min(room, MOST_IMAGE_BYTES))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return {"type": "input_text", "text": f"(This image could not be read: {why}.)"}, 0
    media = next((media for magic, media in _MAGIC if data.startswith(magic)), None)
    if media is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        media = "image/webp"
    if media is None:
        return {"type": "input_text", "text": "(This file is no PNG, JPEG, GIF or WebP image.)"}, 0
    url = f"data:{media};base64,{base64.b64encode(data).decode()}"
    return {"type": "input_image", "image_url": url, "detail": "original"}, len(data)
