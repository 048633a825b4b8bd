"""Kafka's own tools, as operators run them, by the embedded Java. Each run starts a JVM: a second or two."""

import asyncio

from consumer.demo.apache_kafka import ApacheKafka

GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
ACLS = "org.apache.kafka.tools.AclCommand"
CONFIGS = "org.apache.kafka.tools.ConfigCommand"

TOOL_SECONDS = 60.0


async def run_tool(kafka: ApacheKafka, main_class: str, *arguments: str) -> str:
    """Run a tool against the cluster; return what it said. AssertionError when it fails."""
    command = kafka.tool(main_class, "--bootstrap-server", kafka.bootstrap_servers, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(TOOL_SECONDS):
        output, _ = await process.communicate()
    said = output.decode()
    assert process.returncode == 0, said
    return said
