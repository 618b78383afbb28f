"""The blocking client against the real daemon, and what it does when a service cannot answer."""

import base64
import json
import pathlib
import re
from typing import cast

import httpx
import pytest
from conftest import ASTRONAUT

from faceood import Embedded, Faceood, FaceoodError
from faceood import request as ask
from faceood.shapes import Face

# A BMP of one black pixel.
BLANK = "Qk06AAAAAAAAADYAAAAoAAAAAQAAAAEAAAABABgAAAAAAAQAAAATCwAAEwsAAAAAAAAAAAAAAAAAAA=="

OVERLOADED = {
    "type": "urn:faceood:problem:overloaded",
    "title": "The service is busy",
    "status": 503,
    "detail": "the queue is full",
    "request_id": "r-1",
}


class Scripted(httpx.BaseTransport):
    """A service that says these answers one after the other."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("faceood.client.time.sleep", waited.append)
    return waited


def test_a_picture_as_bytes_or_as_a_path_gives_the_same_face(url: str, photo: bytes) -> None:
    with Faceood(url) as client:
        answers = [client.extract(picture) for picture in (photo, memoryview(photo), ASTRONAUT, str(ASTRONAUT))]
    for answer in answers:
        assert len(answer["faces"][0]["embedding"]) == 512
        assert answer["faces"][0]["quality"]["score"] == answers[0]["faces"][0]["quality"]["score"]


def test_what_is_asked_for_reaches_the_service(url: str, photo: bytes) -> None:
    with Faceood(url, source="desk") as client:
        answer = client.extract(photo, scenario="enroll", embedding=False, faces="all")
        rows = client.inferences(source="desk", limit=1)["inferences"]
    assert answer["faces"][0]["decision"]["scenario"] == "enroll"
    assert "embedding" not in answer["faces"][0]
    assert rows[0]["request_id"] == answer["request_id"]


def test_no_face_is_no_error_before_a_picture_is_taken(url: str, tmp_path: pathlib.Path) -> None:
    blank = tmp_path / "blank.bmp"
    blank.write_bytes(base64.b64decode(BLANK))
    with Faceood(url, language="zh") as client:
        answer = client.quality(blank)
        assert answer["faces"] == []
        assert re.search("[\u4e00-\u9fff]", answer["hints"][0]["message"])
        with pytest.raises(FaceoodError) as failure:
            client.extract(blank)
    assert (failure.value.code, failure.value.status) == ("no_face", 422)


def test_pictures_and_embeddings_are_compared_alike(url: str, photo: bytes) -> None:
    with Faceood(url) as client:
        extracted = client.extract(photo)
        face = extracted["faces"][0]
        assert client.compare(photo, photo)["verdict"] == "same"
        known = Embedded(face["embedding"], extracted["model"]["sha256"], face["quality"]["score"])
        answer = client.compare(ASTRONAUT, known)
        assert answer["verdict"] == "same"
        assert answer["similarity"] > 0.999
        probe = cast(Face, answer["probe"])
        assert probe["box"] == face["box"]
        with pytest.raises(FaceoodError) as failure:
            client.compare(photo, Embedded(face["embedding"], "0" * 64))
    assert (failure.value.code, failure.value.status) == ("model_mismatch", 409)


def test_a_problem_has_its_code_its_sentence_its_side_and_the_requests_name(url: str, photo: bytes) -> None:
    with Faceood(url) as client:
        with pytest.raises(FaceoodError) as failure:
            client.compare(photo, b"no picture")
        rows = client.inferences(limit=1)["inferences"]
    error = failure.value
    assert (error.code, error.status, error.part) == ("unsupported_media_type", 415, "reference")
    assert not error.is_temporary
    assert rows[0]["request_id"] == error.request_id
    assert str(error).startswith("unsupported_media_type: ") and str(error.request_id) in str(error)


def test_feedback_is_told_of_an_earlier_answer(url: str, photo: bytes) -> None:
    with Faceood(url) as client:
        request_id = client.compare(photo, photo)["request_id"]
        assert client.feedback(request_id, "genuine", "seen at the door", author="guard")["request_id"] == request_id
        with pytest.raises(FaceoodError, match="`author` has 65 characters"):
            client.feedback(request_id, "genuine", author="g" * 65)
        with pytest.raises(FaceoodError, match="not_found"):
            client.feedback("never", "genuine")


def test_only_the_feedback_that_is_given_is_sent() -> None:
    service = Scripted(httpx.Response(200, json={}), httpx.Response(200, json={}))
    with Faceood(transport=service) as client:
        client.feedback("r-1", "impostor")
        client.feedback("r-1", "genuine", "seen at the door", author="guard")
    assert [json.loads(request.content) for request in service.asked] == [
        {"request_id": "r-1", "outcome": "impostor"},
        {"request_id": "r-1", "outcome": "genuine", "note": "seen at the door", "author": "guard"},
    ]


def test_every_row_of_the_log_comes_once_page_after_page(
    url: str, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Faceood(url, source="pages") as client:
        sent = [client.quality(photo)["request_id"] for _ in range(5)]
        whole = client.inferences

        def in_twos(**given: object) -> object:
            return whole(limit=2, **given)  # type: ignore[arg-type]

        monkeypatch.setattr(client, "inferences", in_twos)
        rows = list(client.all_inferences(source="pages"))
    assert [row["request_id"] for row in rows] == sent[::-1]


def test_the_service_says_what_it_is_and_that_it_is_ready(url: str) -> None:
    with Faceood(url) as client:
        assert client.info()["name"] == "faceood"
        assert client.ready()["status"] == "ready"


def test_what_is_refused_for_now_is_sent_again_as_late_as_the_service_asks_for(pauses: list[float]) -> None:
    service = Scripted(
        httpx.Response(503, headers={"Retry-After": "7"}, json=OVERLOADED),
        httpx.ConnectError("refused"),
        httpx.Response(200, json={"name": "faceood"}),
    )
    assert Faceood(transport=service).info()["name"] == "faceood"
    assert pauses == [7.0, 0.5]


def test_after_its_retries_the_client_says_what_the_service_said(pauses: list[float]) -> None:
    service = Scripted(*(httpx.Response(503, headers={"Retry-After": "600"}, json=OVERLOADED) for _ in range(2)))
    with pytest.raises(FaceoodError) as failure:
        Faceood(transport=service, retries=1).info()
    assert (failure.value.code, failure.value.detail, failure.value.request_id) == (
        "overloaded",
        "the queue is full",
        "r-1",
    )
    assert pauses == [ask.LONGEST_PAUSE]


def test_what_is_wrong_for_good_is_not_sent_again(pauses: list[float], photo: bytes) -> None:
    problem = {**OVERLOADED, "type": "urn:faceood:problem:no_face", "status": 422}
    service = Scripted(httpx.Response(422, json=problem))
    with pytest.raises(FaceoodError, match="no_face"):
        Faceood(transport=service).extract(photo)
    assert (len(service.asked), pauses) == (1, [])


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("body", ["<h1>Try later</h1>", "{}", "[]", ""])
def test_what_a_load_balancer_refuses_for_now_is_sent_again_too(pauses: list[float], status: int, body: str) -> None:
    busy = [httpx.Response(status, headers=wait, text=body) for wait in ({"Retry-After": "7"}, {})]
    assert Faceood(transport=Scripted(*busy, httpx.Response(200, json={"name": "faceood"}))).info()["name"] == "faceood"
    assert pauses == [7.0, 0.5]
    with pytest.raises(FaceoodError) as failure:
        Faceood(transport=Scripted(*busy), retries=1).info()
    error = failure.value
    assert (error.code, error.status, error.is_temporary) == ("internal", status, True)
    assert pauses == [7.0, 0.5, 7.0]


def test_a_limit_that_lasts_for_minutes_is_not_waited_for(pauses: list[float]) -> None:
    limited = {**OVERLOADED, "type": "urn:faceood:problem:rate_limited", "status": 429}
    for body in (limited, {}):
        service = Scripted(httpx.Response(429, headers={"Retry-After": "300"}, json=body))
        with pytest.raises(FaceoodError):
            Faceood(transport=service).info()
    assert pauses == []


def test_readiness_is_asked_once(pauses: list[float]) -> None:
    service = Scripted(httpx.Response(503, json={**OVERLOADED, "type": "urn:faceood:problem:not_ready"}))
    with pytest.raises(FaceoodError, match="not_ready"):
        Faceood(transport=service).ready()
    assert pauses == []


@pytest.mark.parametrize(
    ("broken", "code"), [(httpx.ReadTimeout("slow"), "timeout"), (httpx.ConnectError("refused"), "unreachable")]
)
def test_no_answer_is_told_apart(broken: Exception, code: str) -> None:
    with pytest.raises(FaceoodError) as failure:
        Faceood(transport=Scripted(broken), retries=0).info()
    assert (failure.value.code, failure.value.status, failure.value.is_temporary) == (code, 0, True)


def test_an_answer_that_is_no_problem_body_is_a_failure_too() -> None:
    with pytest.raises(FaceoodError) as failure:
        Faceood(transport=Scripted(httpx.Response(502, text="<h1>Bad Gateway</h1>")), retries=0).info()
    assert (failure.value.code, failure.value.status) == ("internal", 502)


def test_a_token_and_a_language_go_with_every_request() -> None:
    service = Scripted(httpx.Response(200, content=json.dumps({})))
    Faceood(token="secret", language="zh", transport=service).info()
    sent = service.asked[0].headers
    assert (sent["Authorization"], sent["Accept-Language"]) == ("Bearer secret", "zh")
