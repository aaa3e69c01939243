"""What an operator sets for the API: its address, who may do what, and how often.

In the file `api.toml` beside `node.toml`; without it the defaults count, and only members can sign
in.
"""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from commonwatt.certificate.energytag import IssuerFacts
from commonwatt.errors import InputError
from commonwatt.node.toml_file import read_toml

API_FILE = "api.toml"
FILE_BYTES_MAX = 1024 * 1024
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Account = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$", max_length=42)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]


class ApiFileUnusable(InputError):
    """Settings of the API that cannot be read, or that contradict each other."""


class StaticToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that does not run out, for programs. Only its digest is kept."""

    name: Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$", max_length=40)]
    """In logs, and as the actor."""
    sha256: Digest
    """SHA-256 of the token's text, hex digits. Draw the token: 32 random bytes or more."""
    role: Literal["participant", "operator", "issuer", "auditor"]
    community: str | None = None
    """Only there; a participant's needs one."""
    member: int | None = None
    """The participant's index."""


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often somebody may ask: so many a second for long, so many at once."""

    requests_per_s: Count = 100
    """Of one remote address."""
    requests_at_once: Count = 1_000
    actor_per_s: Count = 50
    """Of one account or token, wherever it is."""
    actor_at_once: Count = 500
    records_per_s: Count = 20_000
    """Of one remote address."""
    records_at_once: Count = 200_000
    refused_per_s: Count = 1
    """Records that were refused fill the disk: whoever sends more of them must wait."""
    refused_at_once: Count = 1_000
    sign_ins_per_s: Count = 1
    """Of one remote address, and of one account."""
    sign_ins_at_once: Count = 20


class EnergyTag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What EnergyTag documents say of the issuer, and take for granted."""

    country_of_issuance: str = "ZZ"
    """ISO 3166; ZZ is nobody's."""
    connected_grid_identification: str = ""
    issuing_body: str = "the community's issuer"
    purpose: str = "cancelled over the EnergyTag interface"
    """Of a cancellation without one."""
    reservation_s: Count = 7 * 86_400
    """How long a reservation without an end lasts."""

    @property
    def facts(self) -> IssuerFacts:
        """As documents have them."""
        return IssuerFacts(
            self.country_of_issuance, self.connected_grid_identification, self.issuing_body
        )


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    origin: str = "http://127.0.0.1:8080"
    """How people reach the API; signed messages must name it."""
    operators: tuple[Account, ...] = ()
    issuers: tuple[Account, ...] = ()
    """Besides the account that the book itself names."""
    auditors: tuple[Account, ...] = ()
    tokens: tuple[StaticToken, ...] = ()
    proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies, whose word about remote addresses is taken."""
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read `/metrics` without an operator's token."""
    rates: Rates = Rates()
    energytag: EnergyTag = EnergyTag()

    @property
    def domain(self) -> str:
        """Host and port of the origin, as signed messages begin."""
        return urlsplit(self.origin).netloc


def read_api_settings(folder: Path) -> ApiSettings:
    """The API's settings out of a node's folder; the defaults where it has none.

    Raises:
        ApiFileUnusable: naming the file and what to write instead.
    """
    path = folder / API_FILE
    if not path.exists():
        return ApiSettings()
    found = read_toml(
        path,
        ApiSettings,
        ApiFileUnusable,
        most_bytes=FILE_BYTES_MAX,
        advice="docs/api.md explains its entries",
    )
    try:
        return checked(found)
    except ApiFileUnusable as error:
        raise ApiFileUnusable(f"{path}: {error}") from None


def checked(settings: ApiSettings) -> ApiSettings:
    """The same settings; raises `ApiFileUnusable` where they contradict each other."""
    parts = urlsplit(settings.origin)
    plain = settings.origin == f"{parts.scheme}://{parts.netloc}"
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or not plain
        or "@" in parts.netloc
    ):
        raise ApiFileUnusable(
            f"origin {settings.origin!r:.80}: write https://HOST or http://HOST:PORT, no path"
        )
    for network in settings.metrics_from:
        try:
            ip_network(network)
        except ValueError:
            raise ApiFileUnusable(
                f"metrics_from {network!r:.80}: write a network as 10.1.2.0/24, or one address"
            ) from None
    names = [token.name for token in settings.tokens]
    if len(set(names)) < len(names):
        raise ApiFileUnusable(f"tokens {names}: each needs a name of its own")
    for token in settings.tokens:
        is_participant = token.role == "participant"
        named = token.community is not None and token.member is not None
        if is_participant and not named:
            raise ApiFileUnusable(
                f"token {token.name}: a participant's needs its community and member"
            )
        if not is_participant and token.member is not None:
            raise ApiFileUnusable(f"token {token.name}: only a participant's has a member")
    return settings
