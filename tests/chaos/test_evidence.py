"""What operators and retention do to offsets and journals: nobody is texted for it, and what cannot be known is said."""

from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from consumer.demo.apache_kafka import ApacheKafka
from tests.chaos.judge import judge
from tests.chaos.load import SETTINGS, events
from tests.chaos.tools import GROUPS, run_tool
from tests.service.harness import Instance, Stage, stage_on

PARTITIONS = 2
MANY, FEW = 200, 20


async def work(stage: Stage, count: int) -> Instance:
    """Let an instance work until so many new events have their results, and end it in order."""
    instance = await stage.start(SETTINGS)
    await stage.results.until(await stage.publish(events(count, partitions=stage.partitions)))
    assert await instance.stop() == 0
    return instance


async def forget_journal(stage: Stage, *, but: int) -> None:
    """Delete what retention would in time: all of each journal partition but its last records."""
    partitions = [TopicPartition(stage.journal, number) for number in range(stage.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=stage.kafka.bootstrap_servers) as reader:
        ends = await reader.end_offsets(partitions)
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.kafka.bootstrap_servers)
    try:
        await admin.start()
        await admin.delete_records({partition: RecordsToDelete(end - but) for partition, end in ends.items()})
    finally:
        await admin.close()


async def test_what_is_done_to_offsets_and_journal_texts_nobody_and_stops_what_cannot_know(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=PARTITIONS) as stage:
        of_group = ("--group", stage.group, "--topic", stage.events)
        await work(stage, MANY)

        await run_tool(breakable, GROUPS, *of_group, "--reset-offsets", "--to-earliest", "--execute")
        rewound = await work(stage, FEW)
        assert len(rewound.lines("the group was rewound, without effect")) == PARTITIONS

        await run_tool(breakable, GROUPS, "--delete-offsets", *of_group)
        await work(stage, FEW)
        await judge(stage)

        await forget_journal(stage, but=1)  # the checkpoint of an orderly end
        await work(stage, FEW)
        account = await stage.account()
        assert account.by_status == {"accepted": MANY + 3 * FEW}
        assert account.texted == MANY + 3 * FEW
        assert account.results_published_again == 0

        await forget_journal(stage, but=0)
        unknowing = await stage.launch(SETTINGS)
        await stage.publish(events(FEW, partitions=PARTITIONS))
        unknowing.url = (await unknowing.until_logged("started"))["http_url"].rstrip("/")
        await unknowing.until_logged("partition stopped")
        said = await unknowing.get("/readyz")
        assert said.status_code == 503
        assert "the journal has lost its beginning" in said.text
        assert await unknowing.stop() == 0
        assert (await stage.ask.summary()).accepted == MANY + 3 * FEW
