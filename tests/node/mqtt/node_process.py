"""A node in a process of its own, so that it can be killed: `FOLDER PORT [before|after N]`.

With `before N` it dies by a signal when the N-th batch has come and nothing of it is kept yet; with
`after N` when it is kept and not answered.
"""

import os
import signal
import sys
from pathlib import Path

from commonwatt.node.mqtt import intake
from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.mqtt.limits import IntakeLimits
from node.service.parts import Hands, Town
from street import MIDSUMMER_NOON

FEW = IntakeLimits(queue_messages_max=4)
intake.RECORDS_PER_TAKE_MAX = 4
"""A few messages at a time, so that there are many moments to die at."""


def main(folder: str, port: str, when: str = "", number: str = "0") -> None:
    town = Town(Path(folder), Hands(MIDSUMMER_NOON.start + 86_400))
    take, count = town.hosted.take, [0]

    def dying(batch):
        count[0] += 1
        if when == "before" and count[0] == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        verdicts = take(batch)
        if when == "after" and count[0] == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        return verdicts

    town.hosted.take = dying
    talker = intake.MqttIntake(
        town.hosted, BrokerAddress("127.0.0.1", int(port), tls=False), FEW, retry_s_max=0.2
    )
    talker.start()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
