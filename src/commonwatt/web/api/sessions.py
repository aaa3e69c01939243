"""Nonces and tokens of those who signed in.

Nothing is remembered of a nonce that was only given out: it carries its own end and a code that
only this process can make, so asking for nonces fills no memory. A nonce that was used is
remembered until it ends. Of a token only its SHA-256 is kept, in memory: after a restart everybody
signs in again.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

from commonwatt.web.api.problem import Problem
from commonwatt.web.api.roles import Principal, Role
from commonwatt.web.api.settings import ApiSettings, StaticToken

NONCE_S = 600
"""A nonce is good for so long, and once."""
TOKEN_S = 8 * 3_600
"""So long somebody stays signed in."""
TOKENS_PER_ACCOUNT_MAX = 10
"""Of an account; with one more, the oldest is over."""
TOKENS_MAX = 10_000
TOKEN_PREFIX = "cw_"  # noqa: S105 - what a token begins with, so that scanners for secrets see it
TOKEN_BYTES = 32
_END_BYTES, _DRAWN_BYTES, _CODE_BYTES = 8, 8, 16


@dataclass(frozen=True, slots=True)
class _Session:
    """Somebody who signed in."""

    principal: Principal
    until: float


class Sessions:
    """Who is signed in."""

    def __init__(self, settings: ApiSettings, clock: Callable[[], float]) -> None:
        """Nobody is.

        Args:
            settings: who has a role, and tokens that do not run out.
            clock: UTC seconds.
        """
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._static = {bytes.fromhex(t.sha256): principal_of(t) for t in settings.tokens}
        self._named: dict[bytes, set[Role]] = {}
        for role, accounts in (
            (Role.OPERATOR, settings.operators),
            (Role.ISSUER, settings.issuers),
            (Role.AUDITOR, settings.auditors),
        ):
            for account in accounts:
                self._named.setdefault(bytes.fromhex(account[2:]), set()).add(role)
        self._used: OrderedDict[str, float] = OrderedDict()
        self._open: OrderedDict[bytes, _Session] = OrderedDict()
        """By digest of the token, oldest first."""
        self._lock = Lock()

    # Nonces

    def nonce(self) -> str:
        """A new nonce, good for `NONCE_S` seconds."""
        end = int(self._clock() + NONCE_S).to_bytes(_END_BYTES)
        drawn = end + secrets.token_bytes(_DRAWN_BYTES)
        return (drawn + self._code(drawn)).hex()

    def use(self, nonce: str) -> None:
        """A nonce is used up; raises `Problem` if it is not ours, over, or was used before."""
        try:
            given = bytes.fromhex(nonce)
        except ValueError:
            given = b""
        drawn, code = given[:-_CODE_BYTES], given[-_CODE_BYTES:]
        ours = len(drawn) == _END_BYTES + _DRAWN_BYTES
        if not ours or not hmac.compare_digest(code, self._code(drawn)) or given.hex() != nonce:
            raise Problem("sign-in-refused", "Sign-in: this node has not given out this nonce")
        end, now = int.from_bytes(drawn[:_END_BYTES]), self._clock()
        with self._lock:
            while self._used and next(iter(self._used.values())) <= now:
                self._used.popitem(last=False)
            if now >= end or nonce in self._used:
                raise Problem("sign-in-refused", "Sign-in: the nonce is over or was used before")
            self._used[nonce] = now + NONCE_S

    def _code(self, drawn: bytes) -> bytes:
        return hmac.digest(self._key, drawn, "sha256")[:_CODE_BYTES]

    # Tokens

    def named(self, account: bytes) -> frozenset[Role]:
        """The roles that the settings give an account."""
        return frozenset(self._named.get(account, ()))

    def open(self, account: bytes) -> str:
        """Sign an account in; returns its token, which is kept nowhere."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        digest = sha256(token.encode()).digest()
        principal = Principal(
            f"0x{account.hex()}", account, named=self.named(account), token=digest
        )
        with self._lock:
            self._forget_expired()
            mine = [key for key, one in self._open.items() if one.principal.account == account]
            for key in mine[: max(0, len(mine) - TOKENS_PER_ACCOUNT_MAX + 1)]:
                del self._open[key]
            while len(self._open) >= TOKENS_MAX:
                self._open.popitem(last=False)
            self._open[digest] = _Session(principal, self._clock() + TOKEN_S)
        return token

    def who(self, token: str) -> Principal:
        """Whose token it is; raises `Problem` for one that is nobody's or over."""
        digest = sha256(token.encode(errors="replace")).digest()
        static = self._static.get(digest)
        if static is not None:
            return static
        with self._lock:
            session = self._open.get(digest)
        if session is None or self._clock() >= session.until:
            raise unusable("the token is over, or none of this node")
        return session.principal

    def until(self, principal: Principal) -> float | None:
        """UTC second at which a token is over; None for one that does not run out."""
        with self._lock:
            session = self._open.get(principal.token or b"")
        return None if session is None else session.until

    def close(self, principal: Principal) -> bool:
        """Sign out; whether there was a token that can be given up."""
        with self._lock:
            return self._open.pop(principal.token or b"", None) is not None

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._open and next(iter(self._open.values())).until <= now:
            self._open.popitem(last=False)


def principal_of(token: StaticToken) -> Principal:
    """Who a token of the settings is."""
    return Principal(
        f"token:{token.name}",
        named=frozenset({Role(token.role)}),
        community=token.community,
        member=token.member,
    )


def unusable(why: str) -> Problem:
    """Nobody is signed in."""
    challenge = {"www-authenticate": 'Bearer realm="commonwatt", error="invalid_token"'}
    return Problem("token-unusable", f"Authorization: {why}", headers=challenge)
