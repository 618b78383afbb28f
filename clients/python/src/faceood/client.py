# Made from aio.py by generate_client.py; do not edit.
"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal, Self, cast

import httpx

from . import request as ask
from .errors import FaceoodError, of_response, of_transport
from .request import DEFAULT_URL, Picture, Request, Side
from .shapes import Comparison, Extraction, Feedback, Health, Inferences, Info
from .tls import File, Tls


class Faceood:
    """Talks to one service.

    What it cannot take right now (429, 503, no connection) is sent again, after as long as ``Retry-After`` asks for.
    Every other failure is a :class:`FaceoodError`.

    :param url: where the service is
    :param token: sent as ``Authorization: Bearer``
    :param ca: PEM file of the authority that signed the service's certificate, instead of those that the system trusts
    :param certificate: PEM file of a client certificate
    :param key: PEM file of its key, where that does not stand in ``certificate``
    :param source: this terminal or camera, 1–64 of ``[A-Za-z0-9._:-]``, where a call names none
    :param language: language of the hints, ``en`` or ``zh``
    :param timeout: longest wait for one answer, in seconds
    :param retries: further tries of what can be tried again
    :param transport: in place of the network, for tests
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        ca: File | None = None,
        certificate: File | None = None,
        key: File | None = None,
        source: str | None = None,
        language: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url
        self._source = source
        self._retries = retries
        self._tls = Tls(url, ca, certificate, key)
        self._http = httpx.Client(
            base_url=url,
            headers=ask.headers(token, language),
            verify=self._tls.context(),
            timeout=timeout,
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def extract(
        self,
        picture: Picture,
        *,
        scenario: str | None = None,
        source: str | None = None,
        faces: Literal["largest", "all"] | None = None,
        embedding: bool | None = None,
    ) -> Extraction:
        """The faces of a picture, with embedding, quality and decision."""
        source = source or self._source
        sent = ask.of_picture("v1/extract", picture, scenario=scenario, source=source, faces=faces, embedding=embedding)
        return cast(Extraction, self._send(sent))

    def quality(
        self,
        picture: Picture,
        *,
        scenario: str | None = None,
        source: str | None = None,
        faces: Literal["largest", "all"] | None = None,
    ) -> Extraction:
        """The check before a picture is taken: as extract, without embeddings, and no face is no error."""
        sent = ask.of_picture("v1/quality", picture, scenario=scenario, source=source or self._source, faces=faces)
        return cast(Extraction, self._send(sent))

    def compare(
        self,
        probe: Side,
        reference: Side,
        *,
        scenario: str | None = None,
        source: str | None = None,
        embedding: bool | None = None,
    ) -> Comparison:
        """Whether two faces are one person's, and whether that can be said at all."""
        source = source or self._source
        sent = ask.of_pair(probe, reference, scenario=scenario, source=source, embedding=embedding)
        return cast(Comparison, self._send(sent))

    def info(self) -> Info:
        """What runs there, by which rules, within which limits."""
        return cast(Info, self._send(Request("GET", "v1/info")))

    def ready(self) -> Health:
        """Whether requests are served: fails with ``not_ready`` where they are not. Never tried again."""
        return cast(Health, self._send(Request("GET", "readyz", is_tried_again=False)))

    def inferences(
        self,
        *,
        since: str | None = None,
        until: str | None = None,
        source: str | None = None,
        max_score: float | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Inferences:
        """One page of the log, newest first."""
        given = {
            "since": since,
            "until": until,
            "source": source,
            "max_score": max_score,
            "limit": limit,
            "cursor": cursor,
        }
        return cast(Inferences, self._send(Request("GET", "v1/inferences", ask.parameters({**given}))))

    def all_inferences(
        self,
        *,
        since: str | None = None,
        until: str | None = None,
        source: str | None = None,
        max_score: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Each row of the log, newest first, page after page."""
        cursor: str | None = None
        while True:
            page = self.inferences(since=since, until=until, source=source, max_score=max_score, cursor=cursor)
            yield from page["inferences"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def feedback(
        self,
        request_id: str,
        outcome: Literal["genuine", "impostor", "unusable"],
        note: str | None = None,
        *,
        author: str | None = None,
    ) -> Feedback:
        """Tells the service how an earlier answer turned out.

        :param author: who says so, at most 64 characters; the service does not check it
        """
        return cast(Feedback, self._send(ask.feedback(request_id, outcome, note, author)))

    def _send(self, request: Request) -> Any:
        retries = self._retries if request.is_tried_again else 0
        tried = 0
        while True:
            try:
                return self._once(request)
            except FaceoodError as error:
                pause = ask.pause(error, tried, retries)
                if pause is None:
                    raise
            time.sleep(pause)
            tried += 1

    def _once(self, request: Request) -> Any:
        try:
            response = self._http.request(
                request.method, request.path, params=request.params, files=request.files, json=request.json
            )
        except (httpx.TransportError, OSError) as error:
            # Some failures of TLS are not wrapped by `httpx`, and are an `OSError`.
            raise self._tls.explain(error) or of_transport(error, self._url) from error
        if not response.is_success:
            has_token = "Authorization" in self._http.headers
            raise of_response(response, has_token=has_token, has_certificate=self._tls.certificate is not None)
        return response.json()
