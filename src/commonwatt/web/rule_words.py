"""Market rules and allocation keys in a household's words, in both languages."""

from commonwatt.web.report import Text

_RULES = {
    "mid_market_rate": Text(
        ko="중간 가격제: 소매 가격과 매입 가격의 가운데 값",
        en="mid-market rate: midway between retail and feed-in price",
    ),
    "uniform_price": Text(
        ko="단일 가격 경매: 모든 거래가 하나의 가격, 마지막으로 체결된 매도 호가와 매수 호가 사이",
        en="uniform price: a call auction, one price between the last matched offer and bid",
    ),
    "supply_demand_ratio": Text(
        ko="수요 공급 비율: 남는 전기가 많을수록 소매 가격에서 매입 가격으로 내려감",
        en="supply/demand ratio: falls from retail to feed-in price as more is left over",
    ),
    "fixed_price": Text(
        ko="고정 가격: 공동체가 정한 가격",
        en="fixed price: what the community agreed on",
    ),
    "bill_sharing": Text(
        ko="공동 요금: 이웃 사이의 전기는 무료이고 공급사 요금만 냄",
        en="bill sharing: neighbours' energy is free, the supplier's bill is shared",
    ),
    "pay_as_bid": Text(
        ko="호가 경매: 거래마다 매도 호가와 매수 호가 사이의 가격",
        en="pay as bid: each trade has its own price between offer and bid",
    ),
    "pay_as_offer": Text(
        ko="매도 호가제: 거래마다 판매자가 부른 가격",
        en="pay as offer: each trade at what its seller asked",
    ),
}
_KEYS = {
    "dynamic": Text(ko="필요한 만큼 비례하여 나눔", en="shared in proportion to need"),
    "static": Text(
        ko="정해진 몫대로 나누며 쓰지 않은 몫은 남김",
        en="shared by fixed parts, what is not used of a part is left over",
    ),
    "iterative": Text(
        ko="정해진 몫대로 남은 것이 없을 때까지 거듭 나눔",
        en="shared by fixed parts, again and again until nothing is left",
    ),
    "priority": Text(ko="정해진 순서대로 나눔", en="shared in a fixed order"),
    "pairs": Text(
        ko="생산자마다 정한 소비자별 몫대로 나눔",
        en="shared by each producer's own parts for each consumer",
    ),
    "organiser": Text(
        ko="운영자가 구간마다 정한 몫대로 나눔",
        en="shared by parts that the organiser names for each interval",
    ),
    "coefficients": Text(
        ko="미리 정한 시간별 계수대로 나눔",
        en="shared by coefficients fixed beforehand",
    ),
    "hourly_minimum": Text(
        ko="한 시간의 공급과 수요 중 적은 쪽을 필요에 비례하여 나눔",
        en="shared in proportion to need, the lesser of an hour's offers and needs",
    ),
}


def rule_in_words(rule: str, key: str | None) -> Text:
    """A rule, and the key by which it shares where there is one."""
    if key is None:
        return _RULES[rule]
    return Text(ko=f"{_RULES[rule].ko}, {_KEYS[key].ko}", en=f"{_RULES[rule].en}, {_KEYS[key].en}")
