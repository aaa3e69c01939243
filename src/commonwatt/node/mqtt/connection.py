"""A standing connection to a broker, MQTT 5, from a thread of its own that always comes back.

Unlike `client`, messages are acknowledged to the broker by whoever took them, when they are safe,
and not before; and the broker keeps the session while the node is away. Each connection is a
client of its own underneath: what belonged to one that broke can never be taken for the next one's.
"""

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event as Signal
from threading import Lock, Thread
from time import monotonic

import structlog
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from commonwatt.node.gateway.backoff import Backoff
from commonwatt.node.mqtt.client import KEEPALIVE_S, BrokerAddress

AT_LEAST_ONCE = 1
CONNECT_S = 5.0
"""A broker that does not take the connection within this time is away."""
RETRY_S_MAX = 30.0
"""The longest wait before a broker that is away is tried again."""
UNSENT_MAX = 10_000
"""Messages to the broker that wait in memory; more are not sent."""
IN_FLIGHT_MAX = 20
"""Messages to the broker without an acknowledgement; fewer where it says so."""
ACKNOWLEDGED_S = 10.0
"""A broker that has not acknowledged a message within this time does not get it."""
FAREWELL_S = 2.0
"""Whoever hangs up waits so long for what the broker has not acknowledged yet."""
CHUNK = 200
"""Of many messages so many are handed over before the broker must have acknowledged them."""
STEADY_S = 20.0
"""A connection that broke sooner counts as one more failure: perhaps two nodes have one name."""
_LOOK_S, _POLL_S = 0.2, 0.005
_TAKEN_OVER = 0x8E
_REFUSED = 0x80

_log = structlog.get_logger("commonwatt.mqtt")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to the broker, QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


class Incoming:
    """A message from the broker, until it is acknowledged."""

    __slots__ = ("_client", "_mid", "is_too_large", "payload", "qos", "topic")

    def __init__(self, client: Client, message: MQTTMessage) -> None:
        """Take the message over from the library; raises UnicodeDecodeError for no topic."""
        self.topic, self.payload, self.qos = message.topic, bytes(message.payload), message.qos
        self._client, self._mid = client, message.mid
        self.is_too_large = False
        """Whether the payload was put away unread."""

    def acknowledge(self) -> None:
        """Tell the broker that it may forget the message, where it is still connected."""
        self._client.ack(self._mid, self.qos)


@dataclass(frozen=True, slots=True)
class Session:
    """What a connection is for."""

    identifier: str
    """The client's name at the broker: whoever connects under the same takes over."""
    filters: tuple[str, ...] = ()
    """Topics to listen to, QoS 1; retained messages are not asked for."""
    kept_s: int = 0
    """So long the broker keeps subscriptions and messages while nobody is connected."""
    unacknowledged_max: int = 500
    """So many messages the broker hands over before the first is acknowledged."""
    packet_bytes_max: int = 262_144
    will: Outgoing | None = None
    """What the broker says when the connection breaks."""


