"""The one table of routes: which address, who may use it, and what answers.

The application is made from it, the description of OpenAPI too, `docs/api.md` shows it, and a test
walks through every cell.
"""

from typing import Any

from commonwatt.certificate.energytag import BundleDocument
from commonwatt.certificate.energytag_actions import ActionDocument
from commonwatt.certificate.log import SignedAction
from commonwatt.certificate.retirement import RetirementStatement
from commonwatt.market.settings import MarketSettings
from commonwatt.statement.publication import Constitution
from commonwatt.web.api import examples as shown
from commonwatt.web.api import shapes
from commonwatt.web.api.limits import DOCUMENT_BYTES_MAX, RECORD_BYTES_MAX, SIGN_IN_BYTES_MAX
from commonwatt.web.api.roles import (
    EVERYBODY,
    NO,
    OWN,
    SIGNED_IN,
    WHOEVER_SIGNS,
    YES,
    Who,
)
from commonwatt.web.api.route import BINARY, CSV, EVENTS, JSON, LINES, Body, Route
from commonwatt.web.api.routes import (
    certificates,
    energytag,
    events,
    intervals,
    node,
    participants,
    quarantine,
    records,
    session,
    standing_limits,
    statements,
    webhooks,
)

# public, meter, participant, operator, issuer, auditor
_OWN_DATA = Who(NO, NO, OWN, YES, NO, YES)
_OWN_METERS = Who(NO, NO, OWN, YES, YES, YES)
_OWN_BUNDLES = Who(NO, NO, OWN, YES, YES, YES)
_OWN_ACTS = Who(NO, NO, OWN, OWN, OWN, NO)
_ISSUER_ACTS = Who(NO, NO, NO, NO, OWN, NO)
_AUDIT = Who(NO, NO, NO, YES, NO, YES)
_OWN_LIMITS = Who(NO, NO, OWN, YES, NO, NO)
_OPERATOR = Who(NO, NO, NO, YES, NO, NO)

_HERE = "/v1/communities/{name}"
_MEMBER = f"{_HERE}/participants/{{member}}"
_BUNDLES = f"{_HERE}/certificates"
_TAG = f"{_HERE}/energytag/certificate"
_LIST = (JSON, CSV)
_DOCUMENT = DOCUMENT_BYTES_MAX
_LIMITS_KEPT = ("no-limits", "changed")


def _energytag_act(kind: str, summary: str, who: Who = _OWN_ACTS) -> Route:
    return Route(
        "POST",
        f"{_TAG}/{kind}",
        f"energytag_{kind}",
        summary,
        who,
        energytag.act,
        energytag.ActionAnswer,
        body=Body(ActionDocument, _DOCUMENT),
        owner=energytag.asks_as_itself,
        status=201,
        problems=("refused", "signature-missing", "running", "key-taken"),
        sent=shown.ENERGYTAG_ACTS[kind],
    )


