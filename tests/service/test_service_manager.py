"""The real service tells its service manager what it does: `Type=notify` of systemd."""

import socket
from pathlib import Path

from tests.service.events import event, written
from tests.service.harness import stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually


async def test_a_service_manager_hears_of_readiness_progress_and_the_end(kafka: Cluster, tmp_path: Path) -> None:
    said: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(0)
        listener.bind(str(tmp_path / "notify"))

        async def hears(what: str) -> None:
            async def look() -> bool:
                try:
                    while True:
                        said.append(listener.recv(4096).decode())
                except BlockingIOError:
                    return any(line.startswith(what) for line in said)

            await eventually(look, within_seconds=20, what=f"{what} among {said}")

        async with stage_on(kafka, tmp_path) as stage:
            stage.surroundings["NOTIFY_SOCKET"] = str(tmp_path / "notify")
            service = await stage.start()
            await hears("READY=1")
            await stage.results.until(await stage.publish([written(event(7, 1))]))
            said.clear()
            await hears("WATCHDOG=1")
            assert await service.stop() == 0
            await hears("STOPPING=1")
