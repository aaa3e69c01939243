"""Which topic says what. `NAME` is a community's, `METER` 40 hex digits, `MEMBER` three digits.

====================================  ======================================================
`commonwatt/NAME/records/METER`       records of one meter, on their way to the node
`commonwatt/NAME/acks/METER`          what the node says to them
`commonwatt/NAME/status`              `online` or `offline`: whether a node keeps the community
`commonwatt/NAME/members/MEMBER/...`  one member's own figures
====================================  ======================================================
"""

import re

from commonwatt.meter.record import METER_BYTES

ROOT = "commonwatt"
ONLINE, OFFLINE = "online", "offline"
_METER = re.compile(f"[0-9a-f]{{{2 * METER_BYTES}}}")


def records_topic(community: str, meter: bytes) -> str:
    """Where a meter's records are published."""
    return f"{ROOT}/{community}/records/{meter.hex()}"


def records_filter(community: str) -> str:
    """All meters' records of a community."""
    return f"{ROOT}/{community}/records/+"


def acks_topic(community: str, meter: bytes) -> str:
    """Where the node answers a meter."""
    return f"{ROOT}/{community}/acks/{meter.hex()}"


def status_topic(community: str) -> str:
    """Whether a node keeps the community."""
    return f"{ROOT}/{community}/status"


def member_prefix(community: str, member: int) -> str:
    """Above all of a member's own topics, unless the member chose another place."""
    return f"{ROOT}/{community}/members/{member:03d}"


def meter_in(topic: str) -> bytes | None:
    """The meter that the last level of a topic names, in small hex digits; None if it does not."""
    last = topic.rpartition("/")[2]
    return bytes.fromhex(last) if _METER.fullmatch(last) else None