ROUTES: tuple[Route, ...] = (
    # The node
    Route(
        "GET", "/v1/health", "health", "How the node is doing",
        EVERYBODY, node.health, shapes.Health, example=shown.HEALTH,
    ),
    Route(
        "GET", "/v1/problems/{kind}", "problem_kind", "What a problem means, and what to do",
        EVERYBODY, node.problem_kind, shapes.ProblemKind, is_light=True,
        example=shown.PROBLEM_KIND,
    ),
    Route(
        "GET", "/v1/openapi.json", "description", "This description",
        EVERYBODY, node.description, dict[str, Any],
    ),
    Route(
        "GET", "/v1/session/nonce", "nonce", "A nonce for a message that signs in (EIP-4361)",
        EVERYBODY, session.nonce, shapes.Nonce, is_light=True, example=shown.NONCE,
    ),
    Route(
        "POST", "/v1/session", "sign_in", "Sign in with a signed message; gives a token",
        EVERYBODY, session.sign_in, shapes.SignedIn, status=201,
        body=Body(shapes.SignInRequest, SIGN_IN_BYTES_MAX),
        problems=("sign-in-refused", "not-allowed"),
        example=shown.SIGNED_IN, sent=shown.SIGN_IN,
    ),
    Route(
        "GET", "/v1/session", "who_am_i", "Whose token it is, and in which communities",
        SIGNED_IN, session.who_am_i, shapes.WhoAmI, example=shown.WHO_AM_I,
    ),
    Route(
        "DELETE", "/v1/session", "sign_out", "Give a token up",
        SIGNED_IN, session.sign_out, None, status=204, is_light=True,
    ),
    # Communities
    Route(
        "GET", "/v1/communities", "communities", "The communities this node works for",
        EVERYBODY, node.communities, shapes.CommunityItem, _LIST, shapes.PageQuery,
        is_list=True, example=shown.COMMUNITY_ITEM,
    ),
    Route(
        "GET", _HERE, "community", "A community: what meters, wallets and auditors start from",
        EVERYBODY, node.community, shapes.Community, example=shown.COMMUNITY,
    ),
    Route(
        "GET", f"{_HERE}/constitution", "constitution",
        "The constitution, byte for byte as its hash is anchored",
        EVERYBODY, node.constitution, Constitution, example=shown.CONSTITUTION,
    ),
    Route(
        "POST", f"{_HERE}/records", "send_records", "Send meters' signed records",
        WHOEVER_SIGNS, records.send, shapes.Results,
        body=Body(shapes.BatchSent, RECORD_BYTES_MAX, (JSON, BINARY)),
        problems=("batch-unusable",), example=shown.RESULTS, sent=shown.BATCH,
    ),
    Route(
        "GET", f"{_HERE}/meters", "meters", "All meters, as everybody may know them",
        EVERYBODY, participants.meters, shapes.MeterOf, _LIST, shapes.PageQuery,
        is_list=True, example=shown.METER_OF,
    ),
    Route(
        "GET", f"{_HERE}/meters/{{meter}}", "meter", "One meter, with key and opening record",
        _OWN_METERS, participants.meter, shapes.MeterDetail, owner=participants.is_own_meter,
        example=shown.METER_DETAIL,
    ),
    # Participants
    Route(
        "GET", f"{_HERE}/participants", "participants",
        "Who takes part, and what all of them together did in a day",
        EVERYBODY, participants.participants, shapes.Participants, query=shapes.DayQuery,
        example=shown.PARTICIPANTS,
    ),
    Route(
        "GET", _MEMBER, "participant", "One participant, as it sees itself",
        _OWN_DATA, participants.participant, shapes.Participant,
        owner=participants.is_own_member, example=shown.PARTICIPANT,
    ),
    Route(
        "GET", f"{_MEMBER}/positions", "positions", "A participant's energy and money in a day",
        _OWN_DATA, participants.positions, shapes.Position, _LIST, shapes.DayQuery,
        owner=participants.is_own_member, is_list=True, example=shown.POSITION,
    ),
    Route(
        "GET", f"{_MEMBER}/trades", "trades", "What a participant traded with neighbours in a day",
        _OWN_DATA, participants.trades, shapes.TradeOf, _LIST, shapes.DayQuery,
        owner=participants.is_own_member, is_list=True, example=shown.TRADE,
    ),
    Route(
        "GET", f"{_MEMBER}/adjustments", "adjustments",
        "What a day's intervals settled of intervals before them",
        _OWN_DATA, participants.adjustments, shapes.AdjustmentOf, _LIST, shapes.DayQuery,
        owner=participants.is_own_member, is_list=True, example=shown.ADJUSTMENT,
    ),
    Route(
        "GET", f"{_MEMBER}/payments", "payments", "What a day's intervals moved in its lane",
        _OWN_DATA, participants.payments, shapes.PaymentOf, _LIST, shapes.DayQuery,
        owner=participants.is_own_member, is_list=True, example=shown.PAYMENT,
    ),
    Route(
        "GET", f"{_MEMBER}/proofs", "proofs", "Its leaves of a day with their paths to the anchors",
        _OWN_DATA, participants.proofs, shapes.ProofOf, (JSON,), shapes.DayQuery,
        owner=participants.is_own_member, is_list=True, example=shown.PROOF,
    ),
    Route(
        "GET", f"{_MEMBER}/limits", "limits", "A participant's standing limit prices",
        _OWN_LIMITS, standing_limits.limits, shapes.LimitsOf,
        owner=participants.is_own_member, example=shown.LIMITS,
    ),
    Route(
        "PUT", f"{_MEMBER}/limits", "set_limits",
        "Set a participant's standing limit prices, from the open interval on",
        _OWN_LIMITS, standing_limits.set_limits, shapes.LimitsOf,
        owner=participants.is_own_member, body=Body(shapes.LimitsWanted, _DOCUMENT),
        is_keyed=True, problems=_LIMITS_KEPT, example=shown.LIMITS, sent=shown.LIMITS_WANTED,
    ),
    Route(
        "DELETE", f"{_MEMBER}/limits", "reset_limits",
        "Go back to the limit prices of the community's file, from the open interval on",
        _OWN_LIMITS, standing_limits.reset, shapes.LimitsOf,
        owner=participants.is_own_member, is_keyed=True, problems=_LIMITS_KEPT,
        example=shown.LIMITS_OF_FILE,
    ),
    Route(
        "GET", f"{_MEMBER}/limits/changes", "limit_changes",
        "Who set a participant's limit prices to what, and when",
        _OWN_LIMITS, standing_limits.changes, shapes.LimitChangeOf, _LIST, shapes.PageQuery,
        owner=participants.is_own_member, is_list=True, example=shown.LIMIT_CHANGE,
    ),
    # Intervals
    Route(
        "GET", f"{_HERE}/intervals", "intervals", "A day's closed intervals",
        EVERYBODY, intervals.intervals, shapes.ClosedInterval, _LIST, shapes.DayQuery,
        is_list=True, example=shown.INTERVAL,
    ),
    Route(
        "GET", f"{_HERE}/intervals/{{start}}", "interval", "One closed interval",
        EVERYBODY, intervals.interval, shapes.ClosedInterval, example=shown.INTERVAL,
    ),
    Route(
        "GET", f"{_HERE}/prices", "prices", "What energy cost in a day's intervals",
        EVERYBODY, intervals.prices, shapes.PricesOf, _LIST, shapes.DayQuery,
        is_list=True, example=shown.PRICES,
    ),
    Route(
        "GET", f"{_HERE}/events", "events",
        "What happens, as server-sent events; replayed after Last-Event-ID",
        EVERYBODY, events.stream, shapes.EventText, (EVENTS,), shapes.EventQuery, is_light=True,
        problems=("busy",), example=shown.EVENT,
    ),
    # Statements
    Route(
        "GET", f"{_HERE}/statements", "statement_days", "The days of which there are statements",
        _AUDIT, statements.days, shapes.StatementDay, _LIST, shapes.PageQuery,
        is_list=True, example=shown.STATEMENT_DAY,
    ),
    Route(
        "GET", f"{_HERE}/statements/{{day}}/{{part}}", "statement_part",
        "One file of a day, line by line as published",
        _AUDIT, statements.part, shapes.LinesText, (LINES,), problems=("busy",),
        example=shown.LINES,
    ),
    Route(
        "GET", f"{_HERE}/register", "register", "The register of meters, line by line",
        _AUDIT, statements.register, shapes.LinesText, (LINES,), problems=("busy",),
        example=shown.LINES,
    ),
    Route(
        "GET", f"{_HERE}/market", "market", "The market's settings: who trades with whom, and how",
        _AUDIT, statements.market, MarketSettings, example=shown.MARKET,
    ),
    # Certificates
    Route(
        "GET", _BUNDLES, "bundles", "Bundles of certificates of an account, of a day, or of both",
        _OWN_BUNDLES, certificates.bundles, shapes.BundleOf, _LIST, shapes.CertificateQuery,
        owner=certificates.lists_own, is_list=True, example=shown.BUNDLE,
    ),
    Route(
        "GET", f"{_BUNDLES}/{{number}}", "bundle", "One bundle of certificates",
        _OWN_BUNDLES, certificates.bundle, shapes.BundleOf,
        owner=certificates.is_own_bundle, example=shown.BUNDLE,
    ),
    Route(
        "GET", f"{_BUNDLES}/{{number}}/retirement", "retirement",
        "The statement for a retirement, byte for byte",
        _OWN_BUNDLES, certificates.retirement, RetirementStatement,
        owner=certificates.is_own_bundle, example=shown.RETIREMENT,
    ),
    Route(
        "POST", f"{_BUNDLES}/actions", "act", "A signed action in the book",
        WHOEVER_SIGNS, certificates.act, shapes.ActionDone, status=201,
        body=Body(SignedAction, _DOCUMENT),
        problems=("refused", "running", "key-taken"),
        example=shown.ACTION_DONE, sent=shown.SIGNED_ACTION,
    ),
    Route(
        "GET", f"{_HERE}/book", "book", "The book: what an action is signed for",
        EVERYBODY, certificates.book, shapes.BookOf, example=shown.BOOK,
    ),
    Route(
        "GET", f"{_HERE}/book/accounts/{{account}}", "book_account",
        "Which action of an account is its next",
        _OWN_BUNDLES, certificates.account, shapes.BookAccount,
        owner=certificates.is_own_account, example=shown.BOOK_ACCOUNT,
    ),
    # EnergyTag
    Route(
        "POST", f"{_TAG}/query", "energytag_query", "EnergyTag: an account's bundles",
        _OWN_BUNDLES, energytag.query, energytag.QueryAnswer, query=shapes.PageQuery,
        body=Body(shapes.EnergyTagQuery, _DOCUMENT), owner=energytag.asks_as_itself,
        sent=shown.ENERGYTAG_QUERY,
    ),
    Route(
        "GET", f"{_TAG}/{{number}}", "energytag_bundle", "EnergyTag: one bundle",
        _OWN_BUNDLES, energytag.bundle, BundleDocument, owner=certificates.is_own_bundle,
    ),
    _energytag_act("transfer", "EnergyTag: give units to another account"),
    _energytag_act("cancel", "EnergyTag: retire units"),
    _energytag_act("claim", "EnergyTag: claim the use of what was retired for one"),
    _energytag_act("reserve", "EnergyTag: freeze units for somebody"),
    _energytag_act("withdraw", "EnergyTag: take units back, by the issuer", _ISSUER_ACTS),
    # The operator's
    Route(
        "GET", f"{_HERE}/quarantine", "quarantine", "Refused records",
        _AUDIT, quarantine.refused, shapes.QuarantinedOf, _LIST, shapes.QuarantineQuery,
        is_list=True, example=shown.QUARANTINED,
    ),
    Route(
        "GET", f"{_HERE}/quarantine/{{number}}", "quarantined", "One refused record",
        _AUDIT, quarantine.one, shapes.QuarantinedOf, example=shown.QUARANTINED,
    ),
    Route(
        "POST", f"{_HERE}/quarantine/{{number}}/decisions", "decide",
        "Release a refused record, or reject it for good",
        _OPERATOR, quarantine.decide, shapes.DecisionMade, status=201,
        body=Body(shapes.DecisionWanted, _DOCUMENT), is_keyed=True, problems=("decided",),
        example=shown.DECISION_MADE, sent=shown.DECISION_WANTED,
    ),
    Route(
        "GET", f"{_HERE}/decisions", "decisions", "The operator's log",
        _AUDIT, quarantine.decisions, shapes.DecisionOf, _LIST, shapes.PageQuery,
        is_list=True, example=shown.DECISION,
    ),
    Route(
        "GET", f"{_HERE}/webhooks", "webhooks", "Webhooks",
        _OPERATOR, webhooks.hooks, shapes.HookOf, _LIST, shapes.PageQuery,
        is_list=True, example=shown.HOOK,
    ),
    Route(
        "POST", f"{_HERE}/webhooks", "register_webhook",
        "Register a webhook; its secret is told once",
        _OPERATOR, webhooks.register, shapes.HookMade, status=201,
        body=Body(shapes.HookWanted, _DOCUMENT), is_keyed=True, problems=("full",),
        example=shown.HOOK_MADE, sent=shown.HOOK_WANTED,
    ),
    Route(
        "DELETE", f"{_HERE}/webhooks/{{number}}", "remove_webhook", "Remove a webhook",
        _OPERATOR, webhooks.remove, None, status=204,
    ),
)  # fmt: skip
