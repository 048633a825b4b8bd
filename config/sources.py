"""Reads settings from the environment, the secrets directory and a TOML file, in that order. Validates no value itself."""

import errno
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from config.catalogue import CATALOGUE, DELIMITER, PREFIX, Leaf, Path, Table, find, leaf_of, leaves, setting_name
from config.contradictions import contradictions
from config.kinds import URL_EXAMPLE
from config.mistakes import ConfigurationError, Mistake, one_line, problem_of, shown, unknown
from config.settings import Settings

CONFIG_VARIABLE: Final = "CAMPAIGN_CONFIG"
SECRETS_VARIABLE: Final = "CAMPAIGN_SECRETS_DIR"
TEST_PREFIX: Final = "CAMPAIGN_TEST_"
"""Variables of the test suite; the service ignores them."""
LARGEST_SECRET_BYTES: Final = 64 * 1024


class Layer(PydanticBaseSettingsSource):
    """One source of settings: its values by path, and the mistakes in it."""

    def __init__(self, source: str) -> None:
        super().__init__(Settings)
        self.source = source
        self.values: dict[Path, object] = {}
        self.mistakes: list[Mistake] = []
        self.unread = False
        """Whether the source exists and could not be read, so that settings may seem to be missing."""

    def __call__(self) -> dict[str, Any]:
        """Return the values as tables within tables, which is how pydantic-settings merges sources."""
        tables: dict[str, Any] = {}
        for path, value in self.values.items():
            table = tables
            for name in path[:-1]:
                table = table.setdefault(name, {})
            table[path[-1]] = value
        return tables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return one field, as the library's interface requires; it calls the source as a whole instead."""
        return self().get(field_name), field_name, field.annotation is None

    def origin(self, path: Path) -> str:  # noqa: ARG002  # a directory of secrets answers by path
        """Return where exactly the value at `path` comes from, for messages."""
        return self.source

    def spell(self, path: Path) -> str:
        """Return the name of the setting at `path` in this source's notation."""
        return setting_name(path)

    def refuse(self, setting: str, problem: str, *, value: str | None = None, source: str | None = None) -> None:
        """Record a mistake."""
        self.mistakes.append(
            Mistake(setting=one_line(setting), value=value, source=one_line(source or self.source), problem=problem)
        )

    def drop_unknown(self) -> None:
        """Record every value that belongs to no setting as a mistake, and drop it."""
        for path, value in list(self.values.items()):
            problem = _why_unknown(path, value, self.spell)
            if problem is not None:
                del self.values[path]
                self.refuse(self.spell(path), problem, source=self.origin(path))


class EnvironmentLayer(Layer):
    """Variables that begin with `CAMPAIGN_`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__("environment")
        for name, value in environ.items():
            if name in {CONFIG_VARIABLE, SECRETS_VARIABLE} or not name.upper().startswith(PREFIX):
                continue
            if name.startswith(TEST_PREFIX):
                continue
            if name != name.upper():
                self.refuse(name, f"must be written in capitals: {one_line(name.upper())}")
                continue
            self.values[tuple(name.removeprefix(PREFIX).lower().split(DELIMITER))] = value
        self.drop_unknown()


class SecretsLayer(Layer):
    """Files named after a setting, in one directory; a closing newline is not part of the value."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        try:
            files = sorted(_named(directory).iterdir())
        except OSError as mistake:
            self.refuse(
                SECRETS_VARIABLE, f"cannot be read: {mistake.strerror}", value=one_line(directory), source="environment"
            )
            self.unread = True
            return
        for file in files:
            if not file.name.lower().startswith(PREFIX.lower()):
                continue
            if file.name != file.name.lower():
                self.refuse(file.name, f"must be written in lower case: {one_line(file.name.lower())}")
                continue
            path = tuple(file.name.removeprefix(PREFIX.lower()).split(DELIMITER))
            try:
                self.values[path] = _secret_in(file)
            except OSError as mistake:
                self.refuse(setting_name(path), f"cannot be read: {mistake.strerror}", source=self.origin(path))
            except ValueError as mistake:
                self.refuse(setting_name(path), str(mistake), source=self.origin(path))
        self.drop_unknown()

    def origin(self, path: Path) -> str:
        """Name the file."""
        return f"secrets file {FilePath(self.source, self.spell(path))}"

    def spell(self, path: Path) -> str:
        """Name the file without its directory."""
        return setting_name(path).lower()


class FileLayer(Layer):
    """A TOML file with lower-case tables."""

    def __init__(self, file: str, *, named_by: str, source: str) -> None:
        super().__init__(file)
        try:
            text = _named(file).read_bytes().decode("utf-8-sig")
            tables = tomllib.loads(text)
        except OSError as mistake:
            self.refuse(named_by, f"cannot be read: {mistake.strerror}", value=one_line(file), source=source)
        except UnicodeDecodeError:
            self.refuse(named_by, "must be a TOML file in UTF-8", value=one_line(file), source=source)
        except tomllib.TOMLDecodeError as mistake:
            self.refuse(named_by, f"is not TOML: {one_line(str(mistake))}", value=one_line(file), source=source)
        else:
            self.values.update(_flat(tables, above=()))
        self.unread = bool(self.mistakes)
        self.drop_unknown()

    def spell(self, path: Path) -> str:
        """Write a path as TOML's dotted key."""
        return ".".join(path)


