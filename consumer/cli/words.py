"""Lists of words that options take: given several times, or with commas between them. Reads no setting."""

from collections.abc import Callable, Collection, Iterable

import click


def completing(known: Collection[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return what completes the last of such words in a shell."""

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        return [f"{before}{comma}{word}" for word in known if word.startswith(begun)]

    return complete


def words_of(values: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the words, each once.

    Raises:
        click.BadParameter: one is not known.
    """
    named = [one.strip() for value in values for one in value.split(",") if one.strip()]
    for one in named:
        if one not in known:
            raise click.BadParameter(f"{one!r} is none of {', '.join(known)}")
    return tuple(dict.fromkeys(named))
