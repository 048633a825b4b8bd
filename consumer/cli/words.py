"""Lists of words that options take: given several times, or with commas between them. Reads no setting."""

from collections.abc import Collection, Iterable

import click


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
