"""What a service manager is told, over a real socket of its kind."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consumer.edge.service_manager import ServiceManager
from consumer.service.status_shape import ServiceState


@dataclass
class Manager:
    """Listens as systemd does, and is told how a service stands that the test makes up."""

    listener: socket.socket
    state: ServiceState = "starting"
    joined: bool = False
    healthy: bool = True
    sentence: str = "starting"
    told: ServiceManager = field(init=False)

    def listen(self, address: str) -> None:
        self.told = ServiceManager(
            address,
            state=lambda: self.state,
            joined=lambda: self.joined,
            healthy=lambda: self.healthy,
            sentence=lambda: self.sentence,
        )

    def hears(self) -> list[str]:
        self.told.look()
        said: list[str] = []
        while True:
            try:
                said.append(self.listener.recv(4096).decode())
            except BlockingIOError:
                return said


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(0)
        name = f"campaign-consumer-{tmp_path.name}"
        address = str(tmp_path / "notify") if request.param == "path" else f"@{name}"
        listener.bind(address if request.param == "path" else f"\0{name}")
        manager = Manager(listener)
        manager.listen(address)
        yield manager
        manager.told.close()


def test_it_is_ready_once_it_has_joined_and_says_so_once(manager: Manager) -> None:
    assert manager.hears() == ["STATUS=starting", "WATCHDOG=1"]
    manager.joined, manager.sentence = True, "idle"
    assert manager.hears() == ["STATUS=idle", "READY=1", "WATCHDOG=1"]
    assert manager.hears() == ["WATCHDOG=1"]


def test_without_progress_the_watchdog_is_not_fed(manager: Manager) -> None:
    manager.hears()
    manager.healthy = False
    assert manager.hears() == []


def test_the_drain_is_told(manager: Manager) -> None:
    manager.joined, manager.state = True, "draining"
    assert "STOPPING=1" in manager.hears()
    assert manager.hears() == ["WATCHDOG=1"]


def test_a_sentence_stays_in_one_line(manager: Manager) -> None:
    manager.sentence = "held back\nREADY=1"
    assert manager.hears()[0] == "STATUS=held back READY=1"


def test_a_manager_that_is_away_disturbs_nothing_and_is_told_when_it_is_back(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(0)
        manager = Manager(listener, joined=True)
        manager.listen(address)
        manager.told.look()
        listener.bind(address)
        assert "READY=1" in manager.hears()
        manager.told.close()


def test_a_manager_that_does_not_read_blocks_nothing(manager: Manager) -> None:
    for _ in range(10_000):
        manager.told.look()


def test_nobody_is_told_where_nobody_asked() -> None:
    assert ServiceManager.address_in({}) is None
    assert ServiceManager.address_in({"NOTIFY_SOCKET": ""}) is None
    assert ServiceManager.address_in({"NOTIFY_SOCKET": "/run/x"}) == "/run/x"
