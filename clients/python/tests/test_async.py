"""The asynchronous client: the same calls, awaited."""

import asyncio

import httpx
import pytest

from faceood import AsyncFaceood, FaceoodError


def test_many_pictures_are_asked_about_at_once(url: str, photo: bytes) -> None:
    async def ask() -> None:
        async with AsyncFaceood(url, source="async") as client:
            answers = await asyncio.gather(*(client.extract(photo) for _ in range(4)))
            assert len({answer["request_id"] for answer in answers}) == 4
            assert (await client.compare(photo, photo))["verdict"] == "same"
            rows = [row async for row in client.all_inferences(source="async")]
            assert len(rows) == 6

    asyncio.run(ask())


def test_what_is_refused_for_now_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("faceood.aio.asyncio.sleep", sleep)
    problem = {"type": "urn:faceood:problem:rate_limited", "detail": "too many"}
    answers = [httpx.Response(429, headers={"Retry-After": "2"}, json=problem) for _ in range(3)]
    service = httpx.MockTransport(lambda _: answers.pop())

    async def ask() -> None:
        async with AsyncFaceood(transport=service, retries=2) as client:
            with pytest.raises(FaceoodError, match="rate_limited"):
                await client.info()

    asyncio.run(ask())
    assert pauses == [2.0, 2.0]
