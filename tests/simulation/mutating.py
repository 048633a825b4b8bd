"""Breaks a rule in the running code, mends it afterwards, and looks for a world that shows it. Knows no rule.

A change names a function of the real code, a piece of its source and what stands there instead. Where that piece is
gone, or stands there twice, the mutation fails and says so: find where the rule lives now, and mend the entry.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from tests.simulation.judge import ProcessEndedError, Violation
from tests.simulation.scenario import scenario_of
from tests.simulation.world import World


class MutationError(Exception):
    """A mutation does not fit the code any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """`where` is `module:qualified.name`; `old` stands in its source exactly once."""

    where: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A rule that is broken, and how."""

    rule: str
    changes: tuple[Change, ...]
    first_seed: int = 0
    """The seed from which on worlds are searched: some show only in those of a style of their own."""


@contextmanager
def applied(mutation: Mutation) -> Iterator[None]:
    """Have the rule broken in the running code; mend it afterwards.

    Raises:
        MutationError: the code has moved away from under it.
    """
    changed = [
        (function := _function(change.where), function.__code__, _changed(function, change))
        for change in mutation.changes
    ]
    try:
        for function, _, code in changed:
            function.__code__ = code
        yield
    finally:
        for function, code, _ in changed:
            function.__code__ = code


def _function(where: str) -> FunctionType:
    module_name, _, qualified = where.partition(":")
    found: Any = import_module(module_name)
    for name in qualified.split("."):
        try:
            found = inspect.getattr_static(found, name)
        except AttributeError:
            raise MutationError(f"there is no {where} any more: name the function that the rule lives in now") from None
    if isinstance(found, property):
        found = found.fget
    if not isinstance(found, FunctionType):
        raise MutationError(f"{where} is no function: name the one that the rule lives in now")
    return found


def _changed(function: FunctionType, change: Change) -> CodeType:
    source = inspect.getsource(function)
    times = source.count(change.old)
    if times != 1:
        raise MutationError(
            f"{change.old!r} stands {times} times in {change.where}, not once: say what stands there now"
        )
    tree = ast.parse(textwrap.dedent(source.replace(change.old, change.new)))
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    definition.decorator_list = []
    made: dict[str, FunctionType] = {}
    exec(compile(tree, inspect.getfile(function), "exec"), function.__globals__, made)  # noqa: S102  # the point of it
    return made[definition.name].__code__


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The world in which a broken rule was seen: so many were played, and this promise is broken in the last."""

    worlds: int
    seed: int
    violation: Violation


def seen(first_seed: int, *, worlds: int) -> Sighting | None:
    """Play consecutive seeds until a promise is seen to be broken; None where none of so many worlds shows it.

    Where the broken code notices by itself, and stops, no promise is broken: that is not what is tried here.
    """
    for played in range(worlds):
        try:
            World(scenario_of(first_seed + played)).play()
        except ProcessEndedError:
            continue
        except Violation as violation:
            return Sighting(worlds=played + 1, seed=first_seed + played, violation=violation)
    return None


def mutation(rule: str, *changes: tuple[str, str, str], first_seed: int = 0) -> Mutation:
    """Return a rule that is broken by changes of code: where, what stands there, and what shall."""
    return Mutation(rule, tuple(Change(*change) for change in changes), first_seed)
