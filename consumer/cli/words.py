"""Options that take words of a list: given several times, or with commas between them. Reads no setting."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import click


def words_option(
    flag: str, into: str, known: Collection[str], *, help_text: str, refused: Mapping[str, str] | None = None
) -> Callable[[Any], Any]:
    """Return an option whose value is a tuple of words of `known`, each once; empty where it is not given.

    `refused` says of words that are meant for something else what to do instead.
    """

    def read(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        return _words_of(values, known, refused or {})

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        return [f"{before}{comma}{word}" for word in known if word.startswith(begun)]

    metavar = f"{flag.removeprefix('--').upper()},..."
    return click.option(
        flag, into, multiple=True, callback=read, shell_complete=complete, metavar=metavar, help=help_text
    )


def _words_of(values: Iterable[str], known: Collection[str], refused: Mapping[str, str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value in values:
        words = [one.strip() for one in value.split(",") if one.strip()]
        if not words:
            raise click.BadParameter(f"{value!r} names none of {', '.join(known)}")
        for word in words:
            if word in refused:
                raise click.BadParameter(refused[word])
            if word not in known:
                raise click.BadParameter(f"{word!r} is none of {', '.join(known)}")
        found.update(dict.fromkeys(words))
    return tuple(found)
