"""Load and random faults for as long as you like, then the sums: `make soak`, `SOAK_ARGS="--minutes 60 --seed 7"`.

What is done follows from the seed; when it happens, and so what it meets, does not. Exits with 0 if every promise held.
"""

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.chaos.crew import Crew, memory_mib
from tests.chaos.journal import forge_claim
from tests.chaos.judge import judge
from tests.chaos.load import LATENCY, SETTINGS, Load
from tests.chaos.standstill import Standstills, watch
from tests.service.harness import Stage, stage_on
from tests.support.breakable import WayIn, add_way_in
from tests.support.kafka_proxy import KafkaProxy

PARTITIONS = 6
OTHERS_AT_MOST = 3
MOVES = 50
"""So many more contacts have to be accepted after each fault, or it is taken for stuck."""
STUCK_SECONDS = 150
PAUSE_SECONDS_AT_MOST = 5.0
"""Between two faults, so that what lasts (a rough platform) is met by work as well as by the next fault."""
END_SECONDS = 300.0
SAMPLE_SECONDS = 2.0
GROWTH_MIB_AT_MOST = 32.0
"""The steady instance's peak in the second half of the time over its peak in the first one."""
PEAK_MIB_AT_MOST = 300.0

MEMORY = {"DEDUPLICATION__MAX_ENTRIES": "20000"}
"""Full within minutes: what grows after that is a leak."""

SLOW = {"fault": "latency", "seconds": [0.6, 1.8]}
"""Two instances get no more than some 260 contacts a second out: with a small buffer, the rest of the load is parked."""
URGENT_ONE_IN = 13
"""With a small buffer, so many events let one pass that does not wait; every campaign has some."""

ROUGH: tuple[Mapping[str, object], ...] = (
    {"fault": "status", "status": 503, "probability": 0.2},
    {"fault": "status", "status": 429, "retryAfterSeconds": 1, "probability": 0.1},
    {"fault": "status", "status": 500, "accept": True, "probability": 0.1},
    {"fault": "reset", "accept": True, "probability": 0.1},
    {"fault": "reset", "accept": False, "probability": 0.1},
    {"fault": "half_body", "probability": 0.1},
    {"fault": "status", "status": 422, "probability": 0.1},
    {"fault": "item_errors", "probability": 0.1},
    {"fault": "status", "status": 401, "probability": 0.02},
    {"fault": "latency", "seconds": [0.5, 2.0], "probability": 0.2},
)


