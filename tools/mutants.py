"""Take each check out of the certificate book in turn: its tests must notice every time.

A mutant is the book with one check, or one part of its condition, taken out, or one sum of it
changed; likewise what is read for the book, tables and EnergyTag's actions. The tree is never
touched: each mutant is compiled in a process of its own, where the book's tests in
`tests/certificate` have to fail. Prints rule, place, what was taken out and the first test that
failed; ends with 1 if all tests passed with any mutant. Names of modules choose theirs only.
"""

import ast
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

import hypothesis
import msgspec  # noqa: F401 - what every mutant needs is loaded once, before it forks
import pytest

import commonwatt.meter.acceptance  # noqa: F401 - likewise; of the book itself nothing is loaded

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "commonwatt.certificate"
SOURCES = ROOT / "src/commonwatt/certificate"
TESTS = ROOT / "tests/certificate"
RULES = ("test_book.py", "test_book_units.py", "test_book_storage.py", "test_devices.py")
MODULES = {
    "context": RULES, "devices": RULES, "issuing": RULES, "charging": RULES, "using": RULES,
    "storing": RULES, "state": RULES, "book": RULES, "lots": ("test_lots.py",),
    "log": ("test_log.py", "test_book_units.py"), "retirement": ("test_retirement.py",),
    "table": ("test_table.py",), "energytag_actions": ("test_energytag.py",),
}  # fmt: skip
"""Per module that refuses under a rule, the tests that have to notice."""
SECONDS_MAX = 60
"""A mutant that takes longer never ends, and is noticed by that."""

UNCHECKED = {
    "own_units": "context.bundle(NUMBER)",
    "live_units": "context.bundle(NUMBER)",
    "interval": "Origin(bytes.fromhex(NUMBER), START, DURATION)",
    "zone_of": "NUMBER",
    "account_of": "bytes.fromhex(NUMBER)",
    "meter_of": "bytes.fromhex(NUMBER)",
    "digest_of": "bytes.fromhex(NUMBER)",
}
"""Look-ups that check, and the same without any check; the words stand for their arguments."""
UNUSABLE = {"DocumentUnusable", "StatementUnusable"}
"""What is raised without a rule, where a document is read."""
RULE = re.compile(r"\bR\d+\b")


class Mutant(NamedTuple):
    """The book with one thing missing."""

    rule: str
    module: str
    function: str
    out: str
    """What is taken out, or changed."""
    source: str
    """Text of the module without it."""


class Sum(NamedTuple):
    """A rule that is kept by a sum or an order and not by a refusal: how it would be broken."""

    rule: str
    module: str
    right: str
    wrong: str


