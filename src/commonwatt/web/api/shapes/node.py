"""The node, and who is signed in."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.web.api.shapes.base import Account, Second, Shape, Wanted


class CommunityHealth(Shape, frozen=True):
    """How a community is doing."""

    name: str
    now: Second
    open_interval: Second
    waiting: Annotated[int, Meta(description="Intervals stated and not yet on the chain.")]
    chain: Literal["ok", "away"]
    silent: Annotated[int, Meta(description="Meters not heard of in the open interval.")]
    accepted: Annotated[int, Meta(description="Records since the node started.")]
    refused: int
    book_entries: int


class Health(Shape, frozen=True):
    """How the node is doing."""

    status: Literal["ok", "degraded"]
    version: str
    communities: tuple[CommunityHealth, ...]


class Nonce(Shape, frozen=True):
    """For the message that signs in."""

    nonce: str
    expires_in: Annotated[int, Meta(description="Seconds.")]
    domain: str
    uri: str
    chain_ids: tuple[int, ...]


class SignInRequest(Wanted, frozen=True):
    """A signed message of EIP-4361."""

    message: Annotated[str, Meta(max_length=2_048)]
    signature: Annotated[str, Meta(max_length=132, description="r, s, v in hex digits.")]


class Membership(Shape, frozen=True):
    """What somebody is in a community."""

    community: str
    members: tuple[int, ...]
    roles: tuple[Literal["participant", "operator", "issuer", "auditor"], ...]


class SignedIn(Shape, frozen=True):
    """A token, told once."""

    token: str
    token_type: Literal["Bearer"]
    expires_in: int
    account: Account
    communities: tuple[Membership, ...]


class WhoAmI(Shape, frozen=True):
    """Whose token it is."""

    actor: str
    account: Account | None
    expires_in: int | None
    communities: tuple[Membership, ...]
