"""Requests with a key of their sender's choice: the second one gets the first one's answer."""

import re
from collections.abc import Callable
from hashlib import sha256

import msgspec

from commonwatt.node.store import Answered, Busy, Fresh, KeyTaken
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.route import NUMBER_HEADER, SIGNATURE_HEADER, Answer, Call

KEEP_S = 24 * 3_600
"""So long an answer is kept."""
BUSY_S = 60
"""If a request is not answered by then, the next one with its key is carried out."""
KEY_HEADER = "idempotency-key"
_KEY = re.compile(r"[\x21-\x7e]{1,100}")


class _Kept(msgspec.Struct, frozen=True):
    """An answer as it is kept."""

    status: int
    media: str
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode
_json = msgspec.json.Encoder(decimal_format="number").encode


def once(call: Call, actor: str, do: Callable[[], Answer]) -> Answer:
    """Carry a request out, unless its key says that it was.

    Only what was carried out is kept: what was refused changed nothing and may be asked again.

    Args:
        call: the request; without the header Idempotency-Key it is simply carried out.
        actor: whose key it is, proven by a token or a signature.
        do: carries it out.

    Raises:
        Problem: the same is being carried out, or the key was another request's.
    """
    key = call.headers.get(KEY_HEADER)
    if key is None:
        return do()
    if not _KEY.fullmatch(key):
        raise Problem(
            "input-unusable", "Idempotency-Key: use 1 to 100 visible ASCII characters, no spaces"
        )
    answers = call.api.answers(call.hosted.name)
    match answers.begin(actor, key, digest_of(call), BUSY_S):
        case Busy():
            raise later("running", f"Idempotency-Key {key}", 1)
        case KeyTaken():
            raise Problem("key-taken", f"Idempotency-Key {key}")
        case Answered(answer):
            kept = _decode(answer)
            replayed = {"idempotency-replayed": "true"}
            return Answer(kept.body or None, kept.status, media=kept.media, headers=replayed)
        case Fresh():
            pass
    try:
        done = do()
    except BaseException:
        answers.abandon(actor, key)
        raise
    content = b"" if done.content is None else done.content
    body = content if isinstance(content, bytes) else _json(content)
    answers.finish(actor, key, _encode(_Kept(done.status, done.media, body)), KEEP_S)
    return done


def digest_of(call: Call) -> bytes:
    """SHA-256 of all that says what is asked for."""
    signed = [call.headers.get(name, "") for name in (NUMBER_HEADER, SIGNATURE_HEADER)]
    head = "\n".join([f"{call.route.method} {call.target}", *signed, ""])
    return sha256(head.encode() + call.body).digest()
