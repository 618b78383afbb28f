"""What a service said instead of an answer, or that it said nothing."""

from __future__ import annotations

import httpx

# The same request may succeed later.
TEMPORARY = frozenset({"unreachable", "timeout", "rate_limited", "overloaded", "deadline_exceeded", "not_ready"})
# Likewise, whatever the body says: a load balancer before the service answers with a page of its own.
TEMPORARY_STATUSES = frozenset({429, 503})


class FaceoodError(Exception):
    """A failure, told apart by its ``code``: the service's problem code, or ``unreachable``, ``timeout`` or ``tls``."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        request_id: str | None = None,
        part: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        """What was got, what was expected and what to do."""
        self.status = status
        """The HTTP status; 0 where there was no answer."""
        self.request_id = request_id
        """Under which the service's log has the request."""
        self.part = part
        """``probe`` or ``reference``, where one side of a comparison is at fault."""
        self.retry_after = retry_after
        """Seconds that the service asks to wait."""

    @property
    def is_temporary(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in TEMPORARY or self.status in TEMPORARY_STATUSES

    def __str__(self) -> str:
        named = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.detail}{named}"


def of_response(response: httpx.Response, *, has_token: bool, has_certificate: bool) -> FaceoodError:
    """The failure that this answer stands for, after a request with or without a token and a client certificate."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    code = str(body.get("type", "internal")).rsplit(":", 1)[-1]
    detail = str(body.get("detail") or f"the service answered with status {response.status_code} and no explanation")
    if advice := advice_on(response, has_token, has_certificate):
        detail = f"{detail.rstrip('.')}. {advice}"
    try:
        retry_after: float | None = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        retry_after = None
    return FaceoodError(
        code,
        detail,
        status=response.status_code,
        request_id=body.get("request_id") or response.headers.get("X-Request-Id"),
        part=body.get("part"),
        retry_after=retry_after,
    )


def advice_on(response: httpx.Response, has_token: bool, has_certificate: bool) -> str | None:
    """What to do about a refusal that only the caller can explain in full."""
    if response.status_code == 401 and has_token:
        return (
            "The token that was sent is wrong, has expired or was revoked: "
            "`faceood-admin token list` on the service's machine says which tokens are valid"
        )
    if response.status_code == 401:
        why = ", and the common name of the client certificate is not the name of one" if has_certificate else ""
        return (
            f"No token was sent{why}: give it as `token`. "
            "`faceood-admin token add NAME --role terminal` makes one on the service's machine"
        )
    if response.status_code == 403:
        asked = f"{response.request.method} {response.request.url.path}"
        return (
            f"The token's role or its sources do not permit `{asked}`: "
            "`faceood-admin token list` on the service's machine shows both"
        )
    return None


def of_transport(error: Exception, url: str) -> FaceoodError:
    """The failure where no answer came."""
    if isinstance(error, httpx.TimeoutException):
        return FaceoodError("timeout", f"the service at {url} did not answer in time")
    detail = f"the service at {url} cannot be reached: is it running? ({error})"
    # A service that refuses the kind of connection may close it before its reason has been read.
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        detail += (
            ". If it speaks TLS, its address begins with https://"
            if url.startswith("http:")
            else ". If it wants a client certificate, give one that its authority has signed (`certificate`, `key`)"
        )
    return FaceoodError("unreachable", detail)
