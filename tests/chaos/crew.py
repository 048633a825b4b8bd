"""Instances that are kept running whatever is done to them. Decides no fault and judges nothing."""

import signal
from dataclasses import dataclass, field
from pathlib import Path

from tests.service.harness import Instance, Settings, Stage


@dataclass(slots=True, kw_only=True)
class Crew:
    """One instance that lives as long as the crew does, and some that are replaced."""

    stage: Stage
    steady: Instance
    settings: Settings
    others: list[Instance] = field(default_factory=list)

    @property
    def everybody(self) -> list[Instance]:
        """Whoever runs now."""
        return [self.steady, *self.others]

    async def hire(self) -> None:
        """Start one more; it works soon."""
        instance = await self.stage.launch(self.settings)
        self.others.append(instance)
        await instance.until_logged("started")

    async def kill(self, instance: Instance) -> None:
        """Kill one, and start another in its place."""
        self.others.remove(instance)
        await instance.kill()
        await self.hire()

    async def stop(self, instance: Instance) -> None:
        """Stop one in order."""
        self.others.remove(instance)
        code = await instance.stop()
        assert code == 0, f"{instance.log} ended with {code}"

    async def until_ready(self) -> None:
        """Return once everybody does its work, and nobody has ended by itself."""
        for instance in self.everybody:
            await instance.until_ready()

    def thaw(self) -> None:
        """Let whoever is frozen go on."""
        for instance in self.everybody:
            instance.send(signal.SIGCONT)


def memory_mib(instance: Instance, what: str) -> float:
    """Memory that an instance uses (`VmRSS`), or has used at most (`VmHWM`)."""
    status = Path(f"/proc/{instance.pid}/status").read_text("utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(what))
