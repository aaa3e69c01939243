"""The address that a node listens on."""

import socket

import pytest

from commonwatt.web.listening import CannotListen, bound


def test_answers_are_sent_without_delay() -> None:
    # asyncio asks for the protocol before it turns off waiting for fuller packets (40 ms each).
    with bound("localhost", 0) as taken:
        assert taken
        assert {own.proto for own in taken} == {socket.IPPROTO_TCP}


def test_an_address_is_had_by_one_alone() -> None:
    with bound("127.0.0.1", 0) as [own]:
        own.listen()
        port = own.getsockname()[1]
        with pytest.raises(CannotListen, match="another program"), bound("127.0.0.1", port):
            pass
    with bound("127.0.0.1", port):
        pass
