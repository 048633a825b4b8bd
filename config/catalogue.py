"""The catalogue of all settings, by path, made from the models in `settings.py`. Holds no configured value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.durations import Unit
from config.kinds import KeyRule
from config.section import Section
from config.settings import Settings

Path = tuple[str, ...]
"""A setting's path: its names from the outermost table inwards, in lower case."""

PREFIX: Final = "CAMPAIGN_"
DELIMITER: Final = "__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One setting: its default, its meaning, and how it is shown."""

    default: object
    required: bool
    secret: bool
    unit: Unit | None
    description: str
    example: object
    """A value for examples; None where the default is example enough."""

    def spell(self, value: object) -> str:
        """Return `value`, which has this setting's type, as an operator would write it."""
        if self.secret:
            return "(hidden)"
        if self.unit is not None and isinstance(value, (int, float)):
            return self.unit.spell(value)
        match value:
            case None:
                return "none"
            case bool():
                return str(value).lower()
            case float():
                return f"{value:g}"
            case tuple():
                return ",".join(map(str, value))
            case _:
                return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A group of settings: by names, or by numbers (`key_rule`), each of which has the same settings (`entry`)."""

    members: Mapping[str, "Leaf | Table"] = field(default_factory=dict)
    key_rule: KeyRule | None = None
    entry: "Leaf | Table | None" = None


def setting_name(path: Path) -> str:
    """Return the name of the environment variable for a path."""
    return PREFIX + DELIMITER.join(path).upper()


def find(path: Path) -> Leaf | Table | None:
    """Return the setting or table at `path`, None where there is none. Numbers are not checked here."""
    node: Leaf | Table | None = CATALOGUE
    for name in path:
        if not isinstance(node, Table):
            return None
        node = node.members.get(name, node.entry)
    return node


def leaf_of(path: Path) -> tuple[Path, Leaf] | None:
    """Return the setting at `path` or above it (`path` may be an item of its list), with the setting's own path."""
    for length in range(len(path), 0, -1):
        node = find(path[:length])
        if isinstance(node, Leaf):
            return path[:length], node
    return None


def leaves(table: Table | None = None, above: Path = (), number: str = "<id>") -> Iterator[tuple[Path, Leaf]]:
    """Yield every setting with its path; `number` replaces a number in a path. A table's settings come before its tables."""
    table = CATALOGUE if table is None else table
    members = dict(table.members)
    if table.entry is not None:
        members[number] = table.entry
    for name, node in members.items():
        if isinstance(node, Leaf):
            yield (*above, name), node
        else:
            yield from leaves(node, (*above, name), number)


def set_in(section: Section, above: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield the values that were set in a table and its tables, by path from `above`; defaults are left out."""
    for name in sorted(section.model_fields_set):
        path = (*above, type(section).model_fields[name].alias or name)
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from set_in(value, path)
        elif isinstance(value, Mapping):
            yield from (((*path, str(key)), each) for key, each in value.items())
        else:
            yield path, value


def _node(info: FieldInfo) -> Leaf | Table:
    rule = next((item for item in info.metadata if isinstance(item, KeyRule)), None)
    if rule is not None:
        entry = get_args(info.annotation)[1]
        return Table(key_rule=rule, entry=_table(entry) if _is_model(entry) else _leaf(info))
    return _table(info.annotation) if _is_model(info.annotation) else _leaf(info)


def _table(model: Any) -> Table:
    fields: dict[str, FieldInfo] = model.model_fields
    nodes = {info.alias or name: _node(info) for name, info in fields.items()}
    tables_last = sorted(nodes.items(), key=lambda item: isinstance(item[1], Table))
    return Table(members=dict(tables_last))


def _leaf(info: FieldInfo) -> Leaf:
    default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    return Leaf(
        default=None if isinstance(default, Mapping) else default,
        required=info.is_required(),
        secret=info.annotation is SecretStr or SecretStr in _inside(info.annotation),
        unit=next((item for item in info.metadata if isinstance(item, Unit)), None),
        description=info.description or "",
        example=info.examples[0] if info.examples else None,
    )


def _inside(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of, through unions and `Annotated`."""
    parts = {annotation}
    for part in get_args(annotation):
        parts |= _inside(part) if get_args(part) else ({part} if isinstance(part, type) else set())
    return parts


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


CATALOGUE: Final = _table(Settings)
