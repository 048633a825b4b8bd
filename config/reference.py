"""The settings for readers: README's table and `example.toml`, written from the models. Never read by the service.

`python -m config.reference` writes both anew.
"""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Final

import orjson

from config.catalogue import CATALOGUE, DELIMITER, Leaf, Path, Table, leaves

EXAMPLE_FILE: Final = FilePath(__file__).with_name("example.toml")
README_FILE: Final = FilePath(__file__).parents[1] / "README.md"
BEGIN: Final = "<!-- settings -->"
END: Final = "<!-- /settings -->"
SET_IN_EXAMPLE: Final = frozenset({("api", "url"), ("api", "field_names", "scheduled_at")})
"""Settings without a default that the example gives a value all the same."""
EXAMPLE_HEAD: Final = """\
# Every setting of the campaign consumer with its default. Written by `python -m config.reference`.
#
# Name this file with --config FILE or CAMPAIGN_CONFIG. The same settings as environment variables: capitals, CAMPAIGN_
# in front, two underscores between levels (CAMPAIGN_KAFKA__GROUP_ID). Secrets: files of the directory that
# CAMPAIGN_SECRETS_DIR names, each named after the whole setting in lower case (campaign_api__server_key).
# Environment wins over secrets, secrets over this file. Durations: seconds, or "250ms", "2s", "5m", "1h".
# Sizes: bytes, or "512 KiB", "1 MiB". A line that is commented out shows a setting that has no default.
"""
EXAMPLE_TAIL: Final = """
# What one campaign does differently, by its ID: every setting of [window] and of [delivery] but max_concurrency.
# [campaigns.421.window]
# duration = "0s"
# [campaigns.421.delivery]
# expires_after = "5m"
# on_unknown_outcome = "hold"
"""


def markdown_table() -> str:
    """Return the table of all settings: name, default, meaning."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for path, leaf in leaves(number="<status>"):
        if path[0] != "campaigns":
            rows.append(
                f"| `{DELIMITER.join(path[:-1]).upper()}{_last(path)}` | {_default(leaf)} | {leaf.description} |"
            )
    rows.append(
        "| `CAMPAIGNS__<id>__WINDOW__*`, `CAMPAIGNS__<id>__DELIVERY__*` | as above | The same for one campaign, "
        "all but `MAX_CONCURRENCY`. |"
    )
    return "\n".join(rows) + "\n"


def example_toml() -> str:
    """Return a TOML file with every setting, its default and what it means."""
    return EXAMPLE_HEAD + "".join(_toml(CATALOGUE, ())) + EXAMPLE_TAIL


def with_table(text: str) -> str:
    """Return `text` with the table of settings between its markers; a text without markers stays as it is."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n\n{markdown_table()}\n{end}{after}" if begin and end else text


def _last(path: Path) -> str:
    name = path[-1] if path[-1] == "<status>" else path[-1].upper()
    return f"{DELIMITER}{name}" if len(path) > 1 else name


def _default(leaf: Leaf) -> str:
    if leaf.required:
        return "required"
    if leaf.default is None:
        return "none"
    return f"`{leaf.spell(leaf.default)}`"


def _toml(table: Table, above: Path) -> Iterator[str]:
    """Yield a table's settings, then its tables; campaigns stand in the example's tail."""
    if above and any(isinstance(node, Leaf) for node in (*table.members.values(), table.entry)):
        yield f"\n[{'.'.join(above)}]\n"
    for name, node in table.members.items():
        if isinstance(node, Leaf):
            yield f"# {node.description}\n{_toml_line(name, node, (*above, name))}\n"
        elif (*above, name) != ("campaigns",):
            yield from _toml(node, (*above, name))
    if isinstance(table.entry, Leaf):
        yield f"# {table.entry.description}\n# 500 = {_toml_value(table.entry, table.entry.example)}\n"


def _toml_line(name: str, leaf: Leaf, path: Path) -> str:
    if leaf.default is not None:
        return f"{name} = {_toml_value(leaf, leaf.default)}"
    comment = "" if path in SET_IN_EXAMPLE else "# "
    return f"{comment}{name} = {_toml_value(leaf, leaf.example or 'none')}"


def _toml_value(leaf: Leaf, value: object) -> str:
    if leaf.unit is not None and not isinstance(value, str):
        value = leaf.spell(value)
    return orjson.dumps(value).decode().replace('","', '", "')


def write() -> None:
    """Write the example, and the table into the README."""
    EXAMPLE_FILE.write_text(example_toml(), encoding="utf-8")
    README_FILE.write_text(with_table(README_FILE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
