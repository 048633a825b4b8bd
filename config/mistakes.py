"""Mistakes in a configuration, each as one line: setting, value, source, cure. Never shows a secret."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic_core import ErrorDetails

from config.catalogue import Leaf, Path, leaves, setting_name

LONGEST_VALUE_SHOWN: Final = 80
CREDENTIALS: Final = re.compile(r"""[^\s/@"',]+@""")
"""The part before an @ in a URL or an address, which may be a password."""
KUBERNETES_LINK: Final = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$")
ALIKE: Final = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake. `value` is the setting's value as it may be shown; None if it may not be, or there is none."""

    setting: str
    value: str | None
    source: str
    problem: str

    def __str__(self) -> str:
        named = self.setting if self.value is None else f"{self.setting}={self.value}"
        return f"{named} ({self.source}): {self.problem}"


class ConfigurationError(Exception):
    """The configuration cannot be used; `mistakes` lists everything that is wrong with it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


def one_line(text: str) -> str:
    """Return `text` with unprintable characters, such as line breaks, as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def shown(value: object, leaf: Leaf) -> str | None:
    """Return a value for a message, as it was written and without credentials; None for a secret."""
    if leaf.secret:
        return None
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = one_line(CREDENTIALS.sub("***@", text))
    return text if len(text) <= LONGEST_VALUE_SHOWN else text[:LONGEST_VALUE_SHOWN] + "…"


def nearest(path: Path) -> Path | None:
    """Return the setting whose name is most like `path`, None where none is similar."""
    known: dict[str, Path] = {}
    for candidate, _ in leaves():
        meant = tuple(
            path[depth] if name == "<id>" and depth < len(path) else name for depth, name in enumerate(candidate)
        )
        known[setting_name(meant)] = meant
    found = difflib.get_close_matches(setting_name(path), known, n=1, cutoff=ALIKE)
    return known[found[0]] if found else None


def unknown(path: Path, spell: Callable[[Path], str]) -> str:
    """Return the problem of a setting that does not exist; `spell` writes a path in its source's notation."""
    if KUBERNETES_LINK.search(setting_name(path)):
        return "unknown setting; Kubernetes sets it for a Service of that name: enableServiceLinks: false in the pod"
    meant = nearest(path)
    return f"unknown setting; did you mean {spell(meant)}?" if meant else "unknown setting; remove it"


def problem_of(error: ErrorDetails, leaf: Leaf) -> str:
    """Return what a value must be, without the value."""
    context = error.get("ctx", {})
    said = PROBLEMS.get(error["type"])
    if said is not None:
        return said
    match error["type"]:
        case "missing":
            return f"must be set: {leaf.description[0].lower()}{leaf.description[1:].rstrip('.')}"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be one of {str(context['expected']).replace(chr(39), '')}"
        case kind if kind in BOUNDS:
            word, key = BOUNDS[kind]
            return f"must be {word} {leaf.spell(context[key])}"
        case _:
            return error["msg"]


BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
PROBLEMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("int_parsing", "int_type", "int_from_float", "int_parsing_size", "finite_number"), "must be a whole number"
    ),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    **dict.fromkeys(("string_type", "string_sub_type"), "must be text"),
    **dict.fromkeys(("tuple_type", "list_type", "iterable_type"), "must be a list"),
    "path_type": "must be a file's path",
    "string_unicode": "must be UTF-8",
}
