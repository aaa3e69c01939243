"""Records to a node through an MQTT broker.

A batch of a meter goes to `commonwatt/NAME/records/METER`; the node answers on
`commonwatt/NAME/acks/METER`. That the broker has a batch means nothing: only what was answered is
at the node. Answers may come late, twice, or after the connection broke, so all that come are
handed on, and what stays unanswered is sent again.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import groupby
from typing import TypeAlias

from commonwatt.meter.record import SignedRecord
from commonwatt.node.gateway.answers import (
    Answer,
    NoAnswer,
    encode_batch,
    name_of,
    read_answers,
)
from commonwatt.node.gateway.link import BatchTooLarge, LinkDown
from commonwatt.node.mqtt.client import (
    BrokerAddress,
    Client,
    MqttError,
    connected,
    listen_to,
    say,
)
from commonwatt.node.mqtt.topics import ROOT, acks_topic, records_topic

ANSWER_S = 30.0
"""A node that has not answered anything within this time is away."""
FIRST_ANSWER_S = 3.0
"""So long the first answer on a new connection is waited for: after a restart the broker may have
forgotten the node, and drop what is sent before the node is back."""
RECORDS_PER_MESSAGE_MAX = 200
"""33 kB: no broker refuses that."""
PUBLISHED_AT_ONCE = 8
"""So many meters' messages are under way to the broker together."""
TOPICS_MAX = 100
"""With more meters, the answers to all are listened to, those of others among them."""

_Came: TypeAlias = asyncio.Queue[list[Answer] | NoAnswer | None]
"""What comes: answers, that a batch was not even judged, or None once the connection is broken."""


class MqttLink:
    """Sends records to one community through a broker."""

    def __init__(
        self,
        address: BrokerAddress,
        community: str,
        meters: Collection[bytes],
        answer_s: float = ANSWER_S,
    ) -> None:
        """Name broker and meters; nothing is sent yet.

        Args:
            address: the broker's.
            community: name of the community.
            meters: whose records will be sent.
            answer_s: seconds to wait for the next answer; on a new connection less, and twice as
                long each time that none comes.
        """
        self._address, self._community, self._answer_s = address, community, answer_s
        self._patience_s = answer_s
        self._meters = sorted(meters)
        self._stack: AsyncExitStack | None = None
        self._client: Client | None = None
        self._came: _Came = asyncio.Queue()

    async def send(self, batch: Sequence[SignedRecord]) -> list[Answer]:
        """Send records and wait for answers; see `Link`."""
        try:
            client = self._client or await self._connect()
            await self._publish(client, batch)
            return await self._answers(batch)
        except (LinkDown, BatchTooLarge):
            raise  # the connection is in order, and an answer may still come
        except MqttError as error:
            await self.close()
            raise LinkDown(error) from None
        except BaseException:
            await self.close()
            raise

    async def _connect(self) -> Client:
        self._came = asyncio.Queue()
        self._patience_s = min(FIRST_ANSWER_S, self._answer_s)
        self._stack = AsyncExitStack()
        client = await self._stack.enter_async_context(connected(self._address))
        few = len(self._meters) <= TOPICS_MAX
        topics = [acks_topic(self._community, meter) for meter in self._meters if few]
        topics = topics or [f"{ROOT}/{self._community}/acks/+"]
        await listen_to(client, topics)
        listening = asyncio.create_task(_listen(client, self._came))
        self._stack.push_async_callback(_end, listening)
        self._client = client
        return client

    async def _publish(self, client: Client, batch: Sequence[SignedRecord]) -> None:
        """Each meter's records in messages of their own, in order; meters side by side."""
        ordered = sorted(batch, key=name_of)
        groups = [list(group) for _, group in groupby(ordered, key=lambda s: name_of(s).meter)]
        for start in range(0, len(groups), PUBLISHED_AT_ONCE):
            some = groups[start : start + PUBLISHED_AT_ONCE]
            sending = (self._publish_meter(client, group) for group in some)
            for failure in await asyncio.gather(*sending, return_exceptions=True):
                if failure is not None:
                    raise failure

    async def _publish_meter(self, client: Client, records: Sequence[SignedRecord]) -> None:
        topic = records_topic(self._community, name_of(records[0]).meter)
        for start in range(0, len(records), RECORDS_PER_MESSAGE_MAX):
            part = records[start : start + RECORDS_PER_MESSAGE_MAX]
            await say(client, topic, encode_batch(part))

    async def _answers(self, batch: Sequence[SignedRecord]) -> list[Answer]:
        """What comes until all of the batch is answered, or nothing comes any more."""
        open_names = {name_of(signed) for signed in batch}
        found: list[Answer] = []
        while open_names:
            try:
                async with asyncio.timeout(self._patience_s):
                    answers = await self._came.get()
            except TimeoutError:
                self._patience_s = min(2 * self._patience_s, self._answer_s)
                if found:
                    break
                raise LinkDown("the broker is there, but no node answers") from None
            if isinstance(answers, list):
                self._patience_s = self._answer_s
                found += answers
                open_names -= {answer.name for answer in answers}
            elif found:
                break  # what is still open is sent again, and meets the same
            elif answers is None:
                raise MqttError("the connection broke")
            elif answers.is_too_large:
                raise BatchTooLarge
            else:
                raise LinkDown(answers, answers.retry_after_s)
        return found

    async def close(self) -> None:
        """Hang up."""
        stack, self._stack, self._client = self._stack, None, None
        if stack is not None:
            with suppress(MqttError):
                await stack.aclose()


async def _listen(client: Client, came: _Came) -> None:
    try:
        async for message in client.messages:
            payload = message.payload
            try:
                came.put_nowait(read_answers(payload if isinstance(payload, bytes) else b""))
            except NoAnswer as error:
                came.put_nowait(error)
    except MqttError:
        pass
    finally:
        came.put_nowait(None)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