@dataclass(slots=True, kw_only=True)
class Soak:
    """One run: what is broken, by which dice, and what was seen of memory."""

    kafka: ApacheKafka
    stage: Stage
    proxy: KafkaProxy
    crew: Crew
    dice: random.Random
    pace: Mapping[str, object] = field(default_factory=lambda: LATENCY)
    """How fast the platform is."""
    done: Counter[str] = field(default_factory=Counter)
    resident_mib: list[float] = field(default_factory=list)
    standstills: Standstills = field(default_factory=Standstills)

    @property
    def faults(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """All that can be done, by name."""
        return {
            "kill": self.kill,
            "freeze": self.freeze,
            "restart": self.restart,
            "join or leave": self.join_or_leave,
            "broker restart": self.restart_broker,
            "brokers away": self.take_brokers_away,
            "network stall": self.stall,
            "late claim": self.claim_late,
            "rough platform": self.roughen,
            "smooth platform": self.smoothen,
        }

    async def run(self, seconds: float) -> None:
        """Do one thing after another until the time is over; after each, the work has to go on."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        faults = self.faults
        while loop.time() < began_at + seconds:
            name = self.dice.choice(sorted(faults))
            tell(f"{loop.time() - began_at:6.1f} s  {name}")
            await faults[name]()
            self.done[name] += 1
            await asyncio.sleep(self.dice.uniform(0.0, PAUSE_SECONDS_AT_MOST))
            accepted = (await self.stage.ask.summary()).accepted
            await self.stage.ask.wait(accepted=accepted + MOVES, timeout_seconds=STUCK_SECONDS)

    async def watch_memory(self) -> None:
        """Take note of the steady instance's memory, for ever."""
        while True:
            self.resident_mib.append(memory_mib(self.crew.steady, "VmRSS"))
            await asyncio.sleep(SAMPLE_SECONDS)

    # ---------------------------------------------------------------- what is done

    async def kill(self) -> None:
        await self.crew.kill(self.dice.choice(self.crew.others))

    async def freeze(self) -> None:
        frozen = self.dice.choice(self.crew.everybody)
        frozen.send(signal.SIGSTOP)
        await asyncio.sleep(self.dice.uniform(0.5, 18.0))
        frozen.send(signal.SIGCONT)

    async def restart(self) -> None:
        await self.crew.stop(self.dice.choice(self.crew.others))
        await self.crew.hire()

    async def join_or_leave(self) -> None:
        if len(self.crew.others) < OTHERS_AT_MOST:
            await self.crew.hire()
        else:
            await self.crew.stop(self.dice.choice(self.crew.others))

    async def restart_broker(self) -> None:
        await self.crew.until_ready()  # a start without brokers ends after a time, as it should
        await self.kafka.stop_broker()
        await self.kafka.start_broker()

    async def take_brokers_away(self) -> None:
        await self.crew.until_ready()
        await self.kafka.kill_broker()
        await asyncio.sleep(self.dice.uniform(1.0, 60.0))
        await self.kafka.start_broker()

    async def stall(self) -> None:
        self.proxy.stall()
        await asyncio.sleep(self.dice.uniform(0.5, 18.0))
        self.proxy.release()

    async def claim_late(self) -> None:
        await forge_claim(self.stage, self.dice.randrange(PARTITIONS))

    async def roughen(self) -> None:
        faults = self.dice.sample(ROUGH, 4)
        await self.stage.ask.set_faults(self.pace, *({**each, "seed": self.dice.randrange(1_000)} for each in faults))

    async def smoothen(self) -> None:
        await self.stage.ask.set_faults(self.pace)


def tell(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


async def soak(arguments: argparse.Namespace) -> bool:
    """Run it all; return whether memory stayed flat. AssertionError when a promise is broken."""
    tell(f"seed {arguments.seed}, {arguments.minutes:g} minutes, {arguments.rate} events a second")
    folder = Path(tempfile.mkdtemp(prefix="campaign-soak-"))
    tell(f"logs in {folder}")
    async with ApacheKafka() as kafka:
        way_in: WayIn = await add_way_in(kafka)
        async with way_in.open() as proxy, stage_on(kafka, folder, partitions=PARTITIONS) as stage:
            small = {} if arguments.buffer is None else {"BUFFER__MAX_EVENTS": str(arguments.buffer)}
            settings, pace = {**SETTINGS, **MEMORY, **small}, SLOW if small else LATENCY
            await stage.ask.set_faults(pace)
            steady = await stage.start({**settings, "KAFKA__BOOTSTRAP_SERVERS": proxy.address})
            crew = Crew(stage=stage, steady=steady, settings=settings)
            await crew.hire()
            dice = random.Random(arguments.seed)
            run = Soak(kafka=kafka, stage=stage, proxy=proxy, crew=crew, dice=dice, pace=pace)
            await under_load(run, arguments)
            return await sums(run)


async def under_load(run: Soak, arguments: argparse.Namespace) -> None:
    """Break things while events come, then mend everything and let the work be finished."""
    async with asyncio.TaskGroup() as tasks:
        watches = [
            tasks.create_task(run.watch_memory()),
            tasks.create_task(watch(lambda: run.crew.everybody, run.standstills)),
        ]
        urgent_one_in = None if arguments.buffer is None else URGENT_ONE_IN
        async with Load(run.stage, per_second=arguments.rate, urgent_one_in=urgent_one_in):
            await run.run(arguments.minutes * 60)
            await run.stage.ask.set_faults(LATENCY)
        tell("no more faults: the rest is finished")
        await run.stage.results.until(run.stage.published, within_seconds=END_SECONDS)
        for each in watches:
            each.cancel()


async def sums(run: Soak) -> bool:
    """Judge, and print what there is to know."""
    stage, memory = run.stage, run.resident_mib
    middle = len(memory) // 2
    first, second, peak = max(memory[:middle]), max(memory[middle:]), memory_mib(run.crew.steady, "VmHWM")
    for instance in run.crew.everybody:
        assert await instance.stop() == 0, f"{instance.log} did not end in order"
    account = await judge(stage)
    assert not run.standstills.found, run.standstills.found
    tell(f"faults: {', '.join(f'{count} x {name}' for name, count in sorted(run.done.items()))}")
    tell(f"records {account.records:,}, results {account.results:,}, texts {account.texted:,}")
    tell(f"results by status: {dict(account.by_status)}")
    tell(f"lost 0, texted twice without a mark 0, with hold 0; repeats {account.repeats}, marked {account.marked}")
    tell(f"results published again, the same: {account.results_published_again}")
    tell(
        f"memory of the steady instance: first half {first:.0f} MiB, second half {second:.0f} MiB, peak {peak:.0f} MiB"
    )
    flat = second <= first + GROWTH_MIB_AT_MOST and peak <= PEAK_MIB_AT_MOST
    tell("every promise held" + ("" if flat else ", but memory grew"))
    return flat


def main() -> None:
    """Read the command line, and exit with the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=200, help="events a second; each takes this process 2 KiB")
    parser.add_argument(
        "--buffer", type=int, help="events at most in the buffer; the platform is slow, and most is parked"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    logging.basicConfig(level=logging.CRITICAL)  # the clients have much to say about brokers that are away
    sys.exit(0 if asyncio.run(soak(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
