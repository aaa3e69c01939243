"""One example of every document, for the description; a test holds each against its schema."""

from typing import Any

NOON = 1_466_510_400
_METER, _ROOF = "8f3c" * 10, "51aa" * 10
_ACCOUNT, _OTHER, _ISSUER = "5aaeb605" * 5, "fb691609" * 5, "d1220ab4" * 5
_DIGEST, _RECORD, _SIGNATURE = "c0ffee00" * 8, "01" * 100, "5e" * 64
_WALLET = "a5" * 64 + "1b"
_SECOND = {"start": NOON, "end": NOON + 900}

HEALTH: Any = {
    "status": "ok",
    "version": "1.0.0",
    "communities": [
        {
            "name": "linden-street", "now": NOON + 930, "open_interval": NOON, "waiting": 0,
            "chain": "ok", "silent": 2, "accepted": 8_120, "refused": 3, "book_entries": 512,
        }
    ],
}  # fmt: skip
PROBLEM_KIND: Any = {
    "type": "/v1/problems/too-many",
    "title": "Too many requests",
    "status": 429,
    "step": "Wait as long as Retry-After says.",
}
NONCE: Any = {
    "nonce": "00000000576931d8" + "9b" * 24,
    "expires_in": 600,
    "domain": "node.example.org",
    "uri": "https://node.example.org",
    "chain_ids": [31_337],
}
SIGN_IN: Any = {
    "message": (
        "node.example.org wants you to sign in with your Ethereum account:\n"
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n\n\n"
        "URI: https://node.example.org\nVersion: 1\nChain ID: 31337\n"
        "Nonce: 00000000576931d89b9b9b9b\n"
        "Issued At: 2016-06-21T12:00:00Z\nExpiration Time: 2016-06-21T12:05:00Z"
    ),
    "signature": "0x" + _WALLET,
}
_MEMBERSHIPS = [{"community": "linden-street", "members": [3], "roles": ["participant"]}]
SIGNED_IN: Any = {
    "token": "cw_told-once",
    "token_type": "Bearer",
    "expires_in": 28_800,
    "account": _ACCOUNT,
    "communities": _MEMBERSHIPS,
}
WHO_AM_I: Any = {
    "actor": f"0x{_ACCOUNT}",
    "account": _ACCOUNT,
    "expires_in": 28_123,
    "communities": _MEMBERSHIPS,
}
COMMUNITY_ITEM: Any = {
    "name": "linden-street", "members": 43, "meters": 61, "currency": "EUR", "interval_s": 900,
}  # fmt: skip
METER_OF: Any = {"meter": _METER, "member": 3, "role": "grid"}
COMMUNITY: Any = {
    "name": "linden-street", "ledger": "0123456789abcdef", "interval_s": 900, "grace_s": 60,
    "open_interval": NOON, "first_start": NOON - 86_400, "currency": "EUR", "decimals": 8,
    "rule": "uniform_price", "chain_id": 31_337, "registry": "11" * 20, "settlement": "22" * 20,
    "certificate": "33" * 20, "token": "44" * 20, "book": "55" * 20, "members": 43,
    "meters": [METER_OF],
}  # fmt: skip
CONSTITUTION: Any = {
    "format": "commonwatt-community-4", "chain_id": 31_337, "registry": "11" * 20,
    "settlement": "22" * 20, "certificate": "33" * 20, "token": "44" * 20, "exchange": "66" * 20,
    "book": "55" * 20, "currency": "EUR", "decimals": 8, "interval_s": 900, "grace_s": 60,
    "rule": "uniform_price", "first_start": NOON - 86_400, "storage_permille": 0,
    "supplier": "77" * 20, "grid_operator": "88" * 20, "accounts": [_ACCOUNT, _OTHER],
    "register": _DIGEST, "market": _DIGEST,
}  # fmt: skip
BATCH: Any = {"records": [{"record": _RECORD, "signature": _SIGNATURE}]}
RESULTS: Any = {
    "results": [
        {"record": _DIGEST, "meter": _METER, "sequence": 96, "verdict": "accepted", "reason": None},
        {
            "record": _DIGEST,
            "meter": _ROOF,
            "sequence": 41,
            "verdict": "refused",
            "reason": "SIGNATURE_WRONG",
        },
    ]
}
METER_DETAIL: Any = {
    "meter": _ROOF, "member": 3, "role": "generation", "public_key": "9c" * 64,
    "source": "T010100", "rated_w": 9_800, "in_service": "2016-06-01", "zone": "DE-LU",
    "direct": False, "opening": _RECORD, "opening_signature": _SIGNATURE,
}  # fmt: skip
_SUMS = {
    "imported_wh": 12_400, "exported_wh": 9_100, "local_wh": 7_250, "issued_wh": 9_100,
    "retired_wh": 7_250, "free_wh": 1_850,
}  # fmt: skip
PARTICIPANTS: Any = {
    "members": 2,
    "accounts": [_ACCOUNT, _OTHER],
    "sums": {"day": "2016-06-21", "intervals": 48, **_SUMS},
}
POSITION: Any = {
    **_SECOND, "silent": False, "gap": False, "imported_wh": 300, "exported_wh": 0, "own_wh": 0,
    "bought_local_wh": 300, "sold_local_wh": 0, "bought_supplier_wh": 0, "sold_supplier_wh": 0,
    "green_wh": 300, "local_cost": "0.03840000", "local_income": "0.00000000",
    "fee": "0.01032000", "supplier_cost": "0.00000000", "supplier_income": "0.00000000",
    "adjusted": "0.00000000", "bill": "0.04872000",
    "balance_before": "10.00000000", "balance_after": "9.95128000",
    "arrears_before": "0.00000000", "arrears_after": "0.00000000",
}  # fmt: skip
PARTICIPANT: Any = {
    "member": 3,
    "account": _ACCOUNT,
    "meters": [METER_DETAIL],
    "last": POSITION,
}
TRADE: Any = {
    **_SECOND, "side": "bought", "wh": 300, "price": "0.12800", "fee": "0.03440",
    "amount": "0.03840000", "rule": 1,
}  # fmt: skip
ADJUSTMENT: Any = {
    "start": NOON + 3_600, "meter": _METER, "of_start": NOON, "of_end": NOON + 900,
    "record": _DIGEST, "imported_wh": 120, "exported_wh": 0, "amount": "0.03840000",
    "issued_wh": 0,
}  # fmt: skip
PAYMENT: Any = {
    **_SECOND, "amount": "-0.04872000", "balance_after": "9.95128000",
    "arrears_after": "0.00000000", "transaction": _DIGEST,
}  # fmt: skip
PROOF: Any = {
    "start": NOON,
    "header": "01" * 488,
    "anchor": _DIGEST,
    "leaves": [
        {"section": "positions", "index": 3, "leaf": "00" * 163, "path": [_DIGEST], "record": ""}
    ],
    "format": "commonwatt-proof-1",
}
_PRICES = {
    "retail": "0.24000", "feed_in": "0.08000", "fee_local": "0.03440", "fee_supplier": "0.08000",
    "local_price": "0.12800",
}  # fmt: skip
LIMITS_WANTED: Any = {"bid": "0.21500", "ask": "0.09000"}
_LIMITS_SET = {"start": NOON, "set_by": f"0x{_ACCOUNT}", "set_at": NOON + 300}
LIMITS: Any = {"member": 3, **LIMITS_WANTED, "source": "set", **_LIMITS_SET}
LIMITS_OF_FILE: Any = {**LIMITS, "bid": "0.24000", "ask": "0.08000", "source": "file"}
LIMIT_CHANGE: Any = {"number": 7, "member": 3, **LIMITS_WANTED, **_LIMITS_SET}
INTERVAL: Any = {
    **_SECOND, "anchor": _DIGEST, "transaction": _DIGEST, **_PRICES, **_SUMS, "records": 61,
    "trades": 30, "certificates": 12, "header": "01" * 488,
}  # fmt: skip
PRICES: Any = {**_SECOND, **_PRICES}
EVENT: Any = (
    f'id: 1466510400001\nevent: interval\ndata: {{"time":{NOON + 960},"start":{NOON},'
    f'"duration":900,"anchor":"{_DIGEST}"}}\n\n'
)
STATEMENT_DAY: Any = {"day": "2016-06-21", "parts": ["inputs", "leaves", "certificates"]}
LINES: Any = '{"start":1466510400,"section":"records","index":0,"leaf":"00"}\n'
MARKET: Any = {"rule": "uniform_price"}
BUNDLE: Any = {
    "number": 17, "meter": _ROOF, **_SECOND, "first": 0, "unit_end": 1_850, "wh": 1_850,
    "holder": _ACCOUNT, "status": "active", "is_expired": False, "by": 96, "parent": None,
}  # fmt: skip
_MADE = {"meter": _ROOF, "zone": "DE-LU", **_SECOND}
RETIREMENT: Any = {
    "format": "commonwatt-retirement/1", "bundle": 18, "first": 0, "end": 300, "wh": 300,
    "holder": _ACCOUNT, "beneficiary": _OTHER, "purpose": "charging at noon", "produced": _MADE,
    "source": "T010100", "record": _DIGEST, "consumption": None,
    "issued": {"number": 96, "time": NOON + 960, "digest": _DIGEST},
    "retired": {"number": 97, "time": NOON + 2_000, "digest": _DIGEST},
}  # fmt: skip
SIGNED_ACTION: Any = {
    "actor": _ACCOUNT,
    "nonce": 0,
    "action": {"action": "transfer", "bundle": 17, "wh": 300, "to": _OTHER},
    "signature": _WALLET,
}
ACTION_DONE: Any = {"entries": 98, "bundles": [{**BUNDLE, "number": 18, "parent": 17}]}
BOOK: Any = {
    "identity": "de2ce067bac0bf8a", "issuer": _ISSUER, "lifetime_s": 63_072_000, "entries": 97,
    "head": _DIGEST,
}  # fmt: skip
BOOK_ACCOUNT: Any = {"account": _ACCOUNT, "next_action": 0}
_ENERGYTAG_ACT = {
    "source_id": _ACCOUNT,
    "user_id": _ACCOUNT,
    "granular_certificate_bundle_ids": [17],
    "certificate_quantity": 300,
}
ENERGYTAG_ACTS: dict[str, Any] = {
    "transfer": {**_ENERGYTAG_ACT, "target_id": _OTHER},
    "cancel": {**_ENERGYTAG_ACT, "beneficiary": _OTHER},
    "claim": {
        "source_id": _OTHER, "user_id": _ACCOUNT, "granular_certificate_bundle_ids": [18],
    },
    "reserve": {
        **_ENERGYTAG_ACT, "target_id": _OTHER, "reserved_until": "2016-06-28T12:00:00Z",
    },
    "withdraw": {**_ENERGYTAG_ACT, "user_id": _ISSUER, "reason": "the meter was wrong"},
}  # fmt: skip
ENERGYTAG_QUERY: Any = {"source_id": _ACCOUNT, "user_id": _ACCOUNT}
QUARANTINED: Any = {
    "number": 4, "start": NOON, "meter": _METER, "sequence": 96, "reason": "OVER_CAPACITY",
    "record": _RECORD, "signature": _SIGNATURE, "ruling": None, "decided_by": None,
    "readmitted": None,
}  # fmt: skip
DECISION_WANTED: Any = {"ruling": "rejected", "remark": "the meter's clock was wrong"}
DECISION: Any = {
    "number": 1, "refusal": 4, "ruling": "rejected", "by": f"0x{_ISSUER}", "at": NOON + 2_000,
    "remark": "the meter's clock was wrong",
}  # fmt: skip
DECISION_MADE: Any = {"decision": DECISION, "readmitted": None, "reason": None}
HOOK_WANTED: Any = {"url": "https://receiver.example.org/commonwatt", "kinds": ["interval"]}
HOOK: Any = {"number": 1, **HOOK_WANTED, "registered": NOON, "by": f"0x{_ISSUER}"}
HOOK_MADE: Any = {**HOOK, "secret": "whsec_told+once"}
