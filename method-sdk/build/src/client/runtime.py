# The part of a client that is the same for every API.

import codecs as _codecs
import hashlib as _hashlib
import hmac as _hmac
import json as _json
import time as _time
import urllib.error as _error
import urllib.request as _request
from collections.abc import Callable, Iterator
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, Unpack, cast

_NOT_GENUINE = 1009
_INVALID_SESSION = 1007
# Errors after which the server has done nothing, and may do it later.
_RETRYABLE = (1013, 1016)


class Session(TypedDict):
    """A session, as a login returns it."""

    session_id: str
    user_id: str
    expires: NotRequired[int]  # Unix seconds


class ApiError(Exception):
    """The error of a call, from the server, or 1009 for an answer that is not genuine.

    `details` has more about it: a list of `{"path": .., "message": ..}` for error 1019. `retry_after` is in seconds, and `request_id`
    the name of the request in the server's log.
    """

    def __init__(
        self, method: str, code: int, message: str, details: Any, status: int, retry_after: int | None, request_id: str | None
    ) -> None:
        super().__init__(message)
        self.method = method
        self.code = code
        self.message = message
        self.details = details
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id


class Connection:
    """The way to a server, and the session there.

    `url` is the address of the server, with a path if a proxy adds one. `session` is one to begin with, as `on_session` has received it,
    which receives each new session, and `None` when it has ended. `timeout` is the longest wait for the next bytes, in seconds.
    `retries` is how often a call that was refused for the moment (errors 1013 and 1016, with `Retry-After`) is repeated.
    """

    def __init__(
        self,
        url: str,
        session: Session | None = None,
        on_session: Callable[[Session | None], None] | None = None,
        timeout: float = 60,
        retries: int = 0,
    ) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._on_session = on_session
        self.timeout = timeout
        self.retries = retries

    @property
    def session(self) -> Session | None:
        return self._session

    @session.setter
    def session(self, session: Session | None) -> None:
        self._session = session
        if self._on_session:
            self._on_session(session)

    def call(self, method: str, parameters: object, effect: Literal["opens", "ends"] | None = None) -> Any:
        """Calls a method, and returns its answer once its signature is verified."""
        session = self._session
        with self._send(method, parameters, session) as response:
            result = self._read(method, response, session)
        if effect == "ends":
            self.session = None
        if effect == "opens" and _is_session(result):
            self.session = cast(Session, {name: result[name] for name in ("session_id", "user_id", "expires") if name in result})
        return result

    def stream(self, method: str, parameters: object) -> Iterator[Any]:
        """Calls a method that streams its response, and yields its pieces: text, or bytes if it is anything else.

        Closing the iterator disconnects.
        """
        with self._send(method, parameters, self._session) as response:
            is_text = response.headers.get_content_maintype() == "text"
            decode = _codecs.getincrementaldecoder("utf-8")().decode
            while piece := response.read1():
                text = decode(piece)
                if text or not is_text:
                    yield text if is_text else piece

    def _send(self, method: str, parameters: object, session: Session | None) -> Any:
        body = _json.dumps(parameters).encode()
        headers = {"content-type": "application/json"}
        if session:
            headers |= {"x-session-id": session["session_id"], "x-hmac": _sign(session["user_id"], body)}
        request = _request.Request(f"{self._url}/{method.replace('.', '/')}", body, headers)
        for attempt in range(self.retries + 1):
            try:
                return _request.urlopen(request, timeout=self.timeout)
            except _error.HTTPError as response:
                with response:
                    try:
                        self._read(method, response, session)
                    except ApiError as error:
                        if error.code not in _RETRYABLE or error.retry_after is None or attempt == self.retries:
                            raise error from None
                        _time.sleep(error.retry_after)
        raise AssertionError("a range has an end")

    def _read(self, method: str, response: Any, session: Session | None) -> Any:
        body = response.read()
        headers = response.headers
        retry_after = headers.get("retry-after")

        def fail(code: int, message: str, details: Any = None) -> ApiError:
            wait = int(retry_after) if retry_after and retry_after.isdigit() else None
            return ApiError(method, code, message, details, response.status, wait, headers.get("x-request-id"))

        try:
            answer = _json.loads(body) if body else {}
        except ValueError:
            raise fail(response.status, f"{method}: HTTP {response.status}, and no JSON") from None
        result: Any = answer.get("result")
        error: Any = answer.get("error")
        # A new session signs the answer that it comes with. Errors of the transport are not signed.
        signature = headers.get("x-hmac")
        signer = result["user_id"] if _is_session(result) else session["user_id"] if session else None
        if signature is None:
            is_genuine = error is not None or signer is None or not body
        else:
            is_genuine = signer is not None and _hmac.compare_digest(signature, _sign(signer, body))
        if not is_genuine:
            raise fail(_NOT_GENUINE, f"{method}: the answer is not genuine")
        if error is not None:
            if error["code"] == _INVALID_SESSION and session is self._session:
                self.session = None
            raise fail(error["code"], error["value"], error.get("details"))
        if response.status >= 400:
            raise fail(response.status, f"{method}: HTTP {response.status}")
        return result


def _is_session(result: Any) -> bool:
    return isinstance(result, dict) and isinstance(result.get("session_id"), str) and isinstance(result.get("user_id"), str)


def _sign(user_id: str, body: bytes) -> str:
    return _hmac.new(user_id.encode(), body, _hashlib.sha1).hexdigest()
