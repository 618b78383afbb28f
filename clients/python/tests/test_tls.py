"""Tokens and encryption against a real TLS server: what works, and which part is said to be wrong."""

import asyncio
import http.server
import json
import pathlib
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from faceood import AsyncFaceood, Faceood, FaceoodError
from faceood.__main__ import main

BLACK = b"\0" * 300_000


def openssl(folder: pathlib.Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


class Authority:
    """Makes certificates in a folder: ``name.pem`` with ``name.key``, its own as ``ca.pem``."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.pem"
        usage = ["-addext", "keyUsage=critical,keyCertSign"]
        self._request("ca", "CN=test authority", "-x509", "-days", "2", "-out", "ca.pem", *usage)

    def make(self, name: str, names: str, *, is_expired: bool = False) -> pathlib.Path:
        """A certificate for these subject alternative names."""
        self._request(name, f"CN={name}", "-out", f"{name}.csr", "-addext", f"subjectAltName={names}")
        sign = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-copy_extensions", "copy"]
        sign += ["-out", f"{name}.pem"]
        if not is_expired:
            openssl(self.folder, *sign, "-days", "2")
            return self.folder / f"{name}.pem"
        try:
            openssl(self.folder, *sign, "-days", "-1")
        except subprocess.CalledProcessError:
            # Since OpenSSL 3.4 there are options for it.
            openssl(self.folder, *sign, "-not_before", "20250101000000Z", "-not_after", "20250102000000Z")
        return self.folder / f"{name}.pem"

    def _request(self, name: str, subject: str, *more: str) -> None:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
        openssl(self.folder, "req", *curve, "-subj", f"/{subject}", *more)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls") / "ours")
    made.make("service", "DNS:localhost,IP:127.0.0.1")
    made.make("elsewhere", "DNS:elsewhere.local")
    made.make("expired", "DNS:localhost,IP:127.0.0.1", is_expired=True)
    made.make("gate-3", "DNS:gate-3")
    made.make("gate-4", "DNS:gate-4", is_expired=True)
    return made


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls") / "theirs")
    made.make("gate-3", "DNS:gate-3")
    return made


class Service(http.server.BaseHTTPRequestHandler):
    """Answers 200 to ``right`` or a client certificate, and 401 to everybody else."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self) -> None:
        self.asked.append(self.path)
        known = isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert()
        is_right = known or self.headers["Authorization"] == "Bearer right"
        status, answer = 200, {"name": "faceood", "pack": {"name": "p", "version": "1"}, "provider": {"name": "cpu"}}
        if not is_right:
            status, answer = 401, {"type": "urn:faceood:problem:unauthenticated", "detail": "a valid token is needed"}
        body = json.dumps({"version": "1", **answer}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a failed handshake is what these tests want."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing, likewise."""


@contextmanager
def serving(
    certificate: pathlib.Path | None = None, client_ca: pathlib.Path | None = None
) -> Iterator[tuple[str, list[str]]]:
    """The address of a service, encrypted if it has a certificate, and the paths that it was asked for."""
    asked: list[str] = []
    server = Server(("127.0.0.1", 0), type("Asked", (Service,), {"asked": asked}))
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


Ask = Callable[..., str]


def blocking(url: str, *, sends: bytes | None = None, **given: Any) -> str:
    with Faceood(url, **given) as client:
        return str(client.quality(sends) if sends else client.info()["name"])


def awaited(url: str, *, sends: bytes | None = None, **given: Any) -> str:
    async def ask() -> str:
        async with AsyncFaceood(url, **given) as client:
            return str(await client.quality(sends) if sends else (await client.info())["name"])

    return asyncio.run(ask())


@pytest.fixture(params=[blocking, awaited])
def ask(request: pytest.FixtureRequest) -> Ask:
    """One question to the service, by either client."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the blocking client would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("faceood.client.time.sleep", waited.append)
    return waited


def failure(ask: Ask, url: str, **given: Any) -> FaceoodError:
    with pytest.raises(FaceoodError) as caught:
        ask(url, **given)
    assert "secret" not in str(caught.value)
    return caught.value


def test_a_token_and_the_authority_open_the_service(ask: Ask, ours: Authority) -> None:
    with serving(ours.folder / "service.pem") as (url, _):
        assert ask(url, token="right", ca=ours.ca) == "faceood"
        assert ask(url, token=" right\n", ca=str(ours.ca)) == "faceood", "as it is read from a file"


@pytest.mark.parametrize(
    ("token", "advice"),
    [(None, "No token was sent: give it as `token`"), ("secret", "is wrong, has expired or was revoked")],
)
def test_no_token_and_a_wrong_one_are_told_apart_and_not_sent_again(
    ask: Ask, ours: Authority, token: str | None, advice: str
) -> None:
    with serving(ours.folder / "service.pem") as (url, asked):
        error = failure(ask, url, token=token, ca=ours.ca)
        assert asked == ["/v1/info"]
    assert (error.code, error.status, error.is_temporary) == ("unauthenticated", 401, False)
    assert error.detail.startswith("a valid token is needed. ") and advice in error.detail


def test_a_role_that_may_not_is_told_what_it_may_not() -> None:
    problem = {"type": "urn:faceood:problem:forbidden", "detail": "this token may not do that"}
    asked: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(403, json=problem)

    error = failure(blocking, "http://gate", token="secret", transport=httpx.MockTransport(refuse))
    assert (error.code, error.status, len(asked)) == ("forbidden", 403, 1)
    assert "do not permit `GET /v1/info`: `faceood-admin token list`" in error.detail


def test_a_token_that_cannot_be_sent_is_not_repeated(ask: Ask) -> None:
    for token in ("secret with spaces", "secret“", "secret\r\nX-Other: 1"):
        error = failure(ask, "http://127.0.0.1:9", token=token)
        assert (error.code, error.status) == ("unauthenticated", 0)


def test_a_limit_that_lasts_for_minutes_is_not_waited_for(pauses: list[float]) -> None:
    problem = {"type": "urn:faceood:problem:rate_limited", "detail": "too many wrong tokens"}
    answer = httpx.Response(429, headers={"Retry-After": "300"}, json=problem)
    error = failure(blocking, "http://gate", token="secret", transport=httpx.MockTransport(lambda _: answer))
    assert (error.code, error.retry_after, pauses) == ("rate_limited", 300.0, [])


@pytest.mark.parametrize("is_given", [True, False])
def test_an_authority_that_did_not_sign_is_named_and_how_to_get_the_right_one(
    ask: Ask, ours: Authority, theirs: Authority, is_given: bool, pauses: list[float]
) -> None:
    with serving(ours.folder / "service.pem") as (url, asked):
        error = failure(ask, url, ca=theirs.ca if is_given else None)
    assert (error.code, error.status, error.is_temporary, asked, pauses) == ("tls", 0, False, [], [])
    whom = f"the authority in `ca` ({theirs.ca})" if is_given else "an authority that this system trusts"
    assert f"the certificate of the service at {url} is not signed by {whom}" in error.detail
    assert f"`curl --insecure -o ca.pem {url}/ca.pem`" in error.detail
    assert "`faceood-admin tls show`" in error.detail


def test_a_certificate_for_another_name_is_told_apart(ask: Ask, ours: Authority) -> None:
    with serving(ours.folder / "elsewhere.pem") as (url, _):
        error = failure(ask, url, ca=ours.ca)
        assert (error.code, error.is_temporary) == ("tls", False)
        assert "is not for 127.0.0.1: use a name or an address that `faceood-admin tls show` lists" in error.detail
        by_name = failure(ask, url.replace("127.0.0.1", "localhost"), ca=ours.ca)
    assert "is not for localhost" in by_name.detail


def test_an_expired_certificate_is_told_apart(ask: Ask, ours: Authority) -> None:
    with serving(ours.folder / "expired.pem") as (url, _):
        error = failure(ask, url, ca=ours.ca)
    assert error.code == "tls"
    assert "has expired: renew it there with `faceood-admin tls renew`" in error.detail


def test_a_client_certificate_needs_no_token(ask: Ask, ours: Authority) -> None:
    own = ours.folder / "gate-3.pem"
    both = ours.folder / "both.pem"
    both.write_bytes(own.read_bytes() + own.with_suffix(".key").read_bytes())
    with serving(ours.folder / "service.pem", client_ca=ours.ca) as (url, _):
        assert ask(url, ca=ours.ca, certificate=own, key=own.with_suffix(".key")) == "faceood"
        assert ask(url, ca=ours.ca, certificate=both) == "faceood"


def test_a_service_that_wants_a_client_certificate_says_so(ask: Ask, ours: Authority) -> None:
    with serving(ours.folder / "service.pem", client_ca=ours.ca) as (url, asked):
        # The service may close the connection before its reason is read, above all under a large picture.
        pictures: list[dict[str, Any]] = [{}, {"sends": BLACK}]
        for picture in pictures:
            error = failure(ask, url, token="right", ca=ours.ca, retries=0, **picture)
            assert error.code in ("tls", "unreachable")
            assert "wants a client certificate" in error.detail
        assert asked == []


def test_a_client_certificate_that_the_service_refuses_is_named(ask: Ask, ours: Authority, theirs: Authority) -> None:
    with serving(ours.folder / "service.pem", client_ca=ours.ca) as (url, _):
        for own in (theirs.folder / "gate-3.pem", ours.folder / "gate-4.pem"):
            error = failure(ask, url, ca=ours.ca, certificate=own, key=own.with_suffix(".key"))
            # The service may close the connection before its reason is read.
            assert error.code in ("tls", "unreachable")
            refused = f"refuses the client certificate in `certificate` ({own};"
            assert (refused if error.code == "tls" else "one that its authority has signed") in error.detail


def test_a_client_certificate_without_a_name_that_the_service_knows(ours: Authority) -> None:
    own = ours.folder / "gate-3.pem"
    unknown = httpx.MockTransport(lambda _: httpx.Response(401))
    error = failure(
        blocking, "https://gate", ca=ours.ca, certificate=own, key=own.with_suffix(".key"), transport=unknown
    )
    assert "the common name of the client certificate is not the name of one" in error.detail


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ca": "missing.pem"}, "`ca` (FOLDER/missing.pem) cannot be read: No such file or directory"),
        ({"ca": "."}, "`ca` (FOLDER) cannot be read: Is a directory"),
        ({"ca": "text.pem"}, "`ca` (FOLDER/text.pem) holds no certificate in PEM"),
        ({"ca": "ca.key"}, "`ca` (FOLDER/ca.key) holds no certificate in PEM"),
        ({"ca": "damaged.pem"}, "`ca` (FOLDER/damaged.pem) holds a damaged certificate"),
        ({"certificate": "missing.pem"}, "`certificate` (FOLDER/missing.pem) cannot be read"),
        ({"certificate": "gate-3.key"}, "`certificate` (FOLDER/gate-3.key) holds no certificate in PEM"),
        ({"certificate": "gate-3.pem"}, "holds no private key in PEM: give the file of its key as `key`"),
        ({"certificate": "gate-3.pem", "key": "missing"}, "`key` (FOLDER/missing) cannot be read"),
        ({"certificate": "gate-3.pem", "key": "gate-3.pem"}, "`key` (FOLDER/gate-3.pem) holds no private key"),
        ({"certificate": "gate-3.pem", "key": "locked.key"}, "(FOLDER/locked.key) is protected by a password"),
        (
            {"certificate": "gate-3.pem", "key": "service.key"},
            "the key in `key` (FOLDER/service.key) does not belong to `certificate` (FOLDER/gate-3.pem)",
        ),
        ({"certificate": "damaged.pem", "key": "gate-3.key"}, "`certificate` (FOLDER/damaged.pem) or its key"),
        ({"key": "gate-3.key"}, "`key` was given without `certificate`"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_anything_is_sent(
    ask: Ask, ours: Authority, given: dict[str, str], words: str
) -> None:
    folder = ours.folder
    (folder / "text.pem").write_text("no certificate")
    whole = (folder / "gate-3.pem").read_text()
    (folder / "damaged.pem").write_text(re.sub(r"\n\S{40}", "\n", whole, count=1))
    openssl(folder, "pkey", "-in", "gate-3.key", "-aes256", "-passout", "pass:x", "-out", "locked.key")
    files = {name: folder / file for name, file in given.items()}
    error = failure(ask, "https://127.0.0.1:9", **files)
    assert (error.code, error.status, error.is_temporary) == ("tls", 0, False)
    assert words.replace("FOLDER", str(folder)) in error.detail


def test_files_for_encryption_want_an_encrypted_address(ask: Ask, ours: Authority) -> None:
    error = failure(ask, "http://127.0.0.1:9", ca=ours.ca)
    assert (error.code, error.detail.split(":")[0]) == ("tls", "`ca` was given, but http")


def test_encrypted_and_plain_addresses_are_told_apart(ask: Ask, ours: Authority) -> None:
    with serving() as (url, _):
        error = failure(ask, url.replace("http:", "https:"), ca=ours.ca)
        assert error.code == "tls"
        assert "does not speak TLS: use http:// in its address" in error.detail
    with serving(ours.folder / "service.pem") as (url, _):
        error = failure(ask, url.replace("https:", "http:"), retries=0)
        assert "https://" in error.detail


def test_the_alert_of_a_tls_service_on_plain_text_is_known(ask: Ask) -> None:
    """Not every TLS library sends one: Python's closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def alert() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"\x15\x03\x03\x00\x02\x02\x32")

        thread = threading.Thread(target=alert)
        thread.start()
        error = failure(ask, f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert (error.code, error.is_temporary) == ("tls", False)
    assert "is not HTTP: if it speaks TLS, use https://" in error.detail


def test_the_command_takes_token_and_authority(
    ours: Authority, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("right\n")
    with serving(ours.folder / "service.pem") as (url, _):
        common = ["--url", url, "--ca", str(ours.ca)]
        assert main([*common, "--token-file", str(token), "info"]) == 0
        assert main([*common, "info"]) == 1
        assert "No token was sent" in capsys.readouterr().err
        monkeypatch.setenv("FACEOOD_TOKEN", "right")
        assert main([*common, "info"]) == 0
    own = ours.folder / "gate-3.pem"
    with serving(ours.folder / "service.pem", client_ca=ours.ca) as (url, _):
        common = ["--url", url, "--ca", str(ours.ca), "--certificate", str(own)]
        assert main([*common, "--key", str(own.with_suffix(".key")), "info"]) == 0
    assert main([*common, "--token-file", str(tmp_path / "none"), "info"]) == 1
    assert "No such file" in capsys.readouterr().err
