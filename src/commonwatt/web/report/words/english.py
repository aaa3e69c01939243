"""The words of the report in English. `{interval}` is the name of an interval, without article."""

ENGLISH = {
    "language": "English",
    "switch": "Language",
    # Time and length.
    "date": "{day} {month} {year}",
    "date_short": "{day} {month}",
    "months": (
        "January February March April May June July August September October November December"
    ),
    "months_short": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "quarter_hour": "quarter hour",
    "interval_minutes": "{n}-minute interval",
    "interval_seconds": "{n}-second interval",
    "per_quarter_hour": "quarter hour",
    "per_minutes": "{n} minutes",
    "per_seconds": "{n} seconds",
    "per_hour": "hour",
    "per_hours": "{n} hours",
    "per_day": "day",
    "per_days": "{n} days",
    "seconds": "{n} seconds",
    "seconds_short": "{n} s",
    "minutes": "{n} minutes",
    "minutes_short": "{n} min",
    # Masthead.
    "kicker": "Commonwatt, the open energy ledger",
    "members_one": "1 participant",
    "members_many": "{n} participants",
    "quarters_one": "1 quarter hour",
    "quarters_many": "{n} quarter hours",
    "closes_one": "1 interval of {per}",
    "closes_many": "{n} intervals of {per}",
    "clock": "times in UTC{offset}",
    "lede": (
        "When a roof makes more electricity than the people below it need, their neighbours buy"
        " what is left. The meters sign what they measure; at the end of every {interval} the sales"
        " are worked out and the sellers are paid. What neighbours cannot provide comes from the"
        " supplier, as it always has."
    ),
    # The few numbers that matter.
    "numbers": "The day in five numbers",
    "numbers_days": "The run in five numbers",
    "local_label": "of the electricity used here was made here",
    "local_note": "own roof\N{NO-BREAK SPACE}{sun}, own battery\N{NO-BREAK SPACE}{battery},"
    " neighbours\N{NO-BREAK SPACE}{neighbours}",
    "saving_label": "saved by all participants together",
    "loss_label": "more paid by all participants together",
    "saving_note": "{better} of {all} pay less, or are paid more, than without the community",
    "matched_label": "of the green certificates were used in the very {interval} they were made in",
    "matched_note": "{retired} of {given} kWh given to the street, no watt-hour counted twice",
    "speed_label": "from the end of a {interval} until the money is there",
    "speed_note": "today it takes 60 to 80 days",
    "audit_ok": "It adds up",
    "audit_bad": "Does not add up",
    "audit_label": "when everything was worked out again from the meters' signed records",
    "audit_note": "{records} records checked, {rejected} refused",
    "audit_banner": "The audit does not agree with this report. First difference:",
    # Energy.
    "energy_head": "Where the electricity came from",
    "energy_text": (
        "All the electricity the participants used, by where it came from. First comes a home's own"
        " roof and battery, then what the neighbours have left; the supplier provides the rest."
    ),
    "energy_peak": "Neighbours provided most at {time}, with {kwh} kWh in one {per}.",
    "energy_chart": "Electricity used, kWh per {per}",
    "energy_desc": (
        "Stacked bars over time. In total {total} kWh: own sun {own_sun}, own battery"
        " {own_battery}, neighbours {from_neighbours}, supplier {from_supplier} kWh."
    ),
    "own_sun": "Own sun",
    "own_battery": "Own battery",
    "from_neighbours": "Neighbours",
    "from_supplier": "Supplier",
    "surplus_chart": "Surplus, and where it went, kWh per {per}",
    "surplus_desc": (
        "Stacked bars over time. In total {total} kWh: into batteries {to_battery}, to neighbours"
        " {to_neighbours}, to the supplier {to_supplier} kWh."
    ),
    "to_battery": "Into batteries",
    "to_neighbours": "To neighbours",
    "to_supplier": "To the supplier",
    # Price.
    "price_head": "The price among neighbours",
    "price_text": (
        "The supplier sells a kilowatt-hour for {retail} {currency} and buys one for {feed_in}"
        " {currency}. Any price in between is better for both neighbours, the one who buys and the"
        " one who sells."
    ),
    "price_fees": (
        "The grid operator is paid too: {fee_local} {currency} per kWh from a neighbour,"
        " {fee_supplier} {currency} per kWh from the supplier."
    ),
    "price_rule": "How the price is found: {rule}.",
    "price_one": "Neighbours paid {price} {currency} per kWh all the time.",
    "price_range": "Neighbours paid between {low} and {high} {currency} per kWh.",
    "price_none": "There was no trade among neighbours.",
    "price_gap": "Where the line breaks off, nobody traded.",
    "price_average": "The line is the average, weighted by energy; the table has the range.",
    "price_chart": "Price among neighbours, {currency} per kWh, without grid fee",
    "price_desc": (
        "Line of steps over time, between the price the supplier pays, {feed_in}, and the price the"
        " supplier asks, {retail} {currency} per kWh."
    ),
    "level_retail": "The supplier asks {price}",
    "level_feed_in": "The supplier pays {price}",
    "price_local": "Among neighbours",
    "price_low": "Lowest",
    "price_high": "Highest",
    # Bills.
    "bills_head": "What each participant pays",
    "bills_text": (
        "For each participant, the bill with the community and what the same meters would have"
        " cost with the supplier alone, grid fees included. A minus is money the participant"
        " receives."
    ),
    "bills_all_better": "Everybody is better off with the community.",
    "bills_counts": "Better off: {better}. Unchanged: {same}. Worse off: {worse}.",
    "bills_exact": (
        "Amounts in {currency}, exact to the last digit ({places} decimals); nothing was rounded."
    ),
    "bills_table": "Bills of all participants, {currency}",
    "participant": "Participant",
    "without": "Without the community",
    "with": "With the community",
    "saving": "Saving",
    "debt": "Unpaid",
    "total": "Total",
    "members_energy": "The energy behind the bills, kWh",
    "used": "Used",
    "generated": "Generated",
    "bought": "Bought from",
    "sold": "Sold to",
    "neighbours": "Neighbours",
    "supplier": "Supplier",
    "green": "Green",
    "green_note": (
        "Green: the part of what was used that the participant's own plant or a certificate of the"
        " same {interval} covers."
    ),
    # Certificates.
    "certificates_head": "Green certificates",
    "certificates_text": (
        "Each watt-hour of sun that leaves a home has one certificate, issued once. When a"
        " neighbour buys it, the certificate is used up for that neighbour at once and can never"
        " be used again. What goes into a home's battery is issued, too, and used up there; what"
        " the battery gives the street later has new ones, less what was lost. The rest stays free:"
        " its producer may keep it, sell it or use it."
    ),
    "certificates_chart": "Certificates issued, kWh per {per}",
    "certificates_desc": (
        "Stacked bars over time. {issued} kWh issued, of which {retired} used for neighbours in the"
        " same interval, {stored} put into batteries and {free} left to their producers."
    ),
    "certificates_producers": "Certificates by producer, kWh",
    "certificates_none": "No certificate was issued.",
    "producer": "Producer",
    "issued": "Issued",
    "retired": "Used for neighbours",
    "stored": "Put into batteries",
    "free": "Free",
    # Speed.
    "speed_head": "How soon the money is there",
    "speed_text": (
        "In half of all cases the sellers were paid within {p50} after the end of the {interval},"
        " in 99 of 100 within {p99}. Of this, {grace} are spent waiting for late meters; the rest"
        " is work: checking signatures, matching, settling, writing to the chain."
    ),
    "speed_none": "No {interval} was closed.",
    "speed_honest": (
        "Measured on the machine that made this report, with the chain named below. Another chain"
        " adds its own time to confirm."
    ),
    "speed_chart": "From delivery to payment, each mark ten times or more the last",
    "speed_desc": (
        "Time until payment on a logarithmic scale: {p50} to {p99} here, 60 to 80 days today."
    ),
    "speed_here": "Here",
    "speed_today": "Today",
    "speed_days": "60 to 80 days",
    "mark_second": "1 s",
    "mark_minute": "1 min",
    "mark_hour": "1 h",
    "mark_day": "1 day",
    "mark_ten_days": "10 days",
    "mark_hundred_days": "100 days",
    "speed_table": "Seconds from the end of the {interval}",
    "speed_half": "Half of all cases, at most",
    "speed_most": "99 of 100, at most",
    "speed_worst": "Slowest",
    "speed_grace": "Waiting for late meters",
    "speed_work": "Work",
    "speed_paid": "Until paid",
    # Checking.
    "check_head": "Check it yourself",
    "check_text": (
        "You need not believe this page, nor whoever runs the community. With the files of the run"
        " anybody can work out every number again."
    ),
    "check_audit": (
        "Work out the whole run again from the published records, compare each line, and name the"
        " first difference if there is one. DIR is the folder of this report."
    ),
    "check_verify": (
        "Check one line, such as your own bill or one certificate, against what stands on the"
        " chain. PROOF.json is the proof you were given."
    ),
    "check_result": "Result of the audit",
    "check_ok": "no difference",
    "check_records": "Signed meter records accepted",
    "check_rejected": "Records refused",
    "check_chain": "Chain",
    "check_transactions": "Transactions",
    "check_gas": "Computing work on the chain (gas)",
    "check_root": "Last anchor (the fingerprint on the chain)",
    # The rest.
    "numbers_behind": "The numbers behind this chart",
    "time": "Time",
    "all": "All",
    "no_data": "There is no interval to show.",
    "no_members": "There is no participant to show.",
    "source_head": "Data",
    # Kinds of participants.
    "kind_home": "home",
    "kind_household": "household",
    "kind_apartments": "apartments",
    "kind_inn": "inn",
    "kind_restaurant": "restaurant",
    "kind_flat": "flat",
    "kind_building": "building",
    "kind_business": "business",
    "kind_shop": "shop",
    "kind_office": "office",
    "kind_farm": "farm",
    "kind_school": "school",
    "kind_plant": "power plant",
    "kind_consumer": "consumer",
    "kind_producer": "producer",
    "kind_sun": "sun",
    "kind_battery": "battery",
    "kind_car": "electric car",
    "kind_heat_pump": "heat pump",
}
