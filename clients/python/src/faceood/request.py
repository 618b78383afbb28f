"""What is sent, and when it is sent again: the same for the blocking client and for the asynchronous one."""

from __future__ import annotations

import base64
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .errors import FaceoodError

DEFAULT_URL = "http://127.0.0.1:7860"
FIRST_PAUSE = 0.25
# Nobody waits longer than this for one more try, whatever the service asks for.
LONGEST_PAUSE = 30.0

Picture: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str]
"""The bytes of a picture's file, or the path of one."""


@dataclass(frozen=True)
class Embedded:
    """A side of a comparison of which only the embedding was kept."""

    embedding: Sequence[float]
    """512 numbers of unit length."""
    model_sha256: str | None = None
    """The pack that it comes from: another one is refused."""
    quality_score: float | None = None
    """The score that its picture had."""


Side: TypeAlias = Picture | Embedded


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent as often as needed."""

    method: str
    path: str
    params: dict[str, str | int | float] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] | None = None
    json: Any = None
    is_tried_again: bool = True


def content(picture: Picture) -> bytes:
    """The bytes of a picture's file."""
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return bytes(picture)
    return pathlib.Path(picture).read_bytes()


def parameters(given: dict[str, str | int | float | bool | None]) -> dict[str, str | int | float]:
    """Those that were given, as the service reads them."""
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else value for name, value in given.items() if value is not None
    }


def of_picture(path: str, picture: Picture, **given: str | int | float | bool | None) -> Request:
    """A question about one picture."""
    return Request("POST", path, parameters(given), files={"image": ("image", content(picture))})


def of_pair(probe: Side, reference: Side, **given: str | int | float | bool | None) -> Request:
    """A question about two sides."""
    params = parameters(given)
    if isinstance(probe, Embedded) or isinstance(reference, Embedded):
        return Request("POST", "v1/compare", params, json={"probe": side(probe), "reference": side(reference)})
    files = {"probe": ("probe", content(probe)), "reference": ("reference", content(reference))}
    return Request("POST", "v1/compare", params, files=files)


def side(given: Side) -> dict[str, Any]:
    """A side of a comparison in JSON."""
    if not isinstance(given, Embedded):
        return {"image": base64.b64encode(content(given)).decode("ascii")}
    made: dict[str, Any] = {"embedding": list(given.embedding)}
    if given.model_sha256 is not None:
        made["model_sha256"] = given.model_sha256
    if given.quality_score is not None:
        made["quality_score"] = given.quality_score
    return made


def feedback(request_id: str, outcome: str, note: str | None, author: str | None) -> Request:
    """How an earlier answer turned out."""
    body = parameters({"request_id": request_id, "outcome": outcome, "note": note, "author": author})
    return Request("POST", "v1/feedback", json=body)


def pause(error: FaceoodError, tried: int, retries: int) -> float | None:
    """Seconds until the next try, or None where there is to be none."""
    if not error.is_temporary or tried >= retries:
        return None
    # Some limits last for minutes. To ask earlier would only be refused again.
    if error.status == 429 and (error.retry_after or 0.0) > LONGEST_PAUSE:
        return None
    # Doubling, so that many terminals do not keep a service down that is just coming back.
    return float(min(max(error.retry_after or 0.0, FIRST_PAUSE * 2**tried), LONGEST_PAUSE))


def valid(token: str) -> str:
    """The token, if it can be sent. No message repeats it."""
    if token.isascii() and token.isprintable() and " " not in token:
        return token
    raise FaceoodError(
        "unauthenticated",
        "`token` holds spaces or characters that no token has: give only the text that begins with fod_",
    )


def headers(token: str | None, language: str | None) -> dict[str, str]:
    """What goes with every request."""
    made = {}
    if token and token.strip():
        made["Authorization"] = f"Bearer {valid(token.strip())}"
    if language:
        made["Accept-Language"] = language
    return made
