"""Signing in with an account: one message, one nonce, one token, and none of them twice."""

import logging
from collections.abc import Iterator
from hashlib import sha256

import pytest
from eth_account import Account as WalletAccount
from eth_account.messages import encode_defunct

from certificates import FORGER, ISSUER, NEIGHBOUR, PRODUCER
from commonwatt.web.api.sessions import NONCE_S, TOKEN_S, TOKENS_PER_ACCOUNT_MAX
from commonwatt.web.api.settings import StaticToken
from web.api.parts import (
    HERE,
    MEMBER_TOKEN,
    NAME,
    NEIGHBOURS,
    OPERATOR,
    PRODUCERS,
    TOKENS,
    People,
    Station,
    address,
    moment,
    settings,
)


@pytest.fixture
def people(lived: Station) -> Iterator[People]:
    """Nobody is signed in yet; the node is the same for all tests here."""
    people = People(lived)
    yield people
    people.close()


def test_a_member_signs_in_sees_its_own_and_signs_out(people: People) -> None:
    answer = people.sign_in(PRODUCER)
    assert answer.status_code == 201
    told = answer.json()
    assert told["token_type"] == "Bearer"
    assert told["expires_in"] == TOKEN_S
    assert told["communities"] == [
        {"community": NAME, "members": [PRODUCERS], "roles": ["participant"]}
    ]
    assert answer.headers["cache-control"] == "no-store"
    token = told["token"]
    assert people.get(f"{HERE}/participants/{PRODUCERS}", token).status_code == 200
    assert people.get("/v1/session", token).json()["account"] == address(PRODUCER)
    assert people.ask("DELETE", "/v1/session", token).status_code == 204
    assert people.get(f"{HERE}/participants/{PRODUCERS}", token).status_code == 401


def test_what_a_wallet_signs_is_understood(people: People) -> None:
    text = people.message(PRODUCER)
    signed = WalletAccount.sign_message(encode_defunct(text=text), PRODUCER.key)
    answer = people.post(
        "/v1/session", json={"message": text, "signature": signed.signature.to_0x_hex()}
    )
    assert answer.status_code == 201


def test_a_message_without_a_statement_and_with_resources_is_understood(people: People) -> None:
    text = people.message(
        PRODUCER, statement="\n\n", rest="\nRequest ID: 7\nResources:\n- https://a.example/b"
    )
    assert people.sign_in(PRODUCER, text).status_code == 201


def test_a_message_that_was_used_is_good_for_nothing_more(people: People) -> None:
    text = people.message(PRODUCER)
    assert people.sign_in(PRODUCER, text).status_code == 201
    again = people.sign_in(PRODUCER, text)
    assert (again.status_code, again.json()["type"]) == (401, "/v1/problems/sign-in-refused")
    assert "used before" in again.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"domain": "node.example.com"}, "it is for"),
        ({"uri": "https://evil.example/login"}, "URI"),
        ({"uri": "https://node.example.org:444/"}, "URI"),
        ({"uri": "https://[node/"}, "URI"),
        ({"chain_id": 1}, "chain id 1"),
        ({"chain_id": "031337x"}, "EIP-4361"),
        ({"version": "2"}, "EIP-4361"),
        ({"address": PRODUCER.address.lower()}, "EIP-55"),
        ({"expires": moment(1_750_100_000)}, "at most 600 s"),
        ({"expires": moment(1_749_000_000)}, "at most 600 s"),
        ({"issued": moment(1_750_000_500), "expires": moment(1_750_000_600)}, "yet to come"),
        ({"issued": moment(1_749_999_000), "expires": moment(1_749_999_500)}, "expired"),
        ({"issued": "yesterday"}, "not a time"),
        ({"issued": "2025-06-15T15:06:40"}, "not a time"),
        ({"rest": f"\nNot Before: {moment(1_750_009_000)}"}, "not good before"),
        ({"rest": "\nand more"}, "EIP-4361"),
        ({"rest": "\n"}, "EIP-4361"),
        ({"statement": "\nOne line.\nAnother.\n\n"}, "EIP-4361"),
        ({"nonce": "00" * 32}, "not given out"),
        ({"nonce": "abcdefgh"}, "not given out"),
        ({"statement": "\n" + "long " * 500 + "\n\n"}, "2048"),
    ],
)
def test_a_message_that_is_not_for_us_or_not_for_now_lets_nobody_in(
    people: People, changes: dict[str, object], why: str
) -> None:
    text = people.message(PRODUCER, **changes)
    answer = people.sign_in(PRODUCER, text)
    assert answer.status_code in {401, 422}
    assert why in answer.json()["detail"]


