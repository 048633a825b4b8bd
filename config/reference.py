"""Writes the documentation of the settings, `SETTINGS.md` and `example.toml`, from the models. The service never uses it.

`python -m config.reference` writes both files.
"""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Final

import orjson

from config.catalogue import CATALOGUE, DELIMITER, Leaf, Path, Table, leaves
from config.settings import Settings

EXAMPLE_FILE: Final = FilePath(__file__).with_name("example.toml")
PAGE_FILE: Final = FilePath(__file__).with_name("SETTINGS.md")
SET_IN_EXAMPLE: Final = frozenset({("api", "url"), ("api", "field_names", "scheduled_at")})
"""Settings without a default for which the example has a value."""
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
# What one campaign does differently, by its ID: every setting of [window], and those of [delivery] but
# {for_all_alone}.
# [campaigns.421.window]
# duration = "0s"
# [campaigns.421.delivery]
# expires_after = "5m"
# on_unknown_outcome = "hold"
"""
CAMPAIGNS: Final = "campaigns"
PAGE_HEAD: Final = """\
# Settings

Every setting of the campaign consumer. `make generate` writes this page from the code.

A setting can be given in four ways:

- as an environment variable: `CAMPAIGN_` in front of the name below, such as `CAMPAIGN_KAFKA__GROUP_ID`;
- in a TOML file that `--config FILE` or `CAMPAIGN_CONFIG` names: the same names in lower case, one table for each level.
  [`example.toml`](example.toml) has all of them with their defaults;
- as a file in the directory that `CAMPAIGN_SECRETS_DIR` names. The file bears the whole name in lower case, such as
  `campaign_api__server_key`. This way is meant for secrets;
- not at all: then the default holds.

The environment wins over the directory of secrets, and the directory wins over the TOML file. A setting that does not
exist is an error. `campaign-consumer check` says what would be used; of a mistake it names the setting and where its value
came from.

Durations are seconds, or `"250ms"`, `"2s"`, `"5m"`, `"1h"`. Sizes are bytes, or `"512 KiB"`, `"1 MiB"`. Lists are JSON, or
items with commas between them. `required` means that there is no default and that the service does not start without a value.
"""
TABLE_HEAD: Final = "| setting | default | meaning |\n|---|---|---|"
PAGE_TAIL: Final = """
## CAMPAIGNS

What single campaigns do differently. `<id>` is the campaign's ID.

| setting | default | meaning |
|---|---|---|
| `CAMPAIGNS__<id>__WINDOW__*` | as `WINDOW__*` | The settings of `WINDOW`, for one campaign. |
| `CAMPAIGNS__<id>__DELIVERY__*` | as `DELIVERY__*` | The settings of `DELIVERY`, for one campaign; all but {for_all_alone}. |
"""


def page() -> str:
    """Return the page of all settings: a section for each table, with name, default and meaning of each setting."""
    rows: dict[str, list[str]] = {}
    for path, leaf in leaves(number="<status>"):
        if path[0] != CAMPAIGNS:
            name = f"{DELIMITER.join(path[:-1]).upper()}{_last(path)}"
            rows.setdefault(path[0], []).append(f"| `{name}` | {_default(leaf)} | {leaf.description} |")
    sections = [
        "\n".join(
            (f"\n## {table.upper()}\n", f"{Settings.model_fields[table].description}\n", TABLE_HEAD, *of_table, "")
        )
        for table, of_table in rows.items()
    ]
    alone = (DELIMITER.join(path).upper() for path in _for_all_alone())
    return PAGE_HEAD + "".join(sections) + PAGE_TAIL.format(for_all_alone=", ".join(f"`{name}`" for name in alone))


def example_toml() -> str:
    """Return a TOML file with every setting, its default and what it means."""
    alone = ", ".join(".".join(path) for path in _for_all_alone())
    return EXAMPLE_HEAD + "".join(_toml(CATALOGUE, ())) + EXAMPLE_TAIL.format(for_all_alone=alone)


def _for_all_alone() -> Iterator[Path]:
    """Yield the paths below DELIVERY of settings that no campaign has for itself; a whole table as its name and `*`."""
    every = [path for path, _ in leaves()]
    own = {path[3:] for path in every if path[:3] == (CAMPAIGNS, "<id>", "delivery")}
    tables = {path[0] for path in own}
    alone = [path[1:] for path in every if path[0] == "delivery" and path[1:] not in own]
    yield from dict.fromkeys(path if len(path) == 1 or path[0] in tables else (path[0], "*") for path in alone)


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
    """Yield a table's settings, then its tables; campaigns are in `EXAMPLE_TAIL`."""
    if above and any(isinstance(node, Leaf) for node in (*table.members.values(), table.entry)):
        yield f"\n[{'.'.join(above)}]\n"
    for name, node in table.members.items():
        if isinstance(node, Leaf):
            yield f"# {node.description}\n{_toml_line(name, node, (*above, name))}\n"
        elif (*above, name) != (CAMPAIGNS,):
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
    """Write the page and the example."""
    PAGE_FILE.write_text(page(), encoding="utf-8")
    EXAMPLE_FILE.write_text(example_toml(), encoding="utf-8")


if __name__ == "__main__":
    write()
