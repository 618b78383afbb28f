"""The encrypted connection: what is given for it, and which part of it is wrong."""

from __future__ import annotations

import pathlib
import ssl
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from .errors import FaceoodError

File: TypeAlias = str | pathlib.Path

CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"
KEY_MARK = b"PRIVATE KEY-----"
# What OpenSSL says where the other side speaks no TLS; the second since version 3.2.
NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
# Values of X509_V_ERR_… in openssl/x509_vfy.h.
NOT_YET_VALID, EXPIRED, OTHER_HOST, OTHER_ADDRESS = 9, 10, 62, 64
UNKNOWN_SIGNER = (2, 18, 19, 20, 21)


def wrong(detail: str) -> FaceoodError:
    """A failure that lasts until somebody changes something, so that nothing is sent again."""
    return FaceoodError("tls", detail)


@dataclass(frozen=True)
class Tls:
    """What a client was given for the connection to one service."""

    url: str
    ca: File | None = None
    certificate: File | None = None
    key: File | None = None

    def context(self) -> ssl.SSLContext:
        """Settings that verify the service, and hold the client's own certificate where there is one.

        :raises FaceoodError: ``tls``, which names the file that is wrong
        """
        given = [name for name in ("ca", "certificate", "key") if getattr(self, name) is not None]
        if given and httpx.URL(self.url).scheme == "http":
            raise wrong(
                f"`{given[0]}` was given, but {self.url} is not encrypted: use https://, or leave `{given[0]}` out"
            )
        # With `ca` nobody but that authority is trusted; without it, those that the system trusts.
        context = ssl.create_default_context() if self.ca is None else self._trusting(self.ca)
        if self.certificate is not None:
            self._identify(context, self.certificate, self.key)
        elif self.key is not None:
            raise wrong("`key` was given without `certificate`: give the certificate that it belongs to, too")
        return context

    def _trusting(self, ca: File) -> ssl.SSLContext:
        if CERTIFICATE_MARK not in content("ca", ca):
            raise wrong(
                f"`ca` ({ca}) holds no certificate in PEM, which begins with {CERTIFICATE_MARK.decode()}: "
                f"{self._fetch()}"
            )
        try:
            return ssl.create_default_context(cafile=ca)
        except ssl.SSLError as error:
            raise wrong(f"`ca` ({ca}) holds a damaged certificate ({error.reason}): {self._fetch()}") from error

    def _identify(self, context: ssl.SSLContext, certificate: File, key: File | None) -> None:
        if CERTIFICATE_MARK not in content("certificate", certificate):
            raise wrong(
                f"`certificate` ({certificate}) holds no certificate in PEM, which begins with "
                f"{CERTIFICATE_MARK.decode()}: convert it, for example with `openssl x509 -in FILE -outform PEM`"
            )
        name, file = ("certificate", certificate) if key is None else ("key", key)
        private = content(name, file)
        if KEY_MARK not in private:
            what = "give the file of its key as `key`" if key is None else "give the file of the certificate's key"
            raise wrong(f"`{name}` ({file}) holds no private key in PEM: {what}")
        if b"ENCRYPTED" in private:
            raise wrong(
                f"the key in `{name}` ({file}) is protected by a password, for which nobody can be asked: "
                "decrypt it with `openssl pkey -in FILE -out NEW`, and let only this program's user read it"
            )
        try:
            # An empty password, so that OpenSSL never asks for one.
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise wrong(
                    f"the key in `{name}` ({file}) does not belong to `certificate` ({certificate}): "
                    "give the key that the certificate was made with"
                ) from error
            raise wrong(
                f"`certificate` ({certificate}) or its key ({file}) is damaged ({error.reason}): copy both again"
            ) from error

    def explain(self, error: BaseException) -> FaceoodError | None:
        """Which part is wrong, or None where the connection failed for another reason."""
        for cause in causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return wrong(self._distrusted(cause))
            if isinstance(cause, ssl.SSLError) and (detail := self._refused(cause.reason or "")):
                return wrong(detail)
            # "illegal request line" or "illegal status line": the alert of a TLS service looks so to a reader of HTTP.
            if isinstance(cause, httpx.RemoteProtocolError) and "illegal" in str(cause):
                return wrong(f"what {self.url} answers is not HTTP: if it speaks TLS, use https:// in its address")
        return None

    def _distrusted(self, error: ssl.SSLCertVerificationError) -> str:
        code, host = error.verify_code, httpx.URL(self.url).host
        if code == EXPIRED:
            return (
                f"the certificate of the service at {self.url} has expired: renew it there with "
                "`faceood-admin tls renew`; if it has not expired, the clock of this machine is wrong"
            )
        if code == NOT_YET_VALID:
            return (
                f"the certificate of the service at {self.url} is not valid yet: "
                "compare the clock of this machine with that of the service"
            )
        if code in (OTHER_HOST, OTHER_ADDRESS):
            return (
                f"the certificate of the service at {self.url} is not for {host}: use a name or an address that "
                f"`faceood-admin tls show` lists on the service's machine, or let `faceood-admin tls renew` add {host}"
            )
        if code not in UNKNOWN_SIGNER:
            return f"the certificate of the service at {self.url} is not accepted: {error.verify_message}"
        whom = "an authority that this system trusts" if self.ca is None else f"the authority in `ca` ({self.ca})"
        said = f"the certificate of the service at {self.url} is not signed by {whom} ({error.verify_message})"
        return f"{said}: {self._fetch()}"

    def _refused(self, reason: str) -> str | None:
        if reason in NOT_TLS:
            return f"the service at {self.url} does not speak TLS: use http:// in its address, or turn TLS on there"
        # What OpenSSL calls the alerts that the service sent.
        if "ALERT" not in reason:
            return None
        if self.certificate is None and ("CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason):
            return (
                f"the service at {self.url} wants a client certificate ({reason}): "
                "give one that its authority has signed as `certificate`, and its key as `key`"
            )
        if self.certificate is not None:
            return (
                f"the service at {self.url} refuses the client certificate in `certificate` "
                f"({self.certificate}; {reason}): give one that has not expired and that its `client_ca` has signed"
            )
        return f"the service at {self.url} refuses the encrypted connection ({reason}): its log says why"

    def _fetch(self) -> str:
        """How to get the file that belongs into `ca`."""
        url = httpx.URL(self.url).copy_with(scheme="https", path="/ca.pem")
        return (
            f"fetch the service's authority with `curl --insecure -o ca.pem {url}`, compare the fingerprint that "
            "`openssl x509 -in ca.pem -noout -fingerprint -sha256` prints with that of `faceood-admin tls show` on the "
            "service's machine, and give the file as `ca`"
        )


def content(name: str, file: File) -> bytes:
    """The bytes of a file that was given under this name."""
    try:
        return pathlib.Path(file).read_bytes()
    except OSError as error:
        raise wrong(
            f"`{name}` ({file}) cannot be read: {error.strerror}. Check the path and who may read it"
        ) from error


def causes(error: BaseException | None) -> list[BaseException]:
    """This failure and those behind it."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
