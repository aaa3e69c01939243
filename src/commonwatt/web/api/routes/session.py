"""Signing in and out: a nonce, a signed message, a token."""

import msgspec

from commonwatt.web.api import shapes
from commonwatt.web.api.documents import read_document
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.roles import Principal
from commonwatt.web.api.route import Answer, Call
from commonwatt.web.api.sessions import NONCE_S, TOKEN_S
from commonwatt.web.api.siwe import read_sign_in
from commonwatt.web.api.state import Api

_decode = msgspec.json.Decoder(shapes.SignInRequest).decode


def nonce(call: Call) -> Answer:
    """A nonce for one message."""
    api = call.api
    return Answer(
        shapes.Nonce(
            nonce=api.sessions.nonce(),
            expires_in=NONCE_S,
            domain=api.settings.domain,
            uri=api.settings.origin,
            chain_ids=tuple(sorted(_chain_ids(api))),
        )
    )


def sign_in(call: Call) -> Answer:
    """A token for whoever signed a message for this node."""
    api = call.api
    _slowly(api, call.address)
    wanted = read_document(_decode, call.body)
    found = read_sign_in(
        wanted.message,
        wanted.signature,
        domain=api.settings.domain,
        chain_ids=_chain_ids(api),
        now=api.clock(),
    )
    api.sessions.use(found.nonce)
    _slowly(api, found.account)
    principal = Principal(
        f"0x{found.account.hex()}", found.account, api.sessions.named(found.account)
    )
    memberships = _memberships(api, principal)
    if not memberships:
        raise Problem(
            "not-allowed",
            f"account 0x{found.account.hex()} is no member of a community here, and has no role",
        )
    return Answer(
        shapes.SignedIn(
            token=api.sessions.open(found.account),
            token_type="Bearer",  # noqa: S106 - the name of a scheme
            expires_in=TOKEN_S,
            account=found.account.hex(),
            communities=memberships,
        ),
        status=201,
    )


def who_am_i(call: Call) -> Answer:
    """Whose token was shown."""
    api, principal = call.api, call.principal
    until = api.sessions.until(principal)
    account = principal.account
    return Answer(
        shapes.WhoAmI(
            actor=principal.actor,
            account=None if account is None else account.hex(),
            expires_in=None if until is None else max(0, int(until - api.clock())),
            communities=_memberships(api, principal),
        )
    )


def sign_out(call: Call) -> Answer:
    """The token is good for nothing from now on."""
    if not call.api.sessions.close(call.principal):
        raise Problem("not-allowed", f"{call.principal.actor}: a token of the settings stays good")
    return Answer(None, status=204)


def _slowly(api: Api, name: str | bytes) -> None:
    wait = api.sign_ins.take(name)
    if wait:
        raise later("too-many", "Too many attempts to sign in", wait)


def _chain_ids(api: Api) -> set[int]:
    return {hosted.community.chain.chain_id for hosted in api.service.communities.values()}


def _memberships(api: Api, principal: Principal) -> tuple[shapes.Membership, ...]:
    return api.memberships(principal.roles, principal.members)
