"""`commonwatt serve --demo`: a node and a village of simulated meters on one machine."""

import signal
import socket
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Event

from commonwatt.cli.children import begin, end
from commonwatt.cli.init import AddOptions, run_init
from commonwatt.cli.init_answers import InitOptions
from commonwatt.errors import InputError
from commonwatt.node.service.additions import places_of
from commonwatt.node.service.logs import Level
from commonwatt.node.service.settings import NODE_FILE, address_in, read_node_file

SCENARIO, DAYS, SPEED = "village", 7, 900
"""A quarter of an hour passes in a second, the days in eleven minutes."""
METERS_FILE = "simulated-meters.json"
LOOK_S = 0.2


class DemoUnusable(InputError):
    """A directory in which no simulated meters can speak."""


def run_demo(folder: Path, level: Level, *, as_json: bool) -> int:
    """Make a test bed if there is none, serve it, and let its meters send what they count.

    Args:
        folder: new, or one that this command made before: it goes on then.
        level: what is worth a line in the node's log.
        as_json: whether the lines of the log are JSON.

    Returns:
        The exit code: 0 after a signal, else that of the node, which has ended by itself.
    """
    host, port = _prepared(folder)
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    node = begin("serve", folder, "--log-level", level, *(["--log-json"] * as_json))
    try:
        while not _answers(host, port) and node.poll() is None:
            if stopping.wait(LOOK_S):
                return 0
        if node.poll() is None:
            return _with_meters(folder, f"http://{host}:{port}", node, stopping)
        return node.returncode
    finally:
        end([node])


def _prepared(folder: Path) -> tuple[str, int]:
    """Where the node is going to listen; its directory is made if there is none."""
    if not (folder / NODE_FILE).exists():
        made = InitOptions(scenario=SCENARIO, days=DAYS)
        with redirect_stdout(StringIO()):  # it tells the steps that are taken here
            run_init(folder, made, AddOptions(), yes=True, is_show=False, as_json=False)
        print(f"made          {folder}: the {SCENARIO} of the demonstration, with {DAYS} days")
    settings = read_node_file(folder)
    names = list(places_of(folder))
    if settings.clock != "records" or names != [SCENARIO]:
        raise DemoUnusable(
            f"{folder}: keeps something else than the simulated {SCENARIO}: name a new directory, "
            "or leave --demo away"
        )
    host, port = address_in(settings.listen)
    if _answers(host, port):
        raise DemoUnusable(
            f"{settings.listen}: something answers there already; stop it, or write another "
            f"address as listen in {folder / NODE_FILE}"
        )
    return host, port


def _with_meters(folder: Path, url: str, node: subprocess.Popen[bytes], stopping: Event) -> int:
    """Let the meters speak until told to stop, or the node ends."""
    print(_guide(folder, url), flush=True)
    meters = begin(
        *("meter", "simulate", "--scenario", SCENARIO, "--community", SCENARIO, "--days", DAYS),
        *("--to", url, "--speed", SPEED, "--state", folder / METERS_FILE),
    )
    is_over = False
    try:
        while not stopping.wait(LOOK_S):
            if node.poll() is not None:
                return max(node.returncode, 1)
            if not is_over and meters.poll() is not None:
                is_over = True
                print("the meters have ended; the node answers on, until Ctrl-C", flush=True)
    finally:
        end([meters])
    return 0


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _guide(folder: Path, url: str) -> str:
    place = f"{url}/v1/communities/{SCENARIO}"
    return "\n".join(
        (
            f"the village   {place}",
            f"closed so far {place}/intervals",
            f"prices        {place}/prices",
            f"how it is     {url}/v1/health",
            f"stop          Ctrl-C; then: commonwatt audit {folder / SCENARIO} --certificates",
        )
    )
