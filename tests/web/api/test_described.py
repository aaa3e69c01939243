"""The application against its description, by schemathesis: no answer is undescribed."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as looking
from schemathesis import GenerationMode, checks

from commonwatt.web.api.openapi import document_bytes
from commonwatt.web.api.route import EVENTS, Route
from commonwatt.web.api.table import ROUTES
from node.service.parts import AUCTION
from web.api.parts import DAY, NAME, TOKENS, People, Station

EXAMPLES = 200 if os.environ.get("COMMONWATT_SOAK") else 5
"""Of what the description allows, and as many of what it does not, for each operation."""
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.allow_header_conformance,
]
STREAMS = {route.path for route in ROUTES if EVENTS in route.media}
"""They do not end; `test_events.py` reads them."""
ASKED = [
    (route, mode)
    for route in ROUTES
    if route.path not in STREAMS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or route.body or "{" in route.path or route.is_list
]
"""Where nothing can be sent, nothing can be sent that is wrong. HEAD goes the way of GET."""
NUMBERS = 4
"""Members and bundles that are there, and one that is not."""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """A node of its own: the examples register webhooks and decide about records."""
    station = Station(tmp_path_factory.mktemp("described"), AUCTION)
    station.live(2)
    station.hosted.publish()
    people = People(station)
    yield people
    people.close()
    station.close()


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(json.loads(document_bytes()))


@pytest.mark.parametrize(
    ("route", "mode"), [pytest.param(r, m, id=f"{r.name}-{m.value}") for r, m in ASKED]
)
def test_whatever_is_sent_the_answer_is_a_described_one(
    people: People, schema: Any, route: Route, mode: GenerationMode
) -> None:
    operation = schema[route.path][route.method]
    role = "issuer" if "energytag" in route.path else "operator"

    @given(case=operation.as_strategy(generation_mode=mode))
    @looking(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        _lead_somewhere(case, mode)
        people.clock.now += 1
        case.call_and_validate(
            app=people.app,
            headers={"Authorization": f"Bearer {TOKENS[role]}"},
            checks=CHECKS,
        )

    ask()


def _lead_somewhere(case: Any, mode: GenerationMode) -> None:
    """Most addresses that are made up name nothing: name what is there."""
    parameters = case.path_parameters or {}
    if "name" in parameters:
        parameters["name"] = NAME
    if mode is GenerationMode.POSITIVE:
        if "day" in parameters:
            parameters["day"] = DAY
        for name in {"number", "member"} & set(parameters):
            parameters[name] %= NUMBERS
    if case.headers:
        case.headers.pop("Authorization", None)
