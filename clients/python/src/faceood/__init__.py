"""Client of a faceood service: says first whether a face picture can be trusted, then whether two faces are one person.

>>> from faceood import Faceood
>>> with Faceood("http://127.0.0.1:7860", source="gate-3") as faceood:  # doctest: +SKIP
...     answer = faceood.compare("probe.jpg", "reference.jpg")
...     print(answer["verdict"], answer["similarity"])
"""

from .aio import AsyncFaceood
from .client import Faceood
from .errors import FaceoodError
from .request import DEFAULT_URL, Embedded, Picture, Side

__all__ = ["DEFAULT_URL", "AsyncFaceood", "Embedded", "Faceood", "FaceoodError", "Picture", "Side"]