def load(config_file: FilePath | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings that environment, secrets and file give together.

    Raises:
        ConfigurationError: they cannot be used; it lists every mistake.
    """
    layers = _layers(config_file, environ)
    mistakes = [mistake for layer in layers for mistake in layer.mistakes]
    broken: set[Path] = set()
    settings: Settings | None = None
    try:
        settings = _settings(layers, {("api",): {}})
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            path, leaf = _blamed(details["loc"])
            already_said = path in broken or (details["type"] == "missing" and any(layer.unread for layer in layers))
            broken.add(path)
            if not already_said:
                mistakes.append(_mistake(path, leaf, layers, problem_of(details, leaf)))
    for found in contradictions(settings or _without_broken(layers, broken)):
        if broken.isdisjoint((found.path, *found.others)):
            leaf = _leaf_at(found.path)
            mistakes.append(_mistake(found.path, leaf, layers, found.problem))
    if settings is None or mistakes:
        raise ConfigurationError(sorted(mistakes, key=lambda mistake: mistake.setting)) from None
    return settings


def _layers(config_file: FilePath | None, environ: Mapping[str, str]) -> tuple[Layer, ...]:
    """Return the existing sources, the strongest first."""
    layers: list[Layer] = [EnvironmentLayer(environ)]
    if (directory := environ.get(SECRETS_VARIABLE)) is not None:
        layers.append(SecretsLayer(directory))
    if config_file is not None:
        layers.append(FileLayer(os.fspath(config_file), named_by="--config", source="command line"))
    elif (file := environ.get(CONFIG_VARIABLE)) is not None:
        layers.append(FileLayer(file, named_by=CONFIG_VARIABLE, source="environment"))
    return tuple(layers)


def _settings(layers: Iterable[Layer], required: Mapping[Path, object]) -> Settings:
    """Return the layers' settings together; `required` fills in required settings that none of them has."""
    lowest = Layer("stand-in")
    lowest.values.update(required)
    return Settings(_build_sources=((*layers, lowest), {}))


def _without_broken(layers: tuple[Layer, ...], broken: set[Path]) -> Settings:
    """Return the settings without the invalid ones, so that the others can still be checked for contradictions."""
    for layer in layers:
        layer.values = {path: value for path, value in layer.values.items() if path not in broken}
    return _settings(layers, {("api", "url"): URL_EXAMPLE, ("api", "server_key"): "stand-in"})


def _mistake(path: Path, leaf: Leaf, layers: Iterable[Layer], problem: str) -> Mistake:
    """Return the mistake about the value at `path` from the strongest source."""
    for layer in layers:
        if path in layer.values:
            value, source = shown(layer.values[path], leaf), one_line(layer.origin(path))
            return Mistake(setting=setting_name(path), value=value, source=source, problem=problem)
    if leaf.required or leaf.default is None:
        return Mistake(setting=setting_name(path), value=None, source="not set", problem=problem)
    return Mistake(setting=setting_name(path), value=leaf.spell(leaf.default), source="default", problem=problem)


def _blamed(location: tuple[int | str, ...]) -> tuple[Path, Leaf]:
    """Return the setting that pydantic's error location is about."""
    path = tuple(map(str, location))
    found = leaf_of(path)
    if found is None:
        raise AssertionError(f"an error at {path}, where there is no setting")
    return found


def _leaf_at(path: Path) -> Leaf:
    leaf = find(path)
    assert isinstance(leaf, Leaf), path
    return leaf


def _why_unknown(path: Path, value: object, spell: Callable[[Path], str]) -> str | None:
    """Return why there is no setting at `path`, None where there is one."""
    node: Leaf | Table = CATALOGUE
    for name in path:
        if isinstance(node, Leaf):
            return unknown(path, spell)
        if name in node.members:
            node = node.members[name]
        elif node.entry is None or node.key_rule is None:
            return unknown(path, spell)
        elif not node.key_rule.admits(name):
            return f"{one_line(name) or 'nothing'} is not {node.key_rule.what}"
        else:
            node = node.entry
    if isinstance(node, Table) and value != {}:
        first = next(leaves(node, path))[0]
        return f"is a group of settings, not one; name what is meant, for example {spell(first)}"
    return None


def _named(path: str) -> FilePath:
    """Return a configured path; an empty one is an error, because it would mean the working directory."""
    if not path:
        raise OSError(errno.ENOENT, "nothing is named; leave it out")
    return FilePath(path)


def _secret_in(file: FilePath) -> str:
    with file.open("rb") as opened:
        content = opened.read(LARGEST_SECRET_BYTES + 1)
    if len(content) > LARGEST_SECRET_BYTES:
        raise ValueError(f"must be a file of at most {LARGEST_SECRET_BYTES} bytes")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8") from None


def _flat(tables: Mapping[str, object], above: Path) -> Iterator[tuple[Path, object]]:
    """Yield the values of nested tables, by path; an empty table is a value."""
    for name, value in tables.items():
        path = (*above, name)
        if isinstance(value, dict) and value:
            yield from _flat(value, path)
        else:
            yield path, value
