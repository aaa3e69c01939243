"""The words of the report in Korean. `{interval}` ends in 구간, so particles after it are fixed."""

KOREAN = {
    "language": "한국어",
    "switch": "언어",
    # Time and length.
    "date": "{year}년 {month}월 {day}일",
    "date_short": "{month}월 {day}일",
    "months": "1 2 3 4 5 6 7 8 9 10 11 12",
    "months_short": "1 2 3 4 5 6 7 8 9 10 11 12",
    "quarter_hour": "15분 구간",
    "interval_minutes": "{n}분 구간",
    "interval_seconds": "{n}초 구간",
    "per_quarter_hour": "15분",
    "per_minutes": "{n}분",
    "per_seconds": "{n}초",
    "per_hour": "1시간",
    "per_hours": "{n}시간",
    "per_day": "하루",
    "per_days": "{n}일",
    "seconds": "{n}초",
    "seconds_short": "{n}초",
    "minutes": "{n}분",
    "minutes_short": "{n}분",
    # Masthead.
    "kicker": "열린 전력 장부 Commonwatt",
    "members_one": "참여자 1곳",
    "members_many": "참여자 {n}곳",
    "quarters_one": "15분 구간 1개",
    "quarters_many": "15분 구간 {n}개",
    "closes_one": "{per} 구간 1개",
    "closes_many": "{per} 구간 {n}개",
    "clock": "시각은 UTC{offset} 기준",
    "lede": (
        "지붕 위 태양광이 그 집에서 쓰는 것보다 많은 전기를 만들면 남는 전기를 이웃이 삽니다."
        " 계량기는 잰 값에 전자서명을 합니다. {interval}이 끝날 때마다 거래가 정산되고, 판 사람은"
        " 바로 대금을 받습니다. 이웃끼리 채우지 못한 전기는 지금까지처럼 공급사에서 옵니다."
    ),
    # The few numbers that matter.
    "numbers": "숫자로 보는 하루",
    "numbers_days": "숫자로 보는 전체 기간",
    "local_label": "이곳에서 쓴 전기 가운데 이곳에서 만든 비율",
    "local_note": "자체 태양광\N{NO-BREAK SPACE}{sun}, 자체 배터리\N{NO-BREAK SPACE}{battery},"
    " 이웃\N{NO-BREAK SPACE}{neighbours}",
    "saving_label": "참여자 모두가 아낀 금액",
    "loss_label": "참여자 모두가 더 낸 금액",
    "saving_note": "{all}곳 중 {better}곳이 공동체가 없을 때보다 덜 내거나 더 받음",
    "matched_label": "만들어진 바로 그 {interval}에 쓰인 녹색 인증서 비율",
    "matched_note": "거리로 내보낸 {given}kWh 중 {retired}kWh, 1Wh도 두 번 세지 않음",
    "speed_label": "{interval}이 끝나고 대금이 들어오기까지",
    "speed_note": "지금의 방식으로는 60~80일",
    "audit_ok": "이상 없음",
    "audit_bad": "차이 발견",
    "audit_label": "계량기가 서명한 기록으로 모든 것을 다시 계산해 대조한 결과",
    "audit_note": "기록 {records}건 확인, {rejected}건 거부",
    "audit_banner": "검증 결과가 이 보고서와 일치하지 않습니다. 처음 발견된 차이:",
    # Energy.
    "energy_head": "전기는 어디에서 왔나",
    "energy_text": (
        "참여자들이 쓴 모든 전기를 어디에서 왔는지에 따라 나누었습니다. 먼저 자기 지붕과 배터리의"
        " 전기를 쓰고, 다음으로 이웃에게 남는 전기를 쓰며, 그래도 모자라는 전기는 공급사가"
        " 댑니다."
    ),
    "energy_peak": "이웃이 가장 많이 보탠 때는 {time}으로, {per} 동안 {kwh}kWh였습니다.",
    "energy_chart": "사용한 전기, {per}당 kWh",
    "energy_desc": (
        "시간에 따른 누적 막대그래프. 모두 {total}kWh로 자체 태양광 {own_sun}, 자체 배터리"
        " {own_battery}, 이웃 {from_neighbours}, 공급사 {from_supplier}kWh입니다."
    ),
    "own_sun": "자체 태양광",
    "own_battery": "자체 배터리",
    "from_neighbours": "이웃",
    "from_supplier": "공급사",
    "surplus_chart": "남은 전기가 간 곳, {per}당 kWh",
    "surplus_desc": (
        "시간에 따른 누적 막대그래프. 모두 {total}kWh로 배터리에 저장 {to_battery}, 이웃에게 판매"
        " {to_neighbours}, 공급사에 판매 {to_supplier}kWh입니다."
    ),
    "to_battery": "배터리에 저장",
    "to_neighbours": "이웃에게 판매",
    "to_supplier": "공급사에 판매",
    # Price.
    "price_head": "이웃 사이의 전기 가격",
    "price_text": (
        "공급사는 전기 1kWh를 {retail} {currency}에 팔고 {feed_in} {currency}에 삽니다. 그 사이의"
        " 가격이라면 사는 이웃에게도 파는 이웃에게도 이익입니다."
    ),
    "price_fees": (
        "전력망 이용료는 따로 냅니다. 이웃에게서 산 전기는 1kWh당 {fee_local} {currency},"
        " 공급사에서 산 전기는 1kWh당 {fee_supplier} {currency}입니다."
    ),
    "price_rule": "가격을 정하는 방법: {rule}.",
    "price_one": "이웃끼리는 내내 1kWh를 {price} {currency}에 거래했습니다.",
    "price_range": "이웃끼리는 1kWh를 최저 {low}, 최고 {high} {currency}에 거래했습니다.",
    "price_none": "이웃 사이의 거래가 없었습니다.",
    "price_gap": "선이 끊긴 곳은 거래가 없었던 시간입니다.",
    "price_average": "선은 전력량으로 가중한 평균이며, 최저와 최고 가격은 표에 있습니다.",
    "price_chart": "이웃 사이의 가격, 1kWh당 {currency}, 전력망 이용료 제외",
    "price_desc": (
        "시간에 따른 계단형 선그래프. 공급사가 사는 가격 {feed_in}과 공급사가 파는 가격 {retail}"
        " 사이에 있습니다. 단위는 1kWh당 {currency}입니다."
    ),
    "level_retail": "공급사가 파는 가격 {price}",
    "level_feed_in": "공급사가 사는 가격 {price}",
    "price_local": "이웃 사이의 가격",
    "price_low": "최저",
    "price_high": "최고",
    # Bills.
    "bills_head": "참여자마다 내는 요금",
    "bills_text": (
        "참여자별로 공동체에 참여한 요금과, 같은 계량값으로 공급사하고만 거래했을 때의 요금을"
        " 나란히 놓았습니다. 모두 전력망 이용료를 포함한 금액입니다."
        " 빼기표(\N{MINUS SIGN})가 붙은 금액은 참여자가 받는 돈입니다."
    ),
    "bills_all_better": "모든 참여자가 공동체 덕분에 이익을 보았습니다.",
    "bills_counts": "{better}곳은 이익, {same}곳은 그대로, {worse}곳은 손해입니다.",
    "bills_exact": (
        "금액의 단위는 {currency}이며 마지막 자리(소수점 아래 {places}자리)까지 정확합니다."
        " 반올림은 하지 않았습니다."
    ),
    "bills_table": "참여자별 요금, {currency}",
    "participant": "참여자",
    "without": "공동체 없이",
    "with": "공동체와 함께",
    "saving": "아낀 금액",
    "debt": "미납",
    "total": "합계",
    "members_energy": "요금의 바탕이 된 전력량, kWh",
    "used": "사용",
    "generated": "발전",
    "bought": "구입",
    "sold": "판매",
    "neighbours": "이웃",
    "supplier": "공급사",
    "green": "녹색",
    "green_note": (
        "녹색: 쓴 전기 가운데 자체 발전 설비나 같은 {interval}의 인증서로 뒷받침되는 비율입니다."
    ),
    # Certificates.
    "certificates_head": "녹색 인증서",
    "certificates_text": (
        "집 밖으로 나간 태양광 전기에는 1Wh마다 인증서가 꼭 한 번 발급됩니다. 이웃이 그 전기를"
        " 사면 인증서는 곧바로 그 이웃 몫으로 사용 처리되어 다시 쓸 수 없습니다. 집 배터리에"
        " 들어가는 전기의 인증서는 그곳에서 사용되고, 배터리가 나중에 거리로 내보내는 전기에는"
        " 손실을 뺀 만큼 새로 발급됩니다. 나머지는 미사용 상태로 생산자에게 남으며, 생산자는 이를"
        " 보관하거나 팔거나 직접 쓸 수 있습니다."
    ),
    "certificates_chart": "발급된 인증서, {per}당 kWh",
    "certificates_desc": (
        "시간에 따른 누적 막대그래프. 발급 {issued}kWh 가운데 {retired}kWh는 같은 구간에 이웃"
        " 몫으로 사용되었고, {stored}kWh는 배터리에 들어갔으며, {free}kWh는 생산자에게 남았습니다."
    ),
    "certificates_producers": "생산자별 인증서, kWh",
    "certificates_none": "발급된 인증서가 없습니다.",
    "producer": "생산자",
    "issued": "발급",
    "retired": "이웃 몫으로 사용",
    "stored": "배터리에 저장",
    "free": "미사용",
    # Speed.
    "speed_head": "대금은 얼마나 빨리 들어오나",
    "speed_text": (
        "절반의 경우에는 {interval}이 끝나고 {p50} 안에, 100번 중 99번은 {p99} 안에 판 사람에게"
        " 대금이 지급되었습니다. 이 가운데 {grace}는 늦게 도착하는 계량기를 기다린 시간이고,"
        " 나머지는 서명 확인, 거래 체결, 정산, 체인 기록에 걸린 시간입니다."
    ),
    "speed_none": "마감된 {interval}이 없습니다.",
    "speed_honest": (
        "이 보고서를 만든 컴퓨터에서 아래에 적은 체인으로 잰 값입니다. 다른 체인을 쓰면 그 체인의"
        " 확정 시간이 더해집니다."
    ),
    "speed_chart": "전기를 보낸 뒤 대금을 받기까지(눈금 한 칸이 10배 이상)",
    "speed_desc": (
        "대금 지급까지 걸린 시간의 로그 눈금 그래프. 이 공동체는 {p50}~{p99}, 지금은 60~80일입니다."
    ),
    "speed_here": "이 공동체",
    "speed_today": "지금의 방식",
    "speed_days": "60~80일",
    "mark_second": "1초",
    "mark_minute": "1분",
    "mark_hour": "1시간",
    "mark_day": "1일",
    "mark_ten_days": "10일",
    "mark_hundred_days": "100일",
    "speed_table": "{interval}이 끝난 뒤 걸린 시간(초)",
    "speed_half": "절반의 경우",
    "speed_most": "100번 중 99번",
    "speed_worst": "가장 느린 경우",
    "speed_grace": "늦은 계량기를 기다린 시간",
    "speed_work": "처리 시간",
    "speed_paid": "지급까지",
    # Checking.
    "check_head": "직접 확인하기",
    "check_text": (
        "이 보고서도, 공동체 운영자도 무작정 믿을 필요가 없습니다. 공개된 파일만 있으면 누구나 모든"
        " 숫자를 다시 계산할 수 있습니다."
    ),
    "check_audit": (
        "공개된 기록으로 전체를 다시 계산해 한 줄씩 대조하고, 차이가 있으면 처음 나타난 곳을"
        " 알려 줍니다. DIR은 이 보고서가 들어 있는 폴더입니다."
    ),
    "check_verify": (
        "내 요금이나 인증서 한 장처럼 한 줄만 골라 체인에 기록된 값과 대조합니다. PROOF.json은"
        " 참여자가 받은 증명 파일입니다."
    ),
    "check_result": "검증 결과",
    "check_ok": "이상 없음",
    "check_records": "받아들인 계량 기록(서명 확인)",
    "check_rejected": "거부한 기록",
    "check_chain": "체인",
    "check_transactions": "트랜잭션",
    "check_gas": "체인에서 쓴 연산량(가스)",
    "check_root": "마지막 앵커(체인에 남긴 지문)",
    # The rest.
    "numbers_behind": "그래프의 숫자 보기",
    "time": "시각",
    "all": "전체",
    "no_data": "보여 줄 구간이 없습니다.",
    "no_members": "보여 줄 참여자가 없습니다.",
    "source_head": "자료 출처",
    # Kinds of participants.
    "kind_home": "주택",
    "kind_household": "가구",
    "kind_apartments": "공동주택",
    "kind_inn": "숙박 시설",
    "kind_restaurant": "식당",
    "kind_flat": "세대",
    "kind_building": "건물",
    "kind_business": "사업장",
    "kind_shop": "상점",
    "kind_office": "사무실",
    "kind_farm": "농장",
    "kind_school": "학교",
    "kind_plant": "발전소",
    "kind_consumer": "소비자",
    "kind_producer": "생산자",
    "kind_sun": "태양광",
    "kind_battery": "배터리",
    "kind_car": "전기차",
    "kind_heat_pump": "히트펌프",
}
