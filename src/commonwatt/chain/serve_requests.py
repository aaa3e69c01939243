"""JSON-RPC 2.0: the body of a request in, the body of the answer out.

Nothing that comes in can stop the server: what is wrong is an answer with a code.

| code | what is wrong |
|---|---|
| -32700 | the body is not JSON |
| -32600 | it is not a request: no version, a wrong id, an empty or too long batch |
| -32601 | no such method |
| -32602 | its parameters |
| -32603 | the chain itself: its file cannot be written, or it is being closed |
| -32000 | the chain refused: a transaction that cannot be in a block, a state it does not keep |
| -32002 | it would have taken too long |
| -32003 | the answer would have been too large |
| -32005 | too many filters |
| 3 | a contract refused; its reason is in the message, and as it returned it in `data` |
"""

import sys
import time
from collections.abc import Callable
from inspect import signature
from threading import Lock
from typing import Any

import msgspec

from commonwatt.chain.connection import Rpc
from commonwatt.chain.errors import ChainError
from commonwatt.chain.serve_filters import INVALID_PARAMS, Filters, Result, error

BATCH_MAX = 1_000
"""Requests in one body."""

BRACKETS_MAX = 10_000
"""Lists and objects in one body. Those of a deep nesting would exhaust the stack of a thread."""

ANSWER_BYTES_MAX = 64 * 1024 * 1024
REQUEST_SECONDS = 30.0
"""How long a body may wait for others before it and take itself. What has begun is finished: its
gas is limited."""

MESSAGE_CHARACTERS_MAX = 200
"""Of what is wrong with a request: it may be long, and need not come back."""

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
TIMED_OUT, TOO_LARGE = -32002, -32003


class Requests:
    """Answers the requests about one chain, one after the other. Threads may share it."""

    def __init__(self, chain: Rpc, clock: Callable[[], float] = time.monotonic) -> None:
        """Answer from `chain`; `clock` gives seconds."""
        self._chain = chain
        self._clock = clock
        self._filters = Filters(chain, clock).methods
        self._turn = Lock()

    def answer(self, body: bytes) -> bytes | None:
        """The answer to a body; None if nothing in it wants one."""
        deadline = self._clock() + REQUEST_SECONDS
        if body.count(b"[") + body.count(b"{") > BRACKETS_MAX:
            return _encoded(_refused(INVALID_REQUEST, f"at most {BRACKETS_MAX} lists and objects"))
        try:
            asked = msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError) as why:
            return _encoded(_refused(PARSE_ERROR, f"not JSON: {why}"))
        if not isinstance(asked, list):
            return self._one(asked, deadline, ANSWER_BYTES_MAX)
        if not asked:
            return _encoded(_refused(INVALID_REQUEST, "an empty batch"))
        if len(asked) > BATCH_MAX:
            return _encoded(_refused(INVALID_REQUEST, f"at most {BATCH_MAX} requests in a batch"))
        return self._batch(asked, deadline)

    def _batch(self, asked: list[Any], deadline: float) -> bytes | None:
        answers: list[bytes] = []
        left = ANSWER_BYTES_MAX
        for request in asked:
            answer = self._one(request, deadline, left)
            if answer is not None:
                answers.append(answer)
                left = max(0, left - len(answer))
        return b"[" + b",".join(answers) + b"]" if answers else None

    def _one(self, request: Any, deadline: float, left: int) -> bytes | None:
        """The answer to one request, of `left` bytes at most; None to a notification."""
        wrong = _fault(request)
        if wrong:
            name = request.get("id") if isinstance(request, dict) else None
            return _encoded(_refused(INVALID_REQUEST, wrong, name))
        params = request.get("params")
        answer = self._answer(request["method"], [] if params is None else params, deadline, left)
        if "id" not in request:
            return None
        found = _encoded(_named(answer, request["id"]))
        if len(found) > left:
            found = _encoded(_named(_too_large(), request["id"]))
        return found

    def _answer(self, method: str, params: Any, deadline: float, left: int) -> Result:
        """Ask the chain when it is our turn."""
        if left <= 0:
            return _too_large()
        if not isinstance(params, list):
            return error(INVALID_PARAMS, "invalid params: give a list, in the method's order")
        seconds = deadline - self._clock()
        if seconds <= 0 or not self._turn.acquire(timeout=seconds):
            return error(TIMED_OUT, f"not begun within {REQUEST_SECONDS:.0f} s")
        try:
            return self._ask(method, params)
        finally:
            self._turn.release()

    def _ask(self, method: str, params: list[Any]) -> Result:
        own = self._filters.get(method)
        try:
            if own is None:
                return self._chain.make_request(method, params)
            return own(*signature(own).bind(*params).args)
        except ChainError as why:
            return error(INTERNAL_ERROR, str(why))
        except (TypeError, ValueError, AttributeError) as why:
            return error(INVALID_PARAMS, f"invalid params: {why}"[:MESSAGE_CHARACTERS_MAX])
        except Exception as why:  # noqa: BLE001 - one bad request must not end the others
            sys.stderr.write(f"{method:.80}: {type(why).__name__}: {why}\n")
            return error(INTERNAL_ERROR, "a defect of the server; its standard error says more")


def _fault(request: Any) -> str:
    """What makes something no request; empty if it is one."""
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        return 'a request is an object with "jsonrpc": "2.0"'
    if not isinstance(request.get("method"), str):
        return "no method"
    name = request.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int | float | None):
        return "an id is a text or a number"
    return ""


def _named(answer: Result, name: Any) -> Result:
    """An answer with the id of its request."""
    found = {key: value for key, value in answer.items() if key in ("result", "error")}
    return {"jsonrpc": "2.0", "id": name, **found}


def _refused(code: int, message: str, name: Any = None) -> Result:
    """The answer to what is no request; its id is null where it has none that could be one."""
    known = name if isinstance(name, str | int | float) and not isinstance(name, bool) else None
    return _named(error(code, message[:MESSAGE_CHARACTERS_MAX]), known)


def _too_large() -> Result:
    return error(TOO_LARGE, f"answers above {ANSWER_BYTES_MAX} bytes; ask for less at once")


def _encoded(answer: Result) -> bytes:
    return msgspec.json.encode(answer)
