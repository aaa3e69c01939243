"""Files for those who run a node: the broker takes its own, the others name what is there."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from bed import init
from commonwatt.node.service import checks_memory
from commonwatt.node.service.checks_memory import broker
from commonwatt.node.service.finding import Finding, Patient
from commonwatt.web.api.settings import read_api_settings
from commonwatt.web.metrics import is_within
from mosquitto import Broker, mosquitto_program

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = DEPLOY / "systemd" / "commonwatt.service"


# The broker


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """Mosquitto with the shipped settings, and each user's name for a password."""
    program, passwd = mosquitto_program(), shutil.which("mosquitto_passwd")
    if program is None or passwd is None:
        pytest.skip("Mosquitto is not installed: apt-get install mosquitto")
    shutil.copy(DEPLOY / "mosquitto" / "acl", tmp_path / "acl")
    (tmp_path / "passwords").touch(mode=0o600)
    for user in ("node", "meters"):
        command = [passwd, "-b", str(tmp_path / "passwords"), user, user]
        subprocess.run(command, check=True, capture_output=True)
    running = Broker(program, tmp_path)
    settings = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
    settings = settings.replace("/mosquitto/config", str(tmp_path))
    settings = settings.replace("/mosquitto/data", str(tmp_path))
    settings = settings.replace("listener 1883", f"listener {running.port} 127.0.0.1")
    # Started by root it would become somebody who cannot read the test's folder.
    (tmp_path / "mosquitto.conf").write_text(f"user root\n{settings}")
    try:
        running.start()
        yield running
    finally:
        running.kill()


def looked_at(folder: Path, url: str) -> Finding:
    init(folder, mqtt=url)
    patient = Patient(folder)
    try:
        [finding] = broker(patient)
    finally:
        patient.close()
    return finding


def test_the_brokers_settings_let_the_node_work_and_nobody_else_speak_for_it(
    guarded: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def url(user: str, password: str) -> str:
        return f"mqtt://{user}:{password}@127.0.0.1:{guarded.port}"

    assert looked_at(tmp_path / "node", url("node", "node")).is_well
    monkeypatch.setattr(checks_memory, "ECHO_S", 0.5)
    # An answer to a meter, as only the node may give it: its own topic, and the doctor's way back.
    monkeypatch.setattr(checks_memory, "ECHO_TOPIC", "commonwatt/elm/acks")
    assert looked_at(tmp_path / "again", url("node", "node")).is_well
    finding = looked_at(tmp_path / "meters", url("meters", "meters"))
    assert finding.says.endswith("no message came back")
    finding = looked_at(tmp_path / "stranger", url("meters", "wrong"))
    assert finding.says.endswith("Not authorized")


# The machine


def test_the_unit_is_one_that_systemd_understands_and_finds_safe(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text()
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/opt/commonwatt/bin/commonwatt", sys.executable))
    said = subprocess.run([program, "verify", unit], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    said = subprocess.run(
        [program, "security", "--offline=true", "--threshold=20", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-200:]


def test_the_unit_starts_a_command_that_there_is_in_the_directory_it_may_write() -> None:
    text = UNIT.read_text()
    [command] = re.findall(r"^ExecStart=/opt/commonwatt/bin/commonwatt (.*)$", text, re.MULTILINE)
    assert command == "serve /var/lib/commonwatt"
    assert "StateDirectory=commonwatt" in text
    assert "u commonwatt" in (DEPLOY / "systemd" / "commonwatt.sysusers").read_text()


# Containers


def test_prometheus_may_read_the_figures_and_no_other_container_may() -> None:
    yaml = pytest.importorskip("yaml")
    folder = DEPLOY / "container"
    composition = yaml.safe_load((folder / "compose.yaml").read_text())
    mounts = composition["services"]["node"]["volumes"]
    assert "./api.toml:/data/api.toml:ro" in mounts
    networks = tuple(ip_network(one) for one in read_api_settings(folder).metrics_from)
    own = composition["services"]["prometheus"]["networks"]["default"]["ipv4_address"]
    assert is_within(own, networks)
    assert is_within("127.0.0.1", networks)
    [within] = composition["networks"]["default"]["ipam"]["config"]
    others = [str(one) for one in ip_network(within["subnet"]).hosts()]
    assert own in others
    assert not any(is_within(one, networks) for one in others if one != own)


def test_the_image_has_what_the_composition_needs() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    [extra] = re.findall(r"pip install --no-cache-dir '\.\[(\w+)\]'", text)
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    needed = project["optional-dependencies"][extra]
    assert any(line.startswith("psycopg") for line in needed)


def test_options_of_the_program_that_the_files_name_are_there() -> None:
    words = " ".join(
        path.read_text() for path in sorted(DEPLOY.rglob("*")) if path.suffix != ".json"
        and path.is_file()
    )  # fmt: skip
    page = (DEPLOY.parent / "docs" / "cli.md").read_text()
    chapter = page.partition("## commonwatt serve\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"(?:serve \S+|command: \[serve, /data,) ?(--[a-z-]+)", words))
    assert named == {"--workers"}
    assert all(f"| `{option}` |" in chapter for option in named)


def test_the_composition_names_files_variables_and_addresses_that_there_are() -> None:
    yaml = pytest.importorskip("yaml")
    folder = DEPLOY / "container"
    text = (folder / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    given = set(re.findall(r"^([A-Z_]+)=", (folder / "example.env").read_text(), re.MULTILINE))
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) == given
    volumes = set(yaml.safe_load(text)["volumes"])
    for service in services.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            made_by_hand = source == "./passwords"
            assert made_by_hand or source in volumes or (folder / source).exists(), source
    assert (folder / services["node"]["build"]["context"] / "pyproject.toml").is_file()
    containerfile = services["node"]["build"]["dockerfile"]
    assert (folder / services["node"]["build"]["context"] / containerfile).is_file()
    # What one service calls another is that one's name.
    scrape = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    source = (DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    named = set(re.findall(r'targets: \["(\w+):', scrape)) | set(re.findall(r"//(\w+):", source))
    assert named == {"node", "prometheus"} <= set(services)
    assert not re.search(r"(?i)password: *[a-z0-9]", text), "no password is in the file"


def test_the_container_starts_the_node_as_nobody_special() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    assert re.search(r"^USER commonwatt$", text, re.MULTILINE)
    assert 'CMD ["serve", "/data"]' in text
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    for names in copied:
        for name in names.split():
            assert (DEPLOY.parent / name).exists(), name
