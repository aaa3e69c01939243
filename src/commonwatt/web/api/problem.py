"""Everything that can be answered instead of what was asked for (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

PROBLEM_JSON = "application/problem+json"
PROBLEMS_PATH = "/v1/problems"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem."""

    status: int
    title: str
    step: str
    """What to do next."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "input-unusable": Kind(
            422, "Something in the request cannot be used", "Correct what the detail names."
        ),
        "batch-unusable": Kind(
            422,
            "The body is no batch of records",
            "Send whole records of 100 bytes, each with its signature of 64.",
        ),
        "unknown": Kind(
            404, "There is nothing here", "Check the address against /v1/openapi.json."
        ),
        "elsewhere": Kind(
            307,
            "Another worker of this node works for it",
            "Send the same request to the address in the header Location.",
        ),
        "method-unknown": Kind(
            405, "This address has no such method", "Use a method of the header Allow."
        ),
        "form-unknown": Kind(
            406, "It cannot be answered in that form", "Accept application/json or text/csv."
        ),
        "token-unusable": Kind(
            401,
            "Nobody is signed in with this token",
            "Sign in at /v1/session, or send Authorization: Bearer and a token that is valid.",
        ),
        "sign-in-refused": Kind(
            401,
            "The signed message lets nobody in",
            "Get a new nonce at /v1/session/nonce and sign a new message.",
        ),
        "not-allowed": Kind(
            403,
            "This is for somebody else",
            "Sign in as whoever may; docs/api.md has the table of who may do what.",
        ),
        "body-too-slow": Kind(
            408, "The body did not come in time", "Send less at a time, or use a faster line."
        ),
        "running": Kind(
            409,
            "The same request is being carried out",
            "Ask again in a moment, with the same key.",
        ),
        "refused": Kind(
            409,
            "A rule of the book says no; nothing was changed",
            "docs/certificates.md explains the rule named.",
        ),
        "decided": Kind(
            409, "It cannot be decided any more", "Look the record up in the quarantine."
        ),
        "full": Kind(409, "There are as many as there may be", "Remove one first."),
        "no-limits": Kind(
            409,
            "The community's market takes no limit prices; nothing was changed",
            "docs/market.md says which rules do; the rule stays what it was at the founding.",
        ),
        "length-missing": Kind(
            411, "The body's length is not told", "Send the header Content-Length."
        ),
        "changed": Kind(
            412,
            "It is not as it was when you looked; nothing was changed",
            "Get it again, then decide anew.",
        ),
        "body-too-large": Kind(413, "The body is too large", "Divide it into several requests."),
        "media-unknown": Kind(
            415, "The body is of another type", "Use the types that /v1/openapi.json names."
        ),
        "key-taken": Kind(
            422,
            "The idempotency key was used for another request",
            "Choose a new key for every new request.",
        ),
        "signature-missing": Kind(
            428,
            "The action must be signed",
            "Sign the text as a wallet does (EIP-191) and send the request again with the headers "
            "Commonwatt-Action-Number and Commonwatt-Action-Signature.",
        ),
        "too-many": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
        "defect": Kind(500, "A defect of the program", "Report it with the number in the detail."),
        "cannot-store": Kind(
            503,
            "The node cannot store anything now; nothing was acknowledged",
            "Send the same again after Retry-After.",
        ),
        "busy": Kind(503, "The node has too much to do", "Ask again after Retry-After."),
        "too-slow": Kind(
            503,
            "The answer was not ready in time",
            "Ask again after Retry-After; what was begun is finished all the same.",
        ),
    }
)


class Problem(Exception):
    """What is answered instead."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        **members: Any,
    ) -> None:
        """Name what is wrong.

        Args:
            kind: one of `KINDS`.
            detail: with the operand; the kind's next step is added.
            headers: of the answer.
            members: more members of the document.
        """
        super().__init__(detail)
        self.kind, self.headers, self.members = kind, headers, members
        self.status = KINDS[kind].status

    def document(self) -> bytes:
        """The answer's body."""
        kind = KINDS[self.kind]
        return msgspec.json.encode(
            {
                "type": f"{PROBLEMS_PATH}/{self.kind}",
                "title": kind.title,
                "status": kind.status,
                "detail": f"{one_line(str(self))} {kind.step}",
                **self.members,
            }
        )


def later(kind: str, detail: str, seconds: float) -> Problem:
    """A problem that is over after a while."""
    whole = max(1, int(-(-seconds // 1)))
    return Problem(kind, detail, headers={"retry-after": str(whole)})


def one_line(text: str) -> str:
    """A sentence on one line, with a full stop."""
    line = " ".join(text.split())
    return line if line.endswith(".") else f"{line}."
