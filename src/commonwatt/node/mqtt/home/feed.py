"""A community's figures to Home Assistant, after every closed interval, for as long as it runs."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Signal
from threading import Lock, Thread

import structlog

from commonwatt.certificate.score import Calendar
from commonwatt.errors import CommonwattError
from commonwatt.meter.registration import Role
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.mqtt.connection import (
    RETRY_S_MAX,
    BrokerConnection,
    Incoming,
    Outgoing,
    Session,
)
from commonwatt.node.mqtt.home.memory import MEMORY_FILE, keep, recall
from commonwatt.node.mqtt.home.messages import announcements, state_message, state_topic
from commonwatt.node.mqtt.home.score import hourly_score, month_of
from commonwatt.node.mqtt.home.settings import (
    HomeSettings,
    MemberHome,
    read_home_settings,
    require_usable,
)
from commonwatt.node.mqtt.home.totals import Totals, count, figures_of, read_line
from commonwatt.node.mqtt.topics import OFFLINE, ONLINE, status_topic
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.time_zone import calendar_of
from commonwatt.node.wiring import NODE_FOLDER
from commonwatt.quantity import SECONDS_PER_DAY, SECONDS_PER_HOUR
from commonwatt.statement.publication import day_of, member_folder

LOOK_S = 0.25
"""At most so long after an interval is published its figures go out."""
RETRY_S = 5.0
"""After something went wrong it is tried again."""

_log = structlog.get_logger("commonwatt.mqtt")


def home_assistant_of(hosted: Hosted, address: BrokerAddress) -> "HomeAssistant | None":
    """The feed that a community's folder asks for; None where it asks for none.

    Where the settings are gone but sensors were announced, it is there to remove them.

    Raises:
        HomeSettingsUnusable: the settings cannot be meant.
    """
    settings = read_home_settings(hosted.folder)
    if settings is None and not recall(_memory_of(hosted)).topics:
        return None
    return HomeAssistant(hosted, address, settings or HomeSettings())


class HomeAssistant:
    """Publishes the figures of those members of one community that want it."""

    def __init__(
        self,
        hosted: Hosted,
        address: BrokerAddress,
        settings: HomeSettings,
        *,
        retry_s_max: float = RETRY_S_MAX,
    ) -> None:
        """Nothing starts yet.

        Args:
            hosted: the community; only its published lines and its book are read.
            address: the broker's.
            settings: which members, which sensors.
            retry_s_max: the longest wait in seconds before the broker is tried again.

        Raises:
            HomeSettingsUnusable: the settings cannot be meant.
        """
        self._hosted = hosted
        self._path = _memory_of(hosted)
        self._kept = recall(self._path)
        self._totals: dict[int, Totals] = {}
        self._read: dict[int, tuple[str, int]] = {}
        """By member the day whose lines were read last, and how many."""
        self._scores: dict[int, tuple[int, str | None]] = {}
        """By member the hour for which the score was worked out, and the score."""
        self._lock, self._stopping = Lock(), Signal()
        self._settings, self._calendar = self._usable(settings)
        self._announced: tuple[int, HomeSettings] | None = None
        """For which connection, and which settings, everything has been announced."""
        self._shown: dict[int, tuple[Totals, str | None]] = {}
        """By member what the broker has."""
        self._connections = 0
        self._is_online = False
        status = status_topic(hosted.name)
        self._connection = BrokerConnection(
            address,
            Session(
                identifier=f"commonwatt-{hosted.name}-home",
                filters=(status,),
                will=Outgoing(status, OFFLINE.encode(), retain=True),
            ),
            on_up=self._count_connection,
            on_message=self._hear,
            retry_s_max=retry_s_max,
        )
        self._thread = Thread(target=self._run, name=f"home {hosted.name}", daemon=True)

    def _usable(self, settings: HomeSettings) -> tuple[HomeSettings, Calendar]:
        community = self._hosted.community
        require_usable(settings, self._hosted.name, len(community.accounts))
        return settings, calendar_of(settings.zone)

    def start(self) -> None:
        """Announce, publish, and go on publishing."""
        self._thread.start()
        self._connection.start()

    def stop(self) -> None:
        """Say that nobody keeps the figures up to date any more, and hang up."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._is_online = False
        self._connection.publish_all([self._status(OFFLINE)])
        self._connection.stop()

    def update(self, settings: HomeSettings) -> None:
        """Other members or sensors from now on; those that are gone are removed.

        Raises:
            HomeSettingsUnusable: the settings cannot be meant; the ones before stay.
        """
        usable = self._usable(settings)
        with self._lock:
            self._settings, self._calendar = usable

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there."""
        return self._connection.is_up

    @property
    def trouble(self) -> str:
        """Why nothing can be published; empty while all is well."""
        return self._connection.trouble

    # In the connection's thread

    def _count_connection(self) -> None:
        self._connections += 1
        self._is_online = False

    def _hear(self, message: Incoming) -> None:
        """A will that comes late speaks of a connection before ours."""
        if message.payload == OFFLINE.encode() and self._is_online:
            self._connection.publish(self._status(ONLINE))
        message.acknowledge()

    # In the feed's thread

    def _run(self) -> None:
        self._believe()
        seen = self._hosted.events.last
        is_new = True
        while not self._stopping.is_set():
            try:
                is_new = not self._step(is_new=is_new)
            except Exception:  # noqa: BLE001 - the figures are still in the published lines
                _log.exception("home_failed", community=self._hosted.name)
                is_new = True
            if is_new:
                self._stopping.wait(RETRY_S)
            came = self._hosted.events.wait(seen, LOOK_S)
            seen = came[-1].number if came else seen
            is_new |= any(event.kind == "interval" for event in came)

    def _believe(self) -> None:
        """Take over kept figures where the published lines have the interval they end with."""
        for member, totals in self._kept.members.items():
            last = totals.until - self._hosted.community.interval_s
            path = f"{member_folder(member)}/{day_of(last)}.jsonl"
            try:
                # Of a day's lines only the one in question is worth reading.
                found = [line for line in self._hosted.lines(path) if str(last).encode() in line]
                same = any(
                    (told.end, told.anchor) == (totals.until, totals.anchor)
                    for told in map(read_line, found)
                )
            except (CommonwattError, OSError):
                same = False
            if same:
                self._totals[member] = totals
            else:
                _log.warning("home_counts_again", community=self._hosted.name, member=member)

    def _step(self, *, is_new: bool) -> bool:
        """Count and publish what is due; False where something must be tried again."""
        with self._lock:
            settings, calendar = self._settings, self._calendar
        to_announce = self._announced != (self._connections, settings)
        if not (is_new or to_announce):
            return True
        is_well = self._count_all(settings, calendar)
        if not self._connection.is_up:
            return is_well
        if to_announce:
            connections, self._is_online = self._connections, False
            self._shown.clear()
            if not self._announce(settings):
                return is_well
            self._announced = (connections, settings)
        is_shown = self._show(settings, calendar)
        return is_well and (is_shown or not self._connection.is_up)

    def _count_all(self, settings: HomeSettings, calendar: Calendar) -> bool:
        """Read what was published since the last time; False where some of it cannot be read."""
        is_well, is_day_over = True, False
        for home in settings.members:
            try:
                is_day_over |= self._count(home.member, calendar)
            except (CommonwattError, OSError) as error:
                # The member's last figures stay; everybody else's go on.
                _log.warning(
                    "home_unreadable",
                    community=self._hosted.name,
                    member=home.member,
                    why=str(error),
                )
                is_well = False
        if is_day_over:
            self._keep()
        return is_well

    def _count(self, member: int, calendar: Calendar) -> bool:
        """Read what was published of a member since the last time; True if a UTC day is over."""
        hosted = self._hosted
        before = self._totals.get(member)
        totals = before or Totals(until=hosted.community.first_start)
        for day in _days(totals.until, hosted.status().open_start):
            lines = hosted.lines(f"{member_folder(member)}/{day}.jsonl")
            read_day, done = self._read.get(member, ("", 0))
            new = lines[done if day == read_day else 0 :]
            totals = count(totals, map(read_line, new), calendar)
            self._read[member] = (day, len(lines))
            if totals.anchor:
                self._totals[member] = totals
        return before is None or day_of(before.until) != day_of(totals.until)

    def _announce(self, settings: HomeSettings) -> bool:
        """Announce all sensors, remove those that are gone; True once the broker has it all."""
        name = self._hosted.name
        wanted = announcements(name, self._hosted.community, settings)
        states = {state_topic(home, name) for home in settings.members}
        gone = [topic for topic in self._kept.topics if topic not in wanted.keys() | states]
        self._kept.topics = [*wanted, *sorted(states), *gone]
        self._keep()
        messages = [Outgoing(topic, text, retain=True) for topic, text in wanted.items()]
        # An empty message is what removes a sensor, and a retained message.
        messages += [Outgoing(topic, b"", retain=True) for topic in gone]
        if not self._connection.publish_all(messages):
            return False
        self._kept.topics = [*wanted, *sorted(states)]
        self._keep()
        return True

    def _show(self, settings: HomeSettings, calendar: Calendar) -> bool:
        """Publish the figures that the broker does not have yet, then that they are kept up.

        True once the broker has it all.
        """
        fresh: dict[int, tuple[Totals, str | None]] = {}
        messages = []
        for home in settings.members:
            totals = self._totals.get(home.member)
            if totals is None:
                continue
            score = self._score(home, totals, calendar)
            if self._shown.get(home.member) == (totals, score):
                continue
            fresh[home.member] = (totals, score)
            figures = figures_of(totals, self._hosted.community.currency, score)
            text = state_message(totals, figures, home.sensors)
            messages.append(Outgoing(state_topic(home, self._hosted.name), text, retain=True))
        if not self._is_online:
            messages.append(self._status(ONLINE))
        if not self._connection.publish_all(messages):
            return False
        self._shown.update(fresh)
        self._is_online = True
        return True

    def _score(self, home: MemberHome, totals: Totals, calendar: Calendar) -> str | None:
        """The hourly score, worked out once an hour: it changes slowly and takes a while."""
        if "hourly_score" not in home.sensors:
            return None
        hour = totals.until // SECONDS_PER_HOUR
        if self._scores.get(home.member, (-1, None))[0] != hour:
            community, book = self._hosted.community, self._hosted.book.log.book
            meters = [
                registration.meter
                for registration in community.registrations
                if registration.member == home.member and registration.role is Role.GRID
            ]
            period = month_of(totals.until - 1, calendar)
            score = hourly_score(book.state, community.accounts[home.member], meters, period)
            self._scores[home.member] = (hour, score)
        return self._scores[home.member][1]

    def _keep(self) -> None:
        self._kept.members = dict(self._totals)
        try:
            keep(self._path, self._kept)
        except FolderUnusable as error:
            # Without it the next start takes longer; nobody's figures wait for a full disk.
            _log.warning("home_not_kept", community=self._hosted.name, why=str(error))

    def _status(self, status: str) -> Outgoing:
        return Outgoing(status_topic(self._hosted.name), status.encode(), retain=True)


def _memory_of(hosted: Hosted) -> Path:
    return hosted.folder / NODE_FOLDER / MEMORY_FILE


def _days(start: int, end: int) -> Iterator[str]:
    """The UTC days from one second's to another's."""
    for day in range(start // SECONDS_PER_DAY, end // SECONDS_PER_DAY + 1):
        yield day_of(day * SECONDS_PER_DAY)