SUMS = (
    Sum("R1", "issuing", "parts = action.retired_wh + sum(stored)", "parts = action.retired_wh"),
    Sum("R2", "state", "origin, middle, bundle.end", "origin, middle - 1, bundle.end"),
    Sum("R2", "table", "part[:3]", "part[:2]"),
    Sum("R2", "table", "_WH.fullmatch(text)", "_WH.match(text)"),
    Sum("R2", "table", "_KWH.fullmatch(text)", "_KWH.match(text)"),
    Sum("R3", "table", "spans.insert(at, (origin.start, origin.end, line))", "pass"),
    Sum("R3", "table", "spans[max(at - 1, 0) : at + 1]", "spans[at : at + 1]"),
    Sum("R3", "table", "spans[max(at - 1, 0) : at + 1]", "spans[max(at - 1, 0) : at]"),
    Sum("R4", "table", "voucher=self.voucher)", "voucher='')"),
    Sum("R6", "table", "_DURATION.fullmatch(text)", "_DURATION.match(text)"),
    Sum("R7", "table", "if reading.wh\n", "if True\n"),
    Sum("R10", "issuing", "withheld = min(plant.debt_wh, found.free_wh)", "withheld = 0"),
    Sum("R10", "issuing", "- found.retired_wh - found.stored_wh)", "- found.retired_wh)"),
    Sum("R10", "issuing", "- found.retired_wh - found.stored_wh)", "- found.stored_wh)"),
    Sum("R10", "issuing", "if record == found.record:", "if False:"),
    Sum("R10", "issuing", "plant.debt_wh + returned + left", "plant.debt_wh + left"),
    Sum("R10", "issuing", "plant.debt_wh + returned + left", "plant.debt_wh + returned"),
    Sum("R10", "issuing", "bundle.holder == first_holder and", "True and"),
    Sum("R10", "issuing", "and bundle.status is Status.ACTIVE", "and True"),
    Sum("R10", "issuing", "issuance.numbering(bundle.first).owner", "issuance.owner"),
    Sum("R10", "issuing", "left -= min(_unreckoned_wh(state, issuance, wh), left)", "pass"),
    Sum("R10", "issuing", "settled = min(wh, issuance.owed_wh, plant.debt_wh)", "settled = 0"),
    Sum("R10", "issuing", "paid = min(plant.debt_wh, wh)", "paid = 0"),
    Sum("R10", "issuing", "added=issuance.added + numbered", "added=issuance.added"),
    Sum("R10", "state", "if added.first <= unit:", "if True:"),
    Sum("R12", "state", "while device.successor is not None:", "while False:"),
    Sum("R12", "devices", "closed_from=start, debt_wh=0,", "closed_from=start,"),
    Sum("R12", "devices", "first_start=start, handed_to=None\n", "first_start=start\n"),
    Sum("R12", "devices", "state.charges[successor] = state.charges.pop(device.meter)", "pass"),
    Sum("R12", "devices", "state.open_charges[successor] = state.open_charges.pop(device.meter)",
        "pass"),
    Sum("R12", "devices", 'voucher = "" if action.key else device.voucher', 'voucher = ""'),
    Sum("R12", "devices", 'voucher = "" if action.key else device.voucher',
        "voucher = device.voucher"),
    Sum("R13", "devices", "owner=context.actor, handed_to=None", "owner=context.actor"),
    Sum("R13", "devices", "handed_to=None if back else to", "handed_to=to"),
    Sum("R13", "devices", "closed_from=action.from_start, handed_to=None",
        "closed_from=action.from_start"),
    Sum("R14", "state", "promise = self.reservations.pop(bundle.number, None)", "promise = None"),
    Sum("R14", "book", "state=draft_of(context.state)", "state=context.state"),
    Sum("R14", "energytag_actions", "else Together(tuple(found))", "else found[0]"),
    Sum("R16", "energytag_actions", "int(Fraction(share) * bundle.wh)",
        "-int(-Fraction(share) * bundle.wh // 1)"),
    Sum("R18", "retirement", "state.issuances[bundle.origin].numbering(bundle.first).by",
        "state.issuances[bundle.origin].by"),
    Sum("R19", "using", "matched_wh=covered,", "matched_wh=0,"),
    Sum("R19", "using", "matched_wh=found.matched_wh + wh", "matched_wh=found.matched_wh"),
    Sum("R21", "using", "state.borders[border] = capacity, used + wh", "pass"),
    Sum("R21", "state", "insort(self.border_spans.setdefault(zones, []), interval)", "pass"),
    Sum("R22", "context", ">= origin.end + lifetime", "> origin.end + lifetime"),
    Sum("R22", "context", ">= origin.end + lifetime", ">= origin.start + lifetime"),
    Sum("R22", "context", "bool(lifetime) and", "True and"),
    Sum("R23", "using", "matched_wh=found.matched_wh - bundle.wh", "matched_wh=found.matched_wh"),
    Sum("R23", "using", "capacity, used - bundle.wh", "capacity, used"),
    Sum("R24", "storing", "charges[place].origin.end <= origin.start", "True"),
    Sum("R24", "storing", "drawn_wh=found.drawn_wh + wh", "drawn_wh=found.drawn_wh"),
    Sum("R24", "storing", "links.append(Link(found.origin, wh))", "pass"),
    Sum("R24", "storing", "own_wh=green - issued", "own_wh=0"),
    Sum("R24", "storing", "free_wh=issued - retired", "free_wh=issued"),
    Sum("R24", "storing", "state.open_charges[plant.meter].remove(place)", "pass"),
    Sum("R24", "charging", "stored_wh * device.storage_permille // PERMILLE", "stored_wh"),
    Sum("R24", "charging", "// PERMILLE - charge.drawn_wh", "// PERMILLE"),
    Sum("R24", "charging", "stored_wh=found.stored_wh + bundle.wh", "stored_wh=found.stored_wh"),
    Sum("R24", "charging", "state.stored[bundle.number] = found.origin", "pass"),
    Sum("R24", "issuing", "put_into(context, room, bundle)", "pass"),
    Sum("R24", "lots", "left -= drawn[-1]", "pass"),
    Sum("R25", "storing", "given_green_wh(action.wh, given, green)", "min(given, green)"),
    Sum("R25", "lots", "given_wh - (wh - green_wh)", "green_wh"),
    Sum("R26", "using", "context.state.exports[message] = None", "pass"),
    Sum("R28", "book", "self.entries, self.now = self.entries + 1, now", "pass"),
)  # fmt: skip

