"""`GET /metrics`: a node's figures, for the machine itself and for operators.

They tell how much a community uses and when its node struggles, so they are not for everybody.
"""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from commonwatt.web.api.problem import Problem
from commonwatt.web.api.render import of_problem
from commonwatt.web.api.roles import Role
from commonwatt.web.api.sessions import unusable
from commonwatt.web.api.state import Api

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' own form."""
TOKEN_MAX = 200
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers of proxies: whoever comes through one is not where the proxy is."""


class Metrics:
    """The endpoint."""

    def __init__(self, api: Api, text: Callable[[], bytes]) -> None:
        """Take the application's state, and what writes the figures down."""
        self._api, self._text = api, text
        self._networks = tuple(ip_network(one) for one in api.settings.metrics_from)

    async def answer(self, request: Request) -> Response:
        """Answer with the figures, or with a problem."""
        try:
            self._require_allowed(request)
        except Problem as problem:
            refused = of_problem(problem)
            return Response(refused.body, refused.status, refused.headers)
        return Response(await run_in_threadpool(self._text), media_type=TEXT)

    def _require_allowed(self, request: Request) -> None:
        header = request.headers.get("authorization")
        if header is None:
            client = "" if request.client is None else request.client.host
            through = any(name in request.headers for name in FORWARDED)
            if through or not is_within(client, self._networks):
                raise unusable("the figures are for the operator, and for api.toml's metrics_from")
            return
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token.strip()) <= TOKEN_MAX:
            raise unusable("write Bearer and a token")
        who = self._api.sessions.who(token.strip())
        # The figures are of all communities: an operator of one may not see the others.
        if Role.OPERATOR not in who.named or who.community is not None:
            raise Problem("not-allowed", f"{who.actor}: the figures are for the operator")


def is_within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address is in one of the networks; what is no address is in none.

    >>> is_within("::ffff:127.0.0.1", (ip_network("127.0.0.0/8"),)), is_within("a socket", ())
    (True, False)
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks if network.version == found.version)
