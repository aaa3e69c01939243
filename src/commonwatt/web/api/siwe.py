"""Sign-In with Ethereum (EIP-4361): the message, read strictly, and who signed it.

A message has one form only; whatever differs from it is refused. It must name this node's domain,
a chain its communities are on, a nonce this node gave out, and an end. Accounts that are contracts
(EIP-1271) cannot sign in.
"""

import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from commonwatt.chain.account import checksum, signer_of
from commonwatt.quantity import BadInterval, parse_time
from commonwatt.web.api.problem import Problem

MESSAGE_BYTES_MAX = 2_048
LIFE_S_MAX = 600
"""Between issued and expired: a message is for signing in at once, not for keeping."""
SKEW_S = 60
"""So far a wallet's clock may be ahead."""
RESOURCES_MAX = 10

_FORM = re.compile(
    r"(?:https?://)?(?P<domain>[^\s/]+)"
    r" wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9a-fA-F]{40})\n"
    r"\n"
    r"(?:(?P<statement>[^\n]+)\n)?"
    r"\n"
    r"URI: (?P<uri>[^\s]+)\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain_id>[0-9]{1,20})\n"
    r"Nonce: (?P<nonce>[0-9a-zA-Z]{8,100})\n"
    r"Issued At: (?P<issued>[^\s]+)\n"
    r"Expiration Time: (?P<expires>[^\s]+)"
    r"(?:\nNot Before: (?P<not_before>[^\s]+))?"
    r"(?:\nRequest ID: (?P<request_id>[^\s]*))?"
    rf"(?:\nResources:(?P<resources>(?:\n- [^\s]+){{0,{RESOURCES_MAX}}}))?",
)
_FRACTION = re.compile(r"\.[0-9]{1,9}(?=Z|[+-])")


class SignIn(NamedTuple):
    """What a message says, as far as it matters."""

    account: bytes
    nonce: str
    expires: int
    """UTC second."""


def read_sign_in(
    message: str,
    signature: str,
    *,
    domain: str,
    chain_ids: Collection[int],
    now: float,
) -> SignIn:
    """Who signed a message, and that it is for us and for now; the nonce is the caller's to check.

    Args:
        message: the text as it was signed.
        signature: r, s, v in 65 bytes, hex digits with or without 0x.
        domain: host and port of this node.
        chain_ids: of its communities.
        now: UTC seconds.

    Raises:
        Problem: `sign-in-refused`, naming what is wrong.
    """
    if len(message.encode(errors="replace")) > MESSAGE_BYTES_MAX:
        raise _refused(f"the message has more than {MESSAGE_BYTES_MAX} bytes")
    found = _FORM.fullmatch(message)
    if found is None:
        raise _refused("the message is not written as EIP-4361 says, with an expiration time")
    _require_ours(found, domain, chain_ids)
    address = found["address"]
    account = bytes.fromhex(address[2:])
    if checksum(account) != address:
        raise _refused(f"the address {address} has not the capitals of EIP-55")
    issued, expires = _time(found["issued"]), _time(found["expires"])
    if issued > now + SKEW_S:
        raise _refused(f"it is issued at {found['issued']}, which is yet to come")
    if not issued < expires <= issued + LIFE_S_MAX:
        raise _refused(f"its expiration time must be at most {LIFE_S_MAX} s after it is issued")
    if now >= expires:
        raise _refused(f"it expired at {found['expires']}")
    if found["not_before"] is not None and now < _time(found["not_before"]):
        raise _refused(f"it is not good before {found['not_before']}")
    if signer_of(message.encode(), _signature(signature)) != account:
        raise _refused(f"the signature is not {address}'s over this message")
    return SignIn(account, found["nonce"], expires)


def _require_ours(found: re.Match[str], domain: str, chain_ids: Collection[int]) -> None:
    if found["domain"] != domain:
        raise _refused(f"it is for {found['domain']!r:.80}, this node is {domain}")
    try:
        host = urlsplit(found["uri"]).netloc
    except ValueError:
        host = ""
    if host != domain:
        raise _refused(f"its URI {found['uri']!r:.80} is not one of {domain}")
    if int(found["chain_id"]) not in chain_ids:
        known = ", ".join(map(str, sorted(chain_ids))) or "none"
        raise _refused(f"chain id {found['chain_id']}: the communities here are on {known}")


def _time(text: str) -> int:
    # Wallets write milliseconds (RFC 3339); a sign-in needs none of them.
    try:
        return parse_time(_FRACTION.sub("", text))
    except (BadInterval, OverflowError):
        raise _refused(f"{text!r:.60} is not a time such as 2016-06-21T12:00:00Z") from None


def _signature(text: str) -> bytes:
    digits = text.removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]{130}", digits):
        raise _refused("a signature has 65 bytes in hex digits")
    return bytes.fromhex(digits)


def _refused(why: str) -> Problem:
    return Problem("sign-in-refused", f"Sign-in: {why}")
