"""An outsider with the chain and the published files rebuilds the book, and finds what is wrong."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest

from certificates import FORGER, ISSUER, account
from commonwatt.audit.certificates import BookAudit, audit_all
from commonwatt.audit.facts import Act, BookPost, ChainFacts, Movement
from commonwatt.audit.recompute import Audit
from commonwatt.certificate.actions import (
    Action,
    Admit,
    Claim,
    Consume,
    Correct,
    Issue,
    Replace,
    Retire,
    Together,
    Transfer,
    Withdraw,
)
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import Log, SignedAction, book_identity, signed_text
from commonwatt.chain.account import Account, signer_of
from commonwatt.meter.keys import MeterKey
from commonwatt.statement.booked import admissions, devices_of, entries
from commonwatt.statement.publication import book_path
from effort import SOAKING
from street import CHAIN, LIFETIME_S, MIDSUMMER_NOON, MemoryFiles, Street

DAY = "2016-06-21"
BOOK = book_path(DAY)
PRODUCER, NEIGHBOUR = account("the producer"), account("the neighbour")
SHOP = account("a shop elsewhere")
IDENTITY = book_identity(CHAIN.chain_id, CHAIN.registry)
FLIPS = 2_000 if SOAKING else 100
Step = tuple[Account, Action]


class Town:
    """A street with a sunny home, and its book as an issuer keeps it."""

    def __init__(self) -> None:
        self.street = Street(members=2, producers=1, batteries=1, storage_permille=900)
        accounts = (PRODUCER.address_bytes, NEIGHBOUR.address_bytes)
        self.street.found(replace(self.street.community, accounts=accounts))
        self.street.flows[:2] = [
            replace(flow, account=own)
            for flow, own in zip(self.street.flows[:2], accounts, strict=True)
        ]
        self.kept = {self.street.solar[0].key.meter: MIDSUMMER_NOON.start}
        self.devices = devices_of(self.street.community, self.kept)
        self.steps: list[tuple[int, Step]] = []
        self.now = MIDSUMMER_NOON.start
        self.say(*admissions(self.street.community, self.devices))

    def say(self, *wanted: Action, who: Account = ISSUER) -> None:
        self.steps += [(self.now, (who, action)) for action in wanted]

    def close(self, *measured: Sequence[int]) -> None:
        statement = self.street.close(self.street.measure(*measured))
        self.now = statement.header.start + 960
        found = entries(self.street.community, self.street.last_inputs, statement, self.devices)
        self.say(*found)

    def log(self) -> tuple[Log, list[bytes]]:
        log = Log(IDENTITY, Scheme(ISSUER.address_bytes, LIFETIME_S), signer_of)
        lines = []
        for now, (who, action) in self.steps:
            nonce = log.nonces.get(who.address_bytes, 0)
            signature = who.sign_text(signed_text(IDENTITY, nonce, action)).hex()
            own = who.address_bytes.hex()
            entry, _ = log.submit(SignedAction(own, nonce, action, signature), now)
            lines.append(entry.line())
        return log, lines

    def published(self) -> tuple[dict[str, bytes], ChainFacts]:
        log, lines = self.log()
        files = {**self.street.files, BOOK: b"".join(lines)}
        post = BookPost(log.book.entries, log.head, bytes(32), 9)
        facts = replace(
            self.street.facts(),
            issuer=ISSUER.address_bytes,
            kept=self.kept,
            posts=(post,),
        )
        return files, facts


def lived_in() -> Town:
    """Noon and evening; the producer sells, the neighbour uses up and claims."""
    town = Town()
    town.close([0, 300], [600, 0], [1_000], [400])
    town.close([0, 500], [200, 0], [0], [-260])
    neighbour = NEIGHBOUR.address_bytes.hex()
    free = number_of(town, "active")
    town.say(Transfer(free, 120, neighbour), who=PRODUCER)
    sold = number_of(town, "active", NEIGHBOUR)
    town.say(Retire(sold, 100, neighbour, "our oven"), who=NEIGHBOUR)
    retired = number_of(town, "retired", NEIGHBOUR)
    town.say(Claim(retired), who=NEIGHBOUR)
    return town


def number_of(town: Town, status: str, holder: Account = PRODUCER) -> int:
    state = town.log()[0].book.state
    return next(
        bundle.number
        for bundle in reversed(state.bundles.values())
        if bundle.status.value == status and bundle.holder == holder.address_bytes
    )


FILES, FACTS = lived_in().published()


def audited(files: dict[str, bytes], facts: ChainFacts) -> tuple[Audit, BookAudit]:
    return audit_all(MemoryFiles(files), facts, signer_of)


def different(files: dict[str, bytes], facts: ChainFacts = FACTS) -> Audit:
    found, _ = audited(files, facts)
    assert found.difference is not None
    assert found.place, found.difference
    assert found.difference.startswith(found.place)
    assert "\n" not in found.difference
    return found


def test_balances_retirements_and_scores_follow_from_files_and_chain_alone() -> None:
    found, book = audited(FILES, FACTS)
    assert found.verdict == "ok"
    assert (book.entries, book.posted, book.vouched) == (FACTS.posts[0].count,) * 2 + (0,)
    assert book.head == FACTS.posts[0].head
    assert book.devices == 2
    assert book.issued_wh == 1_000 + 200
    producer, neighbour = (book.holders[who.address_bytes] for who in (PRODUCER, NEIGHBOUR))
    assert producer.units == {"retired": 500, "stored": 400, "active": 180}
    assert neighbour.units == {"active": 20, "claimed": 100}
    assert book.units == producer.units + neighbour.units
    assert book.retirements == 1
    assert (neighbour.consumed_wh, neighbour.matched_wh) == (800, 500)
    assert (producer.consumed_wh, producer.matched_wh) == (0, 0)


def test_any_flipped_bit_of_the_book_is_found() -> None:
    chance = Random(28)
    content = FILES[BOOK]
    for _ in range(FLIPS):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        found = different({**FILES, BOOK: bytes(flipped)})
        assert found.place is not None
        assert found.place.startswith((BOOK, "entry", "the book"))


def test_a_line_left_out_at_the_end_is_told_by_the_head_on_the_chain() -> None:
    lines = FILES[BOOK].splitlines(keepends=True)
    found = different({**FILES, BOOK: b"".join(lines[:-1])})
    assert "the chain has a head over" in str(found.difference)
    without = {path: text for path, text in FILES.items() if path != BOOK}
    assert "has not taken over: admit" in str(different(without).difference)


def test_another_history_with_all_signatures_right_is_told_by_the_head() -> None:
    town = lived_in()
    town.say(Claim(0), who=NEIGHBOUR)
    town.steps.pop()
    now, _ = town.steps.pop()
    files, _ = town.published()
    assert "the chain has a head over" in str(different(files).difference)
    town.steps.append((now + 1, (NEIGHBOUR, Claim(number_of(town, "retired", NEIGHBOUR)))))
    files, _ = town.published()
    assert "the chain's head over" in str(different(files).difference)


def test_entries_after_the_last_head_are_told_as_not_anchored() -> None:
    post = FACTS.posts[0]
    early = replace(FACTS, posts=())
    found, book = audited(FILES, early)
    assert (found.verdict, book.posted) == ("ok", 0)
    assert book.entries == post.count


def issue_of(town: Town) -> int:
    return next(n for n, (_, (_, action)) in enumerate(town.steps) if isinstance(action, Issue))


def edited(change: Callable[[Town], None]) -> tuple[dict[str, bytes], ChainFacts]:
    """A book that the issuer itself keeps otherwise, posted on the chain as it is."""
    town = lived_in()
    change(town)
    return town.published()


def more_units(town: Town) -> None:
    at = issue_of(town)
    now, (who, issue) = town.steps[at]
    assert isinstance(issue, Issue)
    more = replace_struct(issue, metered_wh=issue.metered_wh + 9, free_wh=issue.free_wh + 9)
    town.steps[at] = now, (who, more)


def replace_struct(action: Issue, **changes: int) -> Issue:
    fields = {name: getattr(action, name) for name in action.__struct_fields__}
    return Issue(**(fields | changes))


def nobody_used_anything(town: Town) -> None:
    town.steps = [step for step in town.steps if not isinstance(step[1][1], Consume)]


def another_interval(town: Town) -> None:
    roof = town.street.solar[0].key.meter.hex()
    town.say(Issue(roof, MIDSUMMER_NOON.start - 9_000, 900, 50, 0, 50, "11" * 32))
    at = next(n for n, (_, (_, a)) in enumerate(town.steps) if isinstance(a, Admit))
    now, (who, admit) = town.steps[at]
    assert isinstance(admit, Admit)
    fields = {name: getattr(admit, name) for name in admit.__struct_fields__}
    town.steps[at] = now, (who, Admit(**(fields | {"first_start": 0})))


def a_correction(town: Town) -> None:
    at = issue_of(town)
    issue = town.steps[at][1][1]
    assert isinstance(issue, Issue)
    town.say(Correct(issue.meter, issue.start, 900, issue.metered_wh, 0, issue.record, "22" * 32))


def a_stranger(town: Town) -> None:
    shop = SHOP.address_bytes.hex()
    town.say(Consume("cd" * 20, MIDSUMMER_NOON.start, 900, 500, "DE-LU", shop))


def hidden_among_others(town: Town) -> None:
    roof = town.street.solar[0].key.meter.hex()
    more = Issue(roof, town.now - 960 + 900, 900, 500, 0, 500, "11" * 32)
    town.now += 3_600
    town.say(Together((Consume("cd" * 20, 0, 900, 1, "DE-LU", "ee" * 20, voucher="me"), more)))


def another_meter(town: Town) -> None:
    roof, key = town.street.solar[0].key.meter.hex(), MeterKey.from_seed(b"another")
    start = town.now + 40 * 900
    town.say(Replace(roof, key.meter.hex(), start - start % 900, key.public_key.hex(), "broken"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (hidden_among_others, "the statements say: nothing more"),
        (another_meter, "the issuer took over: replace"),
        (more_units, "the issuer took over: issue"),
        (nobody_used_anything, "the issuer took over: "),
        (another_interval, "the issuer took over: admit"),
        (a_correction, "the statements say: nothing more"),
        (a_stranger, "nobody vouches for it, and no statement has it: consume"),
    ],
)
def test_what_the_issuer_enters_beside_the_statements_is_found(
    change: Callable[[Town], None], said: str
) -> None:
    found = different(*edited(change))
    assert said in str(found.difference)


def test_what_somebody_vouches_for_by_name_is_counted_apart() -> None:
    def vouched(town: Town) -> None:
        shop, start = SHOP.address_bytes.hex(), MIDSUMMER_NOON.start
        town.say(Consume("cd" * 20, start, 900, 500, "DE-LU", shop, voucher="Stadtwerk"))
        plant = "ef" * 20
        town.say(Admit(plant, shop, 0x010100, 9_000, "DE-LU", start, voucher="Stadtwerk"))
        town.say(Issue(plant, start, 900, 300, 0, 300, "33" * 32))

    found, book = audited(*edited(vouched))
    assert (found.verdict, book.vouched) == ("ok", 3)
    assert book.holders[SHOP.address_bytes].units == {"active": 300}


def test_what_the_issuer_withdraws_is_a_visible_act_and_no_difference() -> None:
    def withdrawn(town: Town) -> None:
        town.say(Withdraw(number_of(town, "active"), 30, "a fault at the meter"))

    found, book = audited(*edited(withdrawn))
    assert (found.verdict, book.units["withdrawn"]) == ("ok", 30)


def test_units_of_a_meter_that_the_chain_does_not_keep_cannot_be_in_the_book() -> None:
    found = different(FILES, replace(FACTS, kept={}))
    assert "the issuer took over: admit" in str(found.difference)


def test_somebody_elses_book_or_a_forged_line_is_found() -> None:
    forger = replace(FACTS, issuer=FORGER.address_bytes)
    assert "entry 0" in str(different(FILES, forger).difference)
    shorter = replace(FACTS, lifetime_s=1)
    assert "expired" in str(different(FILES, shorter).difference)


def test_a_difference_in_the_statements_comes_first() -> None:
    path = f"audit/{DAY}.leaves.jsonl"
    found = different({**FILES, path: FILES[path][:-2] + b"0\n"})
    assert "leaf" in str(found.place)
    missing = {path: text for path, text in FILES.items() if path != "audit/register.jsonl"}
    with pytest.raises(Exception, match="register"):
        audited(missing, FACTS)


def test_tokens_are_followed_from_their_issue_to_where_they_are() -> None:
    meter, start = b"m" * 20, MIDSUMMER_NOON.start
    maker, buyer = b"p" * 20, b"b" * 20

    def moved(act: Act, wh: int, giver: bytes | None = None, taker: bytes | None = None):
        return Movement(act, meter, start, 900, wh, giver, taker)

    lived = (
        moved(Act.ISSUED, 100, taker=maker),
        moved(Act.MOVED, 70, maker, buyer),
        moved(Act.RETIRED, 60, buyer),
        moved(Act.WITHDRAWN, 5, buyer),
        moved(Act.EXPORTED, 20, maker),
    )
    _, book = audited(FILES, replace(FACTS, movements=lived))
    assert book.tokens_wh == 100
    assert book.holders[maker].units == {"token held": 10, "token exported": 20}
    assert book.holders[buyer].units == {
        "token held": 5,
        "token retired": 60,
        "token withdrawn": 5,
    }
    stolen = (*lived, moved(Act.MOVED, 11, maker, buyer))
    assert "tokens" in str(different(FILES, replace(FACTS, movements=stolen)).place)
