"""What must not be shown: keys, passwords, tokens, salts, and addresses that hold them."""

import re
from collections.abc import Iterable
from threading import Lock
from urllib.parse import parse_qs, unquote, urlsplit

HIDDEN = "***"
SECRET_CHARACTERS_MIN = 8
"""A shorter text is not hidden wherever it stands: it would hide half the words."""

PROVIDERS_KEY_MIN = 16
"""A part of an address's path that is this long may be a key; `v3` and `rpc` are none."""

_URL = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*)://[^\s\"'<>]+")
_QUOTED = r"b?\"(?:[^\"\\]|\\.)*\"|b?'(?:[^'\\]|\\.)*'"
_NAMED = re.compile(
    r"(?i)\b(password|passwd|pwd|secret|token|api[-_]?key|private[-_]?key|authorization|salt"
    rf"|salt[-_]?key)\b([\"']?\s*[:=]\s*)({_QUOTED}|[^\s,;&)]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_SECRET_NAME = re.compile(
    r"(?i)(^|[_-])(password|passwd|pwd|secret|token|api_?key|private_?key|key|salt|authorization"
    r"|cookie)s?($|[_-])"
)


class Redaction:
    """Secrets that are known by their very characters, and others by the look of them."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: tuple[str, ...] = ()
        self._lock = Lock()

    def hide(self, secrets: Iterable[str | bytes | None]) -> None:
        """Never show these again; of bytes, their hex digits and their representation."""
        told: set[str] = set()
        for secret in secrets:
            if isinstance(secret, bytes):
                told |= {secret.hex(), repr(secret)[2:-1]}
            elif secret is not None:
                told.add(secret)
        with self._lock:
            told |= set(self._known)
            long = (text for text in told if len(text) >= SECRET_CHARACTERS_MIN)
            self._known = tuple(sorted(long, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text without what must not be shown."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        text = _URL.sub(lambda found: _shown(found[0]), text)
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        return _NAMED.sub(rf"\1\2{HIDDEN}", text)


REDACTION = Redaction()
"""This process's: whoever reads a secret tells it, and logs and messages ask it."""


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret, whatever it is.

    >>> [is_secret_name(name) for name in ("password", "salt_key", "anchor", "keys_total")]
    [True, True, False, True]
    """
    return _SECRET_NAME.search(name) is not None


def shown_url(url: str) -> str:
    """An address without user, password, path and query: providers put their keys into those.

    >>> shown_url("https://me:secret@rpc.example:8545/v3/0123456789abcdef?token=1")
    'https://rpc.example:8545/***'
    >>> shown_url("http://127.0.0.1:8545")
    'http://127.0.0.1:8545'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"{url.partition('://')[0]}://{HIDDEN}"
    host = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    has_more = parts.path.strip("/") or parts.query or parts.fragment
    return f"{shown}/{HIDDEN}" if has_more else shown


def _shown(found: str) -> str:
    """An address in a sentence, whose punctuation is not part of it."""
    url = found.rstrip(".,:;)]}")
    return shown_url(url) + found[len(url) :]


def secrets_in(url: str | None) -> list[str]:
    """What of an address is secret: its password, and what could be a provider's key.

    >>> secrets_in("https://me:se%20cret@rpc.example/v3/0123456789abcdef?token=fedcba")
    ['se%20cret', 'se cret', '0123456789abcdef', 'fedcba']
    >>> secrets_in("postgresql://commonwatt@localhost/commonwatt")
    []
    """
    if url is None:
        return []
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return [url]
    found = [] if password is None else [password, unquote(password)]
    if parts.scheme in {"http", "https"}:
        found += [part for part in parts.path.split("/") if len(part) >= PROVIDERS_KEY_MIN]
        found += [value for values in parse_qs(parts.query).values() for value in values]
    else:
        found += parse_qs(parts.query).get("password", [])
    return list(dict.fromkeys(found))
