"""What the report needs to know about a run. Energy in Wh, money in ledger units, times in UTC."""

from dataclasses import dataclass

PER_INTERVAL = (
    "own_sun_wh",
    "own_battery_wh",
    "from_neighbours_wh",
    "from_supplier_wh",
    "to_neighbours_wh",
    "to_supplier_wh",
    "to_battery_wh",
    "local_price",
    "certificates_issued_wh",
    "certificates_retired_wh",
    "certificates_stored_wh",
    "certificates_free_wh",
)
"""The fields of `ReportData` with one number for each interval."""

AUDIT_OK = "ok"
"""What `ReportData.audit` says when the audit found no difference."""


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in the two languages of the report."""

    ko: str
    """Korean."""
    en: str
    """English."""


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One participant over the whole run."""

    name: str
    """As on the bill; any text, it is escaped."""
    kind: str
    """Codes joined by `+`, such as `home+sun+battery`; those without a word show as they are."""
    generation_wh: int
    """What its own plant made."""
    consumption_wh: int
    """What it used, from whatever source."""
    bought_local_wh: int
    """Bought from neighbours."""
    sold_local_wh: int
    """Sold to neighbours."""
    bought_supplier_wh: int
    """Bought from the supplier."""
    sold_supplier_wh: int
    """Sold to the supplier."""
    green_wh: int
    """The part of its consumption that its own plant or a retired certificate covers."""
    bill_with: int
    """Ledger units it pays in the community, fees included; negative: it is paid."""
    bill_without: int
    """Ledger units the same meters would have cost with the supplier alone."""
    debt: int
    """Ledger units still owed at the end, because its lane could not cover them; 0 as a rule."""
    certificates_issued_wh: int
    """Certificates issued to its meters."""
    certificates_retired_wh: int
    """Of these, retired for neighbours at the close of their own interval."""
    certificates_stored_wh: int
    """Of these, put into its batteries; what comes out again is issued anew."""
    certificates_free_wh: int
    """Of these, left free for it to hold, sell or retire."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """A finished run, ready to be shown.

    Raises:
        ValueError: a per-interval field is not as long as `starts`, or `starts` does not rise.
    """

    title: Text
    """The headline."""
    scenario: Text
    """One or two sentences: what was run, under which conditions."""
    source: Text
    """Attribution of the measured or modelled data, with its licence."""
    rule: Text
    """Name of the price rule, in words."""
    currency: str
    """ISO 4217 code, such as `EUR`."""
    decimals: int
    """A ledger unit is 10**-decimals of the currency."""
    interval_s: int
    """Length of an interval in seconds."""
    utc_offset_s: int
    """Local time minus UTC, for the faces only."""
    starts: tuple[int, ...]
    """Start of each interval, UTC seconds, rising."""
    own_sun_wh: tuple[int, ...]
    """Consumption covered by the participant's own sun, per interval."""
    own_battery_wh: tuple[int, ...]
    """Consumption covered by the participant's own battery, per interval."""
    from_neighbours_wh: tuple[int, ...]
    """Consumption bought from neighbours, per interval."""
    from_supplier_wh: tuple[int, ...]
    """Consumption bought from the supplier, per interval."""
    to_neighbours_wh: tuple[int, ...]
    """Surplus sold to neighbours, per interval."""
    to_supplier_wh: tuple[int, ...]
    """Surplus sold to the supplier, per interval."""
    to_battery_wh: tuple[int, ...]
    """Surplus put into batteries, per interval."""
    local_price: tuple[int, ...]
    """Ledger units per Wh among neighbours, per interval; 0 where nobody traded."""
    retail: int
    """Ledger units per Wh the supplier asks, before the grid fee."""
    feed_in: int
    """Ledger units per Wh the supplier pays."""
    fee_local: int
    """Grid fee on energy from a neighbour, ledger units per Wh."""
    fee_supplier: int
    """Grid fee on energy from the supplier, ledger units per Wh."""
    certificates_issued_wh: tuple[int, ...]
    """Certificates issued, per interval."""
    certificates_retired_wh: tuple[int, ...]
    """Of these, retired for neighbours in the same interval."""
    certificates_stored_wh: tuple[int, ...]
    """Of these, put into batteries."""
    certificates_free_wh: tuple[int, ...]
    """Of these, left to their producers."""
    members: tuple[MemberLine, ...]
    """By member index."""
    grace_s: int
    """Seconds the gate waits after the end of an interval."""
    close_seconds: tuple[float, ...]
    """Seconds of work per close, from the gate to the payment in the ledger."""
    audit: str
    """`AUDIT_OK`, or the first difference the audit found."""
    transactions: int
    """Transactions sent to the chain."""
    gas_total: int
    """Gas of all of them."""
    records: int
    """Signed meter records accepted."""
    rejected: int
    """Records put into quarantine."""
    root: str
    """The last anchor, hexadecimal."""
    chain: str
    """Name of the chain."""

    def __post_init__(self) -> None:
        """Refuse series that do not fit together: a defect of the caller, so a `ValueError`."""
        for field in PER_INTERVAL:
            length = len(getattr(self, field))
            if length != len(self.starts):
                raise ValueError(f"{field} has {length} numbers for {len(self.starts)} intervals")
        if any(now <= before for before, now in zip(self.starts, self.starts[1:], strict=False)):
            raise ValueError("the starts of the intervals do not rise")
