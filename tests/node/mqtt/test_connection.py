"""The connection to a broker: it comes back by itself whatever happens, and ends at once."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.mqtt.connection import CHUNK, BrokerConnection, Outgoing, Session
from mosquitto import Broker
from node.mqtt.parts import RETRY_S_MAX, Client, address_of, broker_with, until


def connection_to(address: BrokerAddress, *filters: str, **more: object) -> BrokerConnection:
    session = Session("commonwatt-test", filters=filters)
    connection = BrokerConnection(address, session, retry_s_max=RETRY_S_MAX, **more)  # type: ignore[arg-type]
    connection.start()
    return connection


@contextmanager
def server(answer: Callable[[socket.socket], object]) -> Iterator[tuple[BrokerAddress, list[int]]]:
    """Somebody who is no broker; counts who came."""
    listening = socket.create_server(("127.0.0.1", 0))
    came: list[int] = []
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                one, _ = listening.accept()
            except OSError:
                return
            came.append(1)
            held.append(one)
            with suppress(OSError):  # who came may be gone again
                answer(one)

    Thread(target=serve, daemon=True).start()
    try:
        yield BrokerAddress("127.0.0.1", listening.getsockname()[1], tls=False), came
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for one in held:
            one.close()


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x03\x00\x00\x00" + bytes(5),  # all is well, and then packets of no kind
        b"\x20\x80\x80\x80\x80\x80\x80",  # a length without an end
        b"\x20\x05\x00\x00\x02\xff\xff",  # properties nobody knows
        b"\x20\x00",
    ],
    ids=["another protocol", "nothing", "endless", "unknown", "empty"],
)
def test_whoever_answers_nonsense_is_tried_again(junk: bytes) -> None:
    with server(lambda one: one.sendall(junk) or one.shutdown(socket.SHUT_RDWR)) as (at, came):
        connection = connection_to(at)
        until(lambda: len(came) >= 3)
        assert not connection.is_up
        assert connection.trouble
        connection.stop()


def test_it_ends_at_once_while_somebody_lets_it_wait() -> None:
    with server(lambda _: None) as (address, came):
        connection = connection_to(address)
        until(lambda: came)
        time.sleep(0.1)
        began = time.monotonic()
        connection.stop()
        assert time.monotonic() - began < 2.5
        connection.stop()


def test_a_name_nobody_can_look_up_is_told_and_tried_again() -> None:
    connection = connection_to(BrokerAddress("no..host", 1883, tls=False))
    until(lambda: connection.trouble != "not connected yet")
    assert not connection.publish(Outgoing("a", b""))
    assert not connection.publish_all([Outgoing("a", b"")])
    connection.stop()


def test_many_messages_are_acknowledged_before_it_says_so(broker: Broker) -> None:
    listener = Client(broker, "many/+")
    connection = connection_to(address_of(broker))
    until(lambda: connection.is_up)
    messages = [Outgoing(f"many/{index}", b"x") for index in range(2 * CHUNK + 7)]
    assert connection.publish_all(messages)
    until(lambda: len(listener.topics()) == len(messages))
    connection.stop()
    listener.stop()


def test_it_heeds_how_many_messages_a_broker_takes_at_once(tmp_path: Path) -> None:
    with broker_with(tmp_path / "broker", "max_inflight_messages 3") as broker:
        connection = connection_to(address_of(broker))
        until(lambda: connection.is_up)
        assert connection._in_flight == 3
        assert connection.publish_all([Outgoing(f"many/{i}", b"x") for i in range(300)])
        assert connection.is_up
        connection.stop()


def test_what_is_not_acknowledged_is_given_again_and_what_is_is_not(broker: Broker) -> None:
    came: list[tuple[str, bool]] = []

    def first_life(message) -> None:
        came.append((message.topic, False))
        if message.topic.endswith("/kept"):
            message.acknowledge()

    session = Session("commonwatt-again", filters=("again/+",), kept_s=60)
    connection = BrokerConnection(
        address_of(broker), session, on_message=first_life, retry_s_max=RETRY_S_MAX
    )
    connection.start()
    speaker = Client(broker)
    until(lambda: connection.is_up)
    time.sleep(0.05)  # the subscription is on its way
    speaker.publish("again/kept", b"1")
    speaker.publish("again/lost", b"2")
    until(lambda: len(came) == 2)
    connection.stop()
    second: list[str] = []
    later = BrokerConnection(
        address_of(broker), session,
        on_message=lambda m: (second.append(m.topic), m.acknowledge()),
        retry_s_max=RETRY_S_MAX,
    )  # fmt: skip
    later.start()
    speaker.publish("again/new", b"3")
    until(lambda: len(second) >= 2)
    assert second == ["again/lost", "again/new"]
    later.stop()
    speaker.stop()


def certificate(folder: Path) -> None:
    """A broker's certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


# The library lets go of the socket of a failed handshake without closing it.
@pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_over_tls_only_a_broker_that_is_vouched_for_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broker"
    certificate(folder)
    settings = (f"certfile {folder}/cert.pem", f"keyfile {folder}/key.pem")
    with broker_with(folder, *settings) as broker:
        address = BrokerAddress("127.0.0.1", broker.port, tls=True)
        stranger = connection_to(address)
        until(lambda: "CERTIFICATE_VERIFY_FAILED" in stranger.trouble)
        stranger.stop()
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
        assert ssl.get_default_verify_paths().cafile == str(folder / "cert.pem")
        connection = connection_to(address)
        until(lambda: connection.is_up)
        assert connection.publish_all([Outgoing("safe", b"x")])
        connection.stop()


def test_a_password_is_in_no_log(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    address = BrokerAddress("127.0.0.1", broker.port, tls=False, user="node", password="s3cret!")
    connection = connection_to(address)
    until(lambda: connection.is_up)
    connection.stop()
    nowhere = connection_to(BrokerAddress("127.0.0.1", 1, tls=True, user="n", password="s3cret!"))
    until(lambda: "refused" in nowhere.trouble)
    nowhere.stop()
    said = capsys.readouterr()
    assert "broker_connected" in said.out
    assert "s3cret" not in said.out + said.err + repr(connection.address)