def test_a_message_without_an_end_is_refused(people: People) -> None:
    text = people.message(PRODUCER).partition("\nExpiration Time")[0]
    assert people.sign_in(PRODUCER, text).status_code == 401


def test_anothers_signature_and_a_changed_message_let_nobody_in(people: People) -> None:
    assert people.sign_in(PRODUCER, signer=FORGER).status_code == 401
    text = people.message(PRODUCER)
    signature = PRODUCER.sign_text(text.encode()).hex()
    changed = text.replace("Linden", "London")
    answer = people.post("/v1/session", json={"message": changed, "signature": signature})
    assert answer.status_code == 401


@pytest.mark.parametrize("signature", ["", "0x", "00" * 65, "zz" * 65, "11" * 64, "0x" + "ff" * 65])
def test_a_signature_that_is_none_is_refused(people: People, signature: str) -> None:
    answer = people.post(
        "/v1/session", json={"message": people.message(PRODUCER), "signature": signature}
    )
    assert answer.status_code == 401


def test_a_stranger_with_a_valid_signature_gets_no_token(people: People) -> None:
    answer = people.sign_in(FORGER)
    assert (answer.status_code, answer.json()["type"]) == (403, "/v1/problems/not-allowed")


def test_a_nonce_ends(people: People) -> None:
    nonce = people.get("/v1/session/nonce").json()["nonce"]
    people.clock.now += NONCE_S
    answer = people.sign_in(PRODUCER, people.message(PRODUCER, nonce=nonce))
    assert answer.status_code == 401


def test_asking_for_nonces_fills_no_memory(people: People) -> None:
    nonces = {people.api.sessions.nonce() for _ in range(2_000)}
    assert len(nonces) == 2_000
    assert not people.api.sessions._used
    assert not people.api.sessions._open


def test_a_nonce_of_another_process_or_a_changed_one_is_refused(
    people: People, lived: Station
) -> None:
    other = People(lived)
    foreign = other.api.sessions.nonce()
    other.close()
    own = people.api.sessions.nonce()
    late = (int(own[:16], 16) + 1_000).to_bytes(8).hex() + own[16:]
    for nonce in (foreign, late, own.upper()):
        answer = people.sign_in(PRODUCER, people.message(PRODUCER, nonce=nonce))
        assert answer.status_code == 401


def test_a_token_ends(people: People) -> None:
    token = people.token_of(PRODUCER)
    people.clock.now += TOKEN_S
    answer = people.get(f"{HERE}/participants/{PRODUCERS}", token)
    assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")


def test_anothers_token_opens_only_what_is_the_others(people: People) -> None:
    token = people.token_of(NEIGHBOUR)
    assert people.get(f"{HERE}/participants/{PRODUCERS}", token).status_code == 403
    assert people.get(f"{HERE}/participants/{NEIGHBOURS}", token).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer cw_nobody",
        "bearer " + "x" * 500,
        "Bearer \xff\xfe",
    ],
)
def test_a_token_that_is_none_is_refused_also_where_none_is_needed(
    people: People, header: str
) -> None:
    answer = people.get("/v1/health", headers={"authorization": header.encode("latin-1")})
    assert answer.status_code == 401


