"""The report: one file that is safe, complete in both languages and exact."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from commonwatt.quantity import decimal_text
from commonwatt.web.report import ReportData, Text, render
from commonwatt.web.report.data import PER_INTERVAL
from commonwatt.web.report.exact import MINUS

MakeReport = Callable[..., ReportData]
FILE_BYTES_MAX = 300_000
RENDER_CPU_S_MAX = 0.2
VOID = {"meta", "input", "link", "br", "hr", "img"}
FETCHING = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "background"}


class Reader(HTMLParser):
    """Reads a page as a browser would: which elements there are, and whether each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


@pytest.fixture(scope="module")
def page(suburb: ReportData) -> str:
    return render(suburb)


RUNS = {
    "a suburb's day": {},
    "nobody and nothing": {"members": 0, "quarters": 0},
    "nobody on a whole day": {"members": 0},
    "one participant, one quarter hour": {"members": 1, "quarters": 1},
    "one participant, one day": {"members": 1},
    "ten days": {"members": 4, "quarters": 960},
    "a hundred days": {"members": 1, "quarters": 9_600},
}


@pytest.mark.parametrize("size", RUNS.values(), ids=RUNS.keys())
def test_every_run_gives_a_well_formed_page(make_report: MakeReport, size: dict[str, int]) -> None:
    read = Reader(render(make_report(**size)))
    assert read.open == []
    assert read.count("article") == 2
    idents = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(idents) == len(set(idents))


def test_a_day_without_any_energy_divides_by_nothing(make_report: MakeReport) -> None:
    dark = dict.fromkeys(PER_INTERVAL, (0,) * 96)
    read = Reader(render(make_report(members=0, **dark)))
    assert read.open == []
    assert "There was no trade among neighbours." in "".join(read.text)


def test_a_name_cannot_become_an_element_or_a_script(
    make_report: MakeReport, suburb: ReportData
) -> None:
    attack = """</title><script>alert('x')</script><img src=x onerror="alert(1)">{{ 7*7 }}&"""
    forged = make_report(
        members=0,
        title=Text(attack, attack),
        scenario=Text(attack, attack),
        source=Text(attack, attack),
        rule=Text(attack, attack),
        currency=attack,
        audit=attack,
        root=attack,
        chain=attack,
    )
    first = replace(suburb.members[0], name=attack, kind=attack)
    page = render(replace(forged, members=(first, *suburb.members[1:])))
    read = Reader(page)
    assert read.open == []
    assert read.count("script") == 1
    assert read.count("img") == 0
    assert not any(name.startswith("on") for _, attrs in read.elements for name in attrs)
    assert "49" not in re.findall(r"[^<>]*alert\(1\)[^<>]*", page)[0]


def test_the_page_lets_the_browser_run_its_own_script_only(page: str) -> None:
    policy = next(a["content"] for t, a in Reader(page).elements if "http-equiv" in a)
    assert policy is not None
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='(;|$)", policy)


def test_nothing_is_fetched_from_anywhere(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page)
    read = Reader(page)
    assert not any(FETCHING & attrs.keys() for _, attrs in read.elements)
    assert {"link", "img", "iframe", "object", "embed", "audio", "video"}.isdisjoint(
        tag for tag, _ in read.elements
    )


def test_the_languages_are_named_and_one_is_chosen_without_a_script(suburb: ReportData) -> None:
    for first in ("ko", "en"):
        read = Reader(render(suburb, first))  # type: ignore[arg-type]
        assert read.elements[0] == ("html", {"lang": first})
        assert [a["lang"] for t, a in read.elements if t == "article"] == ["ko", "en"]
        chosen = [a["value"] for t, a in read.elements if t == "input" and "checked" in a]
        assert chosen == [first]


def test_every_amount_is_printed_to_the_last_digit(page: str, suburb: ReportData) -> None:
    values = re.findall(r'<data value="([^"]*)">([^<]*)(?:<small>([^<]*)</small>)?</data>', page)
    machine = [value for value, _, _ in values]
    assert [coin.replace(MINUS, "-").replace(",", "") + fine for _, coin, fine in values] == machine
    for member in suburb.members:
        for units in (member.bill_with, member.bill_without):
            assert machine.count(decimal_text(units, 8)) >= 2
        assert decimal_text(member.bill_without - member.bill_with, 8) in machine


def test_a_negative_bill_is_money_received(suburb: ReportData) -> None:
    sells = replace(suburb.members[0], bill_with=-123_456_789, bill_without=-1)
    page = render(replace(suburb, members=(sells,)))
    assert f'<data value="-1.23456789">{MINUS}1.23<small>456789</small></data>' in page
    assert f'<data value="-0.00000001">{MINUS}0.00<small>000001</small></data>' in page
    assert '<data value="1.23456788">1.23<small>456788</small></data>' in page


def test_a_loss_and_a_debt_are_not_hidden(suburb: ReportData) -> None:
    loses = replace(suburb.members[0], bill_with=300, bill_without=100, debt=7)
    page = render(replace(suburb, members=(loses,)))
    assert "more paid by all participants together" in page
    assert "참여자 모두가 더 낸 금액" in page
    assert '<td role="cell" class="bad"><data value="-0.00000200">' in page
    assert '<data value="0.00000007">' in page
    assert "Unpaid" in page
    assert "Unpaid" not in render(suburb)


def test_won_have_no_cents(suburb: ReportData) -> None:
    member = replace(suburb.members[0], bill_with=12_345_678, bill_without=20_000_000)
    page = render(replace(suburb, members=(member,), currency="KRW", decimals=4, retail=1_500))
    assert "공급사가 파는 가격 150<" in page
    assert '<data value="1234.5678">1,234<small>.5678</small></data>' in page


def test_energy_adds_up_in_the_table_behind_the_chart(page: str, suburb: ReportData) -> None:
    for total in (sum(suburb.own_sun_wh), sum(suburb.from_supplier_wh)):
        assert page.count(f"<td>{decimal_text(total, 3)}</td>") >= 2


def test_a_difference_found_by_the_audit_stands_at_the_top(suburb: ReportData) -> None:
    page = render(replace(suburb, audit="statement 3: position 4 differs"))
    assert page.index("statement 3: position 4 differs") < page.index('class="numbers"')
    assert "It adds up" not in page
    assert "이상 없음" not in page


def test_local_times_are_shown(page: str) -> None:
    assert "2016년 6월 21일" in page
    assert "21 June 2016" in page
    assert "UTC+02:00" in page
    assert '<th scope="row">00:00</th>' in page
    assert '<th scope="row">23:45</th>' in page


def test_ten_days_are_summed_to_points_that_can_be_told_apart(make_report: MakeReport) -> None:
    page = render(make_report(members=1, quarters=960))
    assert "kWh per 2 hours" in page
    assert "2시간당 kWh" in page
    assert page.count('<th scope="row">22 Jun, 02:00</th>') == 4


def test_the_file_is_small_and_quick(suburb: ReportData, page: str) -> None:
    assert len(page.encode()) <= FILE_BYTES_MAX
    started = time.process_time()
    render(suburb)
    assert time.process_time() - started <= RENDER_CPU_S_MAX


def test_the_same_run_gives_the_same_page(suburb: ReportData, page: str) -> None:
    assert render(suburb) == page


def test_series_that_do_not_fit_together_are_refused(suburb: ReportData) -> None:
    with pytest.raises(ValueError, match="own_sun_wh has 1 numbers for 96 intervals"):
        replace(suburb, own_sun_wh=(1,))
    with pytest.raises(ValueError, match="do not rise"):
        replace(suburb, starts=suburb.starts[::-1])
