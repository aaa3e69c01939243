"""What can be asked for behind the question mark."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.web.api.shapes.base import Day, Wanted


class NoQuery(Wanted, frozen=True):
    """Nothing can be asked for."""


class PageQuery(Wanted, frozen=True):
    """A page of a list."""

    limit: Annotated[int, Meta(ge=1, le=1_000, description="Entries at most.")] = 100
    cursor: (
        Annotated[
            str,
            Meta(
                pattern="^[0-9]{1,18}(\\.[0-9]{1,18})?$",
                max_length=40,
                description="`next` of the page before.",
            ),
        ]
        | None
    ) = None


class DayQuery(PageQuery, frozen=True):
    """A page of a day's intervals."""

    day: Annotated[
        Day | None, Meta(description="A UTC day; unless given, that of the last closed interval.")
    ] = None


class CertificateQuery(PageQuery, frozen=True):
    """Bundles of an account or of a day, or of both."""

    account: (
        Annotated[
            str,
            Meta(
                pattern="^[0-9a-f]{40}$",
                max_length=40,
                description="Whose; a participant sees its own only.",
            ),
        ]
        | None
    ) = None
    day: Annotated[Day | None, Meta(description="UTC day in which they were produced.")] = None
    status: Annotated[
        Literal[
            "active", "reserved", "retired", "claimed", "stored", "withdrawn", "exported", "split"
        ]
        | None,
        Meta(description="Only these; unless given, all that were not divided."),
    ] = None


class EventQuery(Wanted, frozen=True):
    """Which events."""

    kind: Annotated[
        Literal["interval", "refused", "chain", "book"] | None, Meta(description="Only these.")
    ] = None
    after: (
        Annotated[
            int,
            Meta(ge=0, le=2**62, description="Like Last-Event-ID, for who cannot set headers."),
        ]
        | None
    ) = None


class QuarantineQuery(PageQuery, frozen=True):
    """Refused records."""

    state: Annotated[
        Literal["waiting", "released", "all"],
        Meta(description="To be decided; released and not yet accepted; or all."),
    ] = "waiting"