ELSEWHERE = (
    ("R4", "issue._is_sound", "tests/certificate/test_issue.py",
     "test_an_estimated_or_faulty_reading_is_settled_and_not_certified"),
    ("R5", "meter/acceptance.py: ledger and signature", "tests/meter/test_acceptance.py",
     "test_a_dishonest_meter_gets_its_own_answer"),
    ("R5", "meter/acceptance.py: both forms of a signature", "tests/meter/test_acceptance.py",
     "test_a_replay_changes_nothing_in_either_form_of_its_signature"),
    ("R8", "issue.certify: net at the boundary", "tests/certificate/test_issue.py",
     "test_no_more_is_issued_than_was_made_nor_than_was_given"),
    ("R9", "meter/acceptance.py: too late", "tests/meter/test_acceptance.py",
     "test_a_record_of_an_interval_that_is_closed_is_too_late"),
    ("R12", "Registry.vy: a key is registered once", "tests/contracts/test_registry.py",
     "test_a_key_is_registered_once_ever_whoever_tries"),
    ("R14", "Exchange.vy: payment with delivery", "tests/contracts/test_exchange.py",
     "test_payment_and_delivery_are_one"),
    ("R16", "quantity.split_exactly", "tests/certificate/test_issue.py",
     "test_green_energy_is_dealt_in_proportion_to_what_was_bought"),
    ("R16", "energytag_actions: shares", "tests/certificate/test_energytag.py",
     "test_a_percentage_rounds_down_and_the_rest_stays"),
    ("R25", "issue.certify: energy out of a battery", "tests/certificate/test_issue.py",
     "test_energy_out_of_a_battery_gets_no_certificate"),
    ("R26", "Certificate.vy: once per message", "tests/contracts/test_issuer_acts.py",
     "test_exactly_what_a_message_exported_comes_back_once"),
    ("R27", "residual: the residual mix", "tests/certificate/test_residual.py",
     "test_every_wh_is_in_the_mix_or_behind_one_unit"),
    ("R28", "log: one changed byte", "tests/certificate/test_log.py",
     "test_every_changed_byte_of_a_line_is_found"),
    ("R28", "audit: one changed byte", "tests/statement/test_proof.py",
     "test_no_byte_of_the_header_can_be_changed"),
)  # fmt: skip
"""Rules, or parts of them, that are kept outside the book, and the test that covers each."""


def mutants() -> Iterator[Mutant]:
    """Every check of the book taken out once, and every sum of `SUMS` made wrong once."""
    texts = {name: (SOURCES / f"{name}.py").read_text(encoding="utf-8") for name in MODULES}
    rules = dict(_rules_of_helpers(texts.values()))
    for name, text in texts.items():
        tree = ast.parse(text)
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                for rule, node, new, out in _sites(function, rules):
                    yield Mutant(rule, name, function.name, out, _changed(tree, node, new))
    for rule, name, right, wrong in SUMS:
        if right not in texts[name]:
            raise SystemExit(f"{name}.py no longer says {right!r}: change SUMS in {__file__}")
        changed = texts[name].replace(right, wrong, 1)
        yield Mutant(rule, name, "", f"{right} -> {wrong}", changed)


