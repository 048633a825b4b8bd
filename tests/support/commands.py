"""Command lines of ours that a page shows: whether the program would take them. Runs none of them."""

import re
import shlex
from collections.abc import Sequence

import click

from consumer.cli.main import LazyGroup


def command_lines(page: str) -> Sequence[str]:
    """Return what a page shows after `campaign-consumer`, in blocks and in the text."""
    blocks = re.findall(r"^ *\$ (?:[A-Z_]+=\S+ )?campaign-consumer (.+)$", page, flags=re.MULTILINE)
    return blocks + re.findall(r"`campaign-consumer ([^`]+)`", page.replace("\n", " "))


def take(line: str) -> None:
    """Let the program read a command line, up to a pipe; it fails if an option or argument is not as it wants them."""
    words = shlex.split(line.partition(" | ")[0])
    command: click.Command = LazyGroup("campaign-consumer")
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    with command.make_context(command.name, words):
        pass  # it would run
