"""A database is named by its URL, and what it lacks is said before it is opened."""

import sys

import pytest

from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store.transactions import Transactions


def test_where_the_servers_driver_is_missing_what_to_install_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "commonwatt.node.store.postgresql", raising=False)
    with pytest.raises(DatabaseUnusable) as refusal:
        Transactions("postgresql+psycopg://somebody:secret@127.0.0.1/nowhere")
    assert "pip install 'commonwatt[postgresql]'" in str(refusal.value)
    assert "secret" not in str(refusal.value)