class _Unacknowledged:
    """What is to be done once the broker has acknowledged a message; one for each connection."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._then: dict[int, Callable[[], None]] = {}
        self._early: set[int] = set()
        """Acknowledged before their sender could say what is to be done then."""

    def add(self, mid: int, then: Callable[[], None]) -> None:
        """Once the message is acknowledged, or now if it is."""
        with self._lock:
            is_done = mid in self._early
            self._early.discard(mid)
            if not is_done:
                self._then[mid] = then
        if is_done:
            then()

    @property
    def count(self) -> int:
        """Messages whose acknowledgement is not there yet."""
        return len(self._then)

    def done(self, mid: int) -> None:
        """The broker has acknowledged a message."""
        with self._lock:
            then = self._then.pop(mid, None)
            if then is None:
                self._early.add(mid)
        if then is not None:
            then()


class BrokerConnection:
    """Connects, listens, and connects again, until it is stopped."""

    def __init__(
        self,
        address: BrokerAddress,
        session: Session,
        *,
        on_up: Callable[[], None] = lambda: None,
        on_message: Callable[[Incoming], None] = lambda _: None,
        retry_s_max: float = RETRY_S_MAX,
    ) -> None:
        """Nothing starts yet.

        Args:
            address: the broker's.
            session: under which name, listening to what.
            on_up: called in the connection's thread once the broker has answered.
            on_message: called in the connection's thread for every message; must not block.
            retry_s_max: the longest wait in seconds before the broker is tried again.
        """
        self.address, self.session = address, session
        self._on_up, self._on_message = on_up, on_message
        self._backoff = Backoff(retry_s_max, first_s=min(0.5, retry_s_max))
        self._retry_s_max = retry_s_max
        self._stopping, self._lock = Signal(), Lock()
        self._in_flight = IN_FLIGHT_MAX
        self._up_at: float | None = None
        self._client: Client | None = None
        """The one that is connected."""
        self._trying: Client | None = None
        self._thread = Thread(target=self._run, name=f"mqtt {session.identifier}", daemon=True)
        self.trouble = "not connected yet"
        """Why there is no connection, or why it is of no use; empty while all is well."""

    def start(self) -> None:
        """Connect as soon as the broker is there, and stay connected."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up; the broker keeps the session as long as it was asked to. May be called twice."""
        connected, deadline = self._client, monotonic() + FAREWELL_S
        while connected is not None and self._client is connected and monotonic() < deadline:
            # What is answered and not acknowledged yet would be given again to the next that comes.
            if not connected.user_data_get().count:
                break
            self._stopping.wait(_POLL_S)
        with self._lock:
            self._stopping.set()
            client = self._trying
        while self._thread.is_alive():
            # Again and again: while it is still connecting it does not hear.
            if client is not None:
                client.disconnect()
            self._thread.join(_LOOK_S)

    @property
    def is_up(self) -> bool:
        """Whether the broker has answered and is still there."""
        return self._client is not None

    def publish(self, message: Outgoing, then: Callable[[], None] = lambda: None) -> bool:
        """Hand a message over, QoS 1; False where there is no connection or too many wait.

        Args:
            message: what to publish.
            then: called from some thread once the broker has acknowledged it; never, if the
                connection breaks before.
        """
        client = self._client
        return client is not None and _published(client, message, then).rc == 0

    def publish_all(self, messages: Iterable[Outgoing]) -> bool:
        """Publish many messages; True once the broker has acknowledged all of them.

        Not to be called from the connection's own thread.
        """
        client = self._client
        if client is None:
            return False
        open_ones: list[MQTTMessageInfo] = []
        for message in messages:
            open_ones.append(_published(client, message))
            if len(open_ones) == CHUNK:
                if not self._all_acknowledged(client, open_ones):
                    return False
                open_ones.clear()
        return self._all_acknowledged(client, open_ones)

    def _all_acknowledged(self, client: Client, infos: Iterable[MQTTMessageInfo]) -> bool:
        for info in infos:
            if info.rc != 0:
                return False
            deadline = monotonic() + ACKNOWLEDGED_S
            while not info.is_published():
                if self._client is not client or monotonic() > deadline:
                    return False
                info.wait_for_publish(_LOOK_S)
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            client = self._new_client()
            with self._lock:
                if self._stopping.is_set():
                    return
                self._trying = client
            try:
                self._connect(client)
                while client.loop() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt goes on
                self._away(str(error) or type(error).__name__)
            finally:
                self._client = None
            if self._up_at is not None and monotonic() - self._up_at >= STEADY_S:
                self._backoff.after_success()
            self._up_at = None
            if not self._stopping.is_set():
                self._stopping.wait(self._backoff.after_failure())

    def _connect(self, client: Client) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self.session.kept_s
        properties.ReceiveMaximum = self.session.unacknowledged_max
        properties.MaximumPacketSize = self.session.packet_bytes_max
        client.connect(
            self.address.host,
            self.address.port,
            keepalive=KEEPALIVE_S,
            clean_start=self.session.kept_s == 0,
            properties=properties,
        )

    def _new_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.session.identifier,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_queued_messages_set(UNSENT_MAX)
        client.max_inflight_messages_set(self._in_flight)
        client.username_pw_set(self.address.user, self.address.password)
        if self.address.tls:
            client.tls_set_context(ssl.create_default_context())
        will = self.session.will
        if will is not None:
            client.will_set(will.topic, will.payload, AT_LEAST_ONCE, will.retain)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._came
        client.on_publish = _acknowledged
        client.user_data_set(_Unacknowledged())
        # Only the loop writes to the socket; others leave it what they have to say and wake it.
        client.on_socket_register_write = _leave_it_to_the_loop
        return client

    # What the library calls, in the connection's thread

    def _connected(
        self,
        client: Client,
        _data: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        told: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._away(f"the broker refuses: {reason}")
            return
        room = getattr(told, "ReceiveMaximum", IN_FLIGHT_MAX)
        if room < self._in_flight:
            # The library does not heed it, and can be told only before it connects.
            self._in_flight = room
            client.disconnect()
            return
        if self.session.filters:
            options = SubscribeOptions(
                AT_LEAST_ONCE, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
            )
            client.subscribe([(topic, options) for topic in self.session.filters])
        self.trouble, self._up_at = "", monotonic()
        self._client = client
        _log.info("broker_connected", broker=self.address.shown, client=self.session.identifier)
        self._on_up()

    def _subscribed(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _told: object
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.value >= _REFUSED]
        if refused:
            self.trouble = f"the broker refuses to let us listen: {refused[0]}"
            _log.error("broker_refuses", broker=self.address.shown, why=self.trouble)

    def _disconnected(
        self, client: Client, _data: object, _flags: object, reason: ReasonCode, _told: object
    ) -> None:
        was_up = self._client is client
        self._client = None
        if self._stopping.is_set() or not was_up:
            return
        if reason.value == _TAKEN_OVER:
            # Whoever has our name now keeps it for a while; taking turns helps nobody.
            self._away("another client has taken over the session")
            self._stopping.wait(self._retry_s_max)
        else:
            self._away(f"the connection broke: {reason}")

    def _came(self, client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            incoming = Incoming(client, message)
        except UnicodeDecodeError:
            client.ack(message.mid, message.qos)  # no topic of ours
            return
        self._on_message(incoming)

    def _away(self, why: str) -> None:
        if why != self.trouble:
            _log.warning("broker_away", broker=self.address.shown, why=why)
        self.trouble = why


def _published(
    client: Client, message: Outgoing, then: Callable[[], None] = lambda: None
) -> MQTTMessageInfo:
    info = client.publish(message.topic, message.payload, AT_LEAST_ONCE, message.retain)
    if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
        client.user_data_get().add(info.mid, then)
    return info


def _acknowledged(
    _client: Client, waiting: _Unacknowledged, mid: int, _reason: ReasonCode, _told: object
) -> None:
    waiting.done(mid)


def _leave_it_to_the_loop(_client: Client, _data: object, _socket: object) -> None:
    pass
