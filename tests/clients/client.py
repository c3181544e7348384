"""The steps of a client in Python: client.py URL."""

import sys
import urllib.request
from collections.abc import Callable
from typing import Any

from api import ApiError, Client, Session


def fails(call: Callable[[], Any]) -> ApiError:
    try:
        call()
    except ApiError as error:
        return error
    raise AssertionError("the call succeeds")


def main(url: str) -> None:
    sessions: list[Session | None] = []
    api = Client(f"{url}/", on_session=sessions.append)
    assert fails(api.demo.counter).code == 1004
    api.account.create(user_id="python", password="correct horse")
    assert api.demo.counter() == {"count": 1}
    assert api.demo.counter()["count"] == 2
    print("python: an account, a session that is kept, signed calls and verified answers")

    again = Client(url, session=sessions[0])
    assert again.demo.counter() == {"count": 3}
    print("python: a session is resumed")

    echo = {"text": "Ärger \U0001f600", "list": [1, None, True]}
    assert api.demo.echo(echo) == echo
    assert api.demo.hello(name="Ärger", n=2**60)["n"] == 2**60 + 1
    form = api.forms(
        {
            "class": 7,
            "not-a-name": "x",
            "colour": "red",
            "shape": {"type": "Circle", "radius": 1.5},
            "size": {"Exactly": 3},
            "pair": [1, "a"],
            "counts": {"a": 1},
            "children": [{"colour": "green", "shape": {"type": "Point"}, "size": "Small", "pair": [2, "b"], "counts": {}}],
        }
    )
    assert form["class"] == 7 and form["children"][0]["size"] == "Small"
    print("python: typed parameters and answers")

    error = fails(lambda: api.demo.hello(name=5))  # type: ignore[call-arg, arg-type]
    assert (error.code, error.status, error.method) == (1019, 422, "demo.hello")
    assert [detail["path"] for detail in error.details] == ["/name", "/n"] and error.request_id
    own = fails(lambda: api.demo.wait(seconds=-1))
    assert (own.code, own.message) == (2000, "seconds must be 0 to 3000")
    print("python: typed errors")

    # The answer as a proxy on the way could change it.
    urlopen = urllib.request.urlopen
    setattr(urllib.request, "urlopen", tampered(urlopen))
    assert fails(api.demo.counter).code == 1009
    setattr(urllib.request, "urlopen", urlopen)
    print("python: a tampered answer is refused")

    assert "".join(api.demo.countdown({"from": 2})) == "2\n1\n"
    stream = api.demo.countdown({"from": 600})
    assert next(stream) == "600\n"
    stream.close()  # type: ignore[attr-defined]
    assert fails(lambda: next(api.demo.countdown({"from": "x"}))).code == 1019  # type: ignore[typeddict-item]
    print("python: a stream, to its end and left early")

    try:
        Client(url, timeout=0.2).demo.wait(seconds=600)
        raise AssertionError("the call succeeds")
    except TimeoutError:
        print("python: a call has a time limit")

    assert again.account.logout() == {"logged_out": True}
    assert fails(api.demo.counter).code == 1007 and sessions[-1] is None
    api.account.login(user_id="python", password="correct horse")
    assert api.demo.counter() == {"count": 1}
    print("python: a session that has ended is forgotten, and a login opens another")


def tampered(urlopen: Any) -> Any:
    def open_and_change(*arguments: Any, **options: Any) -> Any:
        response = urlopen(*arguments, **options)
        read = response.read
        response.read = lambda: read().replace(b'"count":', b'"count":1')
        return response

    return open_and_change


main(sys.argv[1])
