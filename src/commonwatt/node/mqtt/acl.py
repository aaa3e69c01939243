"""Who may see and say what at the broker: an access control list as Mosquitto reads it.

Each meter's user publishes that meter's records and reads the answers to them; each member's user
reads that member's own figures, and nobody else's; the node does the rest. Whoever has no name, and
whatever is not listed, gets nothing.
"""

import re
from collections.abc import Mapping

from commonwatt.errors import InputError
from commonwatt.node.mqtt.home.messages import device_id, discovery_filter
from commonwatt.node.mqtt.home.settings import HomeSettings
from commonwatt.node.mqtt.topics import ROOT, acks_topic, records_topic, status_topic

_USER = re.compile(r"[A-Za-z0-9._@-]{1,64}")


class BrokerUserUnusable(InputError):
    """A user of the broker whose name or part the access list cannot hold."""


def acl_text(
    community: str,
    node: str,
    meters: Mapping[bytes, str],
    homes: HomeSettings | None = None,
    members: Mapping[int, str] | None = None,
) -> str:
    """An access control list for one community; those of several can be put into one file.

    Args:
        community: its name.
        node: the node's user.
        meters: by meter the user that publishes its records: its own, its gateway's, its member's.
        homes: whose figures go to Home Assistant.
        members: by member the user that reads them.

    Raises:
        BrokerUserUnusable: a name that Mosquitto's file cannot hold, the node's for anybody else,
            or a user for a member whose figures go nowhere.
    """
    members, homes = members or {}, homes or HomeSettings()
    known = {home.member: home for home in homes.members}
    own: dict[str, list[str]] = {}
    for meter, user in sorted(meters.items()):
        lines = own.setdefault(_other_than(node, user), [])
        lines.append(f"topic write {records_topic(community, meter)}")
        lines.append(f"topic read {acks_topic(community, meter)}")
    for member, user in sorted(members.items()):
        if member not in known:
            raise BrokerUserUnusable(
                f"user {user}: member {member} has no sensors; name it in home-assistant.toml first"
            )
        lines = own.setdefault(_other_than(node, user), [])
        lines.append(f"topic read {known[member].prefix_in(community)}/#")
        lines.append(f"topic read {discovery_filter(homes, device_id(community, member))}")
        lines.append(f"topic read {status_topic(community)}")
        lines.append(f"topic write {homes.discovery_prefix}/status")
    blocks = [_block(node, _of_node(community, homes))]
    blocks += [_block(user, list(dict.fromkeys(own[user]))) for user in sorted(own)]
    return "\n".join(blocks)


def _of_node(community: str, homes: HomeSettings) -> list[str]:
    lines = [
        f"topic read {ROOT}/{community}/records/+",
        f"topic write {ROOT}/{community}/acks/+",
        f"topic readwrite {status_topic(community)}",
        f"topic readwrite {ROOT}/doctor/+",  # what `commonwatt doctor` tries the broker with
    ]
    for home in homes.members:
        lines.append(f"topic write {home.prefix_in(community)}/#")
        lines.append(f"topic write {discovery_filter(homes, device_id(community, home.member))}")
    return lines


def _block(user: str, lines: list[str]) -> str:
    return "\n".join([f"user {_usable(user)}", *lines, ""])


def _usable(user: str) -> str:
    if not _USER.fullmatch(user):
        raise BrokerUserUnusable(
            f"user {user!r:.80}: use 1 to 64 letters, digits, dots, hyphens, @ and underscores"
        )
    return user


def _other_than(node: str, user: str) -> str:
    if user == node:
        raise BrokerUserUnusable(f"user {user!r:.80}: is the node's; give everybody else their own")
    return user