def _rules_of_helpers(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Per function the rules its docstring names; else the first that its module's does."""
    for text in texts:
        tree = ast.parse(text)
        first = RULE.findall(ast.get_docstring(tree) or "")[:1]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found = RULE.findall(ast.get_docstring(node) or "") or first
                yield node.name, ", ".join(dict.fromkeys(found)) or "-"


Site = tuple[str, ast.AST, ast.AST, str]
"""Rule, node to replace, its replacement, what is taken out."""


def _sites(function: ast.FunctionDef, rules: dict[str, str]) -> Iterator[Site]:
    """Where a function checks: refusals, calls of checking functions, look-ups that check."""
    for node in ast.walk(function):
        yield from _refusals(node, function, rules)
        yield from _calls(node, function, rules)


def _refusals(node: ast.AST, function: ast.FunctionDef, rules: dict[str, str]) -> Iterator[Site]:
    """`refuse_unless`, `raise ActionRefused`, `require`: each part of their conditions."""
    match node:
        case ast.Call(func=ast.Name(id="refuse_unless"), args=[condition, rule, *_]):
            yield from _parts(function, condition, _said(rule, function, rules), holds=True)
        case ast.Call(func=ast.Name(id="require"), args=[_, condition, *_]):
            yield from _parts(function, condition, rules[function.name], holds=True)
        case ast.If(test=condition, body=[ast.Raise(exc=ast.Call(args=[rule, *_]) as error)]):
            if _name(error) == "ActionRefused":
                said = _said(rule, function, rules)
                yield from _parts(function, condition, said, holds=False)
            elif _name(error) in UNUSABLE:
                yield from _parts(function, condition, rules[function.name], holds=False)
        case ast.If(test=condition, body=body) if any(map(_is_problem, body)):
            yield from _parts(function, condition, rules[function.name], holds=False)
        case ast.Expr(value=ast.Call() as call) if _is_problem(node):
            yield rules[function.name], node, ast.Pass(), ast.unparse(call)
        case ast.ExceptHandler(
            type=kind, body=[ast.Raise(exc=ast.Call(args=[rule, *_]) as error) as raised]
        ):
            if _name(error) == "ActionRefused":
                out = f"except {ast.unparse(kind or raised)}"
                yield _said(rule, function, rules), raised, ast.Pass(), out


def _is_problem(node: ast.AST) -> bool:
    """Whether a statement tells a problem of a table."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and _name(node.value) == "_problem"
    )


def _calls(node: ast.AST, function: ast.FunctionDef, rules: dict[str, str]) -> Iterator[Site]:
    """Calls of functions that check and return nothing, and look-ups that check."""
    match node:
        case ast.Expr(value=ast.Call() as call) if _name(call).lstrip("_").startswith("require_"):
            rule = rules.get(_name(call), rules[function.name])
            yield rule, node, ast.Pass(), ast.unparse(call)
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[*given]) if (
            name in UNCHECKED
        ):
            words = zip(("NUMBER", "START", "DURATION"), given, strict=False)
            text = UNCHECKED[name]
            for word, argument in words:
                text = text.replace(word, ast.unparse(argument))
            yield rules[name], node, ast.parse(text, mode="eval").body, ast.unparse(node)


def _parts(
    function: ast.FunctionDef, condition: ast.expr, rule: str, *, holds: bool
) -> Iterator[Site]:
    """Each part of a condition that could refuse by itself, replaced so that it never does.

    `holds` is the value of the condition at which nothing is refused.
    """
    always = ast.Constant(holds)
    match condition:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _parts(function, operand, rule, holds=not holds)
        case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And if holds else ast.Or):
            for value in values:
                yield from _parts(function, value, rule, holds=holds)
        case ast.Compare(left=left, ops=ops, comparators=others) if len(ops) > 1 and holds:
            sides = [left, *others]
            for at in range(len(ops)):
                kept = [
                    ast.Compare(sides[other], [op], [sides[other + 1]])
                    for other, op in enumerate(ops)
                    if other != at
                ]
                new = kept[0] if len(kept) == 1 else ast.BoolOp(ast.And(), kept)
                gone = ast.Compare(sides[at], [ops[at]], [sides[at + 1]])
                yield rule, condition, new, ast.unparse(gone)
        case ast.Name(id=name):
            named = [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
            ]
            if len(named) == 1:
                yield from _parts(function, named[0], rule, holds=holds)
            else:
                yield rule, condition, always, name
        case _:
            yield rule, condition, always, ast.unparse(condition)


def _said(rule: ast.expr, function: ast.FunctionDef, rules: dict[str, str]) -> str:
    """The rule a refusal names, or those its callers give it."""
    if isinstance(rule, ast.Constant):
        return str(rule.value)
    return rules[function.name] if rules[function.name] != "-" else "R4, R5, R13"


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def _changed(tree: ast.Module, old: ast.AST, new: ast.AST) -> str:
    """The text of a module with one node replaced; the tree itself is as before afterwards."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
                text = ast.unparse(tree)
                setattr(parent, name, old)
                return text
            if isinstance(value, list) and any(item is old for item in value):
                at = next(index for index, item in enumerate(value) if item is old)
                value[at] = new
                text = ast.unparse(tree)
                value[at] = old
                return text
    raise ValueError("the node is not in the tree")


class Loader(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Gives one module of the book another text."""

    def __init__(self, mutant: Mutant) -> None:
        """Stand before all other finders."""
        super().__init__(f"{PACKAGE}.{mutant.module}", str(SOURCES / f"{mutant.module}.py"))
        self._text = mutant.source

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The one module; nothing else."""
        del path, target
        if fullname != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def get_code(self, fullname: str) -> CodeType:
        """Compiled from the other text, past every cache."""
        del fullname
        return compile(self._text, self.path, "exec")


class Failures:
    """Names of the tests that failed."""

    def __init__(self) -> None:
        """None so far."""
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest after each step of each test."""
        if report.failed:
            self.names.append(report.nodeid.partition("::")[2])


def _test(mutant: Mutant | None, pipe: multiprocessing.connection.Connection) -> None:
    """Run the book's tests in this process, and say how they ended."""
    if mutant is not None:
        sys.meta_path.insert(0, Loader(mutant))
    failures = Failures()
    quick = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        "mutants", phases=quick, max_examples=50, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    hypothesis.settings.load_profile("mutants")
    # What `tests/conftest.py` loads is for other tests, and slow.
    options = ["-x", "-q", f"--confcutdir={TESTS}", "-p", "no:cacheprovider", "-o", "addopts="]
    files = dict.fromkeys(name for some in MODULES.values() for name in some)
    chosen = [str(TESTS / name) for name in (MODULES[mutant.module] if mutant else files)]
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        code = pytest.main([*options, "--import-mode=importlib", *chosen], plugins=[failures])
    pipe.send((int(code), failures.names[:1]))


def outcome(mutant: Mutant | None) -> tuple[int, str]:
    """Pytest's exit code and the first test that failed."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=_test, args=(mutant, theirs))
    process.start()
    theirs.close()
    code, names = pytest.ExitCode.TESTS_FAILED, ["it never ended"]
    if ours.poll(SECONDS_MAX):
        try:
            code, names = ours.recv()
        except EOFError:
            code, names = pytest.ExitCode.INTERNAL_ERROR, ["the process fell"]
    process.kill()
    process.join()
    return int(code), "".join(names)


def missing_tests() -> list[str]:
    """Tests that `ELSEWHERE` names and nobody wrote."""
    return [
        f"{rule}: {path} has no {test}"
        for rule, _, path, test in ELSEWHERE
        if not re.search(rf"^def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    ]


def main(modules: Sequence[str]) -> int:
    """Run the mutants of some modules, or all; 0 if each was noticed."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    begun = time.monotonic()
    code, name = outcome(None)
    if code != pytest.ExitCode.OK:
        print(f"the tests fail without any mutant: {name}")
        return 1
    count, survived = 0, 0
    chosen = [mutant for mutant in mutants() if not modules or mutant.module in modules]
    for mutant in sorted(chosen, key=lambda mutant: int(mutant.rule.split(",")[0][1:])):
        code, name = outcome(mutant)
        # A mutant that cannot even be loaded shows nothing.
        killed = code == pytest.ExitCode.TESTS_FAILED
        count, survived = count + 1, survived + (not killed)
        place = f"{mutant.module}.{mutant.function}".rstrip(".")
        print(f"{'killed  ' if killed else 'SURVIVED'} | {mutant.rule} | {place} | {mutant.out}")
        print(f"{'':8} | {name if killed else f'pytest ended with {code}'}", flush=True)
    print("Kept outside the book:")
    for rule, where, path, test in ELSEWHERE:
        print(f"covered  | {rule} | {where} | {path}::{test}")
    missing = missing_tests()
    print("\n".join(missing) + "\n" if missing else "", end="")
    print(f"{count} mutants, {survived} survived, {time.monotonic() - begun:.0f} s")
    return 1 if survived or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
