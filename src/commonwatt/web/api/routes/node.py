"""The node as a whole: how it is doing, its communities, what its problems mean."""

from commonwatt import __version__
from commonwatt.node.service.hosted import Hosted
from commonwatt.statement.publication import constitution_bytes
from commonwatt.web.api import shapes
from commonwatt.web.api.parameters import cursor_of
from commonwatt.web.api.problem import KINDS, PROBLEMS_PATH
from commonwatt.web.api.route import FRESH, Answer, Call, Page, Prepared, unknown
from commonwatt.web.api.state import Api


def health(call: Call) -> Answer:
    """How the node is doing; what it says of a chain is not for everybody."""
    found = [_health(call.api, hosted) for _, hosted in sorted(_communities(call).items())]
    is_well = all(one.chain == "ok" for one in found)
    return Answer(
        shapes.Health(
            status="ok" if is_well else "degraded",
            version=__version__,
            communities=tuple(found),
        )
    )


def _health(api: Api, hosted: Hosted) -> shapes.CommunityHealth:
    status = api.status(hosted)
    return shapes.CommunityHealth(
        name=status.name,
        now=status.now,
        open_interval=status.open_start,
        waiting=status.waiting,
        # Why it is away may name its address, with a key in it.
        chain="ok" if status.chain == "ok" else "away",
        silent=status.silent,
        accepted=status.accepted,
        refused=status.refused,
        book_entries=status.book_entries,
    )


def communities(call: Call) -> Page:
    """The communities this node works for."""
    cursor = cursor_of(call.query.cursor, 1)
    first = cursor[0] if cursor else 0
    every = sorted(_communities(call).items())
    items = [
        shapes.CommunityItem(
            name=name,
            members=len(hosted.community.accounts),
            meters=len(hosted.community.registrations),
            currency=hosted.community.currency.code,
            interval_s=hosted.community.interval_s,
        )
        for name, hosted in every[first : first + call.query.limit]
    ]
    after = first + len(items)
    more = str(after) if after < len(every) else None
    return Page(items, shapes.CommunityItem, more, FRESH)


def _communities(call: Call) -> dict[str, Hosted]:
    return dict(call.api.service.communities)


def community(call: Call) -> Prepared:
    """One community."""
    return call.api.document(call.hosted)


def constitution(call: Call) -> Answer:
    """The bytes of `public/community.json`, whose hash is in every statement."""
    return Answer(constitution_bytes(call.hosted.community), cache=FRESH)


def description(call: Call) -> Prepared:
    """The description of the API."""
    return call.api.description


def problem_kind(call: Call) -> Answer:
    """What a problem means, and what to do."""
    name = call.path["kind"]
    kind = KINDS.get(name)
    if kind is None:
        raise unknown(f"problem {name}: the kinds are {', '.join(KINDS)}")
    return Answer(
        shapes.ProblemKind(
            type=f"{PROBLEMS_PATH}/{name}", title=kind.title, status=kind.status, step=kind.step
        ),
        cache=FRESH,
    )