def test_only_so_many_tokens_of_an_account_are_good(people: People) -> None:
    tokens = [people.token_of(PRODUCER) for _ in range(TOKENS_PER_ACCOUNT_MAX + 2)]
    good = [people.get("/v1/session", token).status_code == 200 for token in tokens]
    assert good == [False, False] + [True] * TOKENS_PER_ACCOUNT_MAX
    other = people.token_of(NEIGHBOUR)
    assert people.get("/v1/session", other).status_code == 200


def test_tokens_are_kept_as_digests_only(people: People) -> None:
    token = people.token_of(PRODUCER)
    sessions = people.api.sessions
    assert set(sessions._open) == {sha256(token.encode()).digest()}
    assert token not in repr(vars(sessions))
    assert token not in repr(sessions.who(token))


def test_tokens_of_the_settings_do_not_run_out_and_cannot_be_given_up(people: People) -> None:
    people.clock.now += 10 * TOKEN_S
    told = people.get("/v1/session", MEMBER_TOKEN).json()
    assert told["actor"] == "token:neighbour"
    assert told["expires_in"] is None
    assert told["communities"][0]["members"] == [NEIGHBOURS]
    assert people.ask("DELETE", "/v1/session", MEMBER_TOKEN).status_code == 403
    assert people.get(f"{HERE}/participants/{NEIGHBOURS}", MEMBER_TOKEN).status_code == 200
    assert people.get(f"{HERE}/participants/{PRODUCERS}", MEMBER_TOKEN).status_code == 403


def test_a_token_of_one_community_is_nobody_in_another(lived: Station) -> None:
    foreign = sha256(b"cw_foreign").hexdigest()
    tokens = (
        StaticToken("foreign", foreign, "operator", community="elm-street"),
        StaticToken("guest", sha256(b"cw_guest").hexdigest(), "participant", "elm-street", 0),
        StaticToken("missing", sha256(b"cw_missing").hexdigest(), "participant", NAME, 99),
    )
    people = People(lived, settings(tokens=tokens))
    for token in ("cw_foreign", "cw_guest", "cw_missing"):
        assert people.get(f"{HERE}/webhooks", token).status_code == 403
        assert people.get(f"{HERE}/participants/0", token).status_code == 403
        assert people.get(f"{HERE}/intervals", token).status_code == 200
    people.close()


def test_the_books_issuer_and_the_settings_accounts_have_their_roles(people: People) -> None:
    told = people.sign_in(ISSUER).json()
    assert told["communities"] == [{"community": NAME, "members": [], "roles": ["issuer"]}]
    told = people.sign_in(OPERATOR).json()
    assert told["communities"] == [{"community": NAME, "members": [], "roles": ["operator"]}]


def test_attempts_to_sign_in_are_few(lived: Station) -> None:
    people = People(lived, settings(rates=settings().rates.__class__()))
    text = people.message(PRODUCER)
    codes = set()
    for _ in range(60):
        answer = people.post("/v1/session", json={"message": text, "signature": "00" * 65})
        codes.add(answer.status_code)
        people.clock.now -= 2  # `ask` lets time pass; here it stands still
    assert codes == {401, 429}
    assert int(answer.headers["retry-after"]) >= 1
    people.close()


def test_no_secret_is_logged(people: People, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text = people.message(PRODUCER)
    answer = people.sign_in(PRODUCER, text)
    token = answer.json()["token"]
    people.get(f"{HERE}/participants/0", token)
    people.get(f"{HERE}/participants/1", token)
    people.get(f"{HERE}/webhooks", TOKENS["operator"])
    people.get(f"{HERE}/webhooks", token + "x")
    hook = people.post(
        f"{HERE}/webhooks", TOKENS["operator"], json={"url": "https://receiver.example/"}
    ).json()
    nonce = text.partition("Nonce: ")[2].partition("\n")[0]
    signature = PRODUCER.sign_text(text.encode()).hex()
    for secret in (token, TOKENS["operator"], hook["secret"], nonce, signature):
        assert secret not in caplog.text
