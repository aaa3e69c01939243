"""Who may read a node's figures: the machine itself, networks that are named, operators."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from commonwatt.web.api.settings import ApiFileUnusable, checked
from commonwatt.web.metrics import Metrics
from web.api.parts import TOKENS, People, Station, settings

FIGURES = b"commonwatt_meters 3\n"


def with_figures(station: Station, **more: object) -> People:
    people = People(station, settings(**more))
    people.app.router.add_route("/metrics", Metrics(people.api, lambda: FIGURES).answer)
    return people


@pytest.fixture(scope="module")
def people(lived: Station) -> Iterator[People]:
    people = with_figures(lived)
    yield people
    people.close()


def status_from(people: People, address: str, **headers: str) -> int:
    """What somebody at an address is answered."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(people.app, client=(address, 4_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.get("/metrics", headers=headers)

    answer = people.run(ask())
    assert (answer.content == FIGURES) == (answer.status_code == 200)
    return answer.status_code


def test_the_machine_itself_may_read_them_and_nobody_else(people: People) -> None:
    assert [status_from(people, one) for one in ("127.0.0.1", "127.8.8.8", "::1")] == [200] * 3
    assert status_from(people, "::ffff:127.0.0.1") == 200
    for address in ("192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "a socket", ""):
        assert status_from(people, address) == 401, address


@pytest.mark.parametrize("header", ["forwarded", "x-forwarded-for", "x-real-ip", "via"])
def test_whoever_comes_through_a_proxy_is_not_the_machine_itself(
    people: People, header: str
) -> None:
    assert status_from(people, "127.0.0.1", **{header: "127.0.0.1"}) == 401


def test_an_operators_token_opens_them_from_anywhere_and_no_other_token_does(
    people: People,
) -> None:
    for role, token in TOKENS.items():
        expected = 200 if role == "operator" else 403
        assert status_from(people, "192.0.2.1", authorization=f"Bearer {token}") == expected, role
        assert people.get("/metrics", token).status_code == expected
    for header in ("Bearer nobody's", "Bearer ", "Basic b3A6b3A=", "Bearer " + "x" * 300):
        # Also from the machine itself: what is shown must be good.
        assert status_from(people, "127.0.0.1", authorization=header) == 401, header


def test_networks_that_are_named_may_read_them_too(lived: Station) -> None:
    people = with_figures(lived, metrics_from=("172.16.0.0/12", "2001:db8::/64"))
    assert [status_from(people, one) for one in ("172.18.0.4", "2001:db8::7")] == [200] * 2
    assert [status_from(people, one) for one in ("127.0.0.1", "2001:db8:1::7")] == [401] * 2
    people.close()


def test_a_network_that_is_none_is_told() -> None:
    with pytest.raises(ApiFileUnusable, match="write a network as"):
        checked(settings(metrics_from=("the office",)))


def test_figures_are_written_down_in_a_thread_so_that_others_are_answered(lived: Station) -> None:
    people = People(lived, settings())
    loops: list[bool] = []

    def figures() -> bytes:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            loops.append(False)
        else:
            loops.append(True)
        return FIGURES

    people.app.router.add_route("/metrics", Metrics(people.api, figures).answer)
    assert status_from(people, "127.0.0.1") == 200
    assert loops == [False]
    people.close()
