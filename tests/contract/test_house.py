"""How the house is kept: what its modules say first, how large they grow, what stands where, what is never written."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("consumer", "schemas", "config", "tests")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LINES_IN_A_MODULE = 400
LINES_IN_A_FUNCTION = 50
WORDS_IN_A_SENTENCE = 3

TOP_LEVEL = {
    *("consumer", "schemas", "config", "tests", "deploy"),
    *("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "LICENSE"),
    *(".ci", ".dockerignore", ".editorconfig", ".gitignore", ".pre-commit-config.yaml"),
}
# Made by tools, and named in .gitignore.
GENERATED = {
    *(".git", ".venv", ".cache", ".hypothesis", ".import_linter_cache", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    *("build", "dist"),
}

# What `core` may stand on besides itself and `schemas`: values, and what reads and writes them.
CORE_MAY_IMPORT = {
    *("msgspec", "orjson", "xxhash", "schemas"),
    *("collections", "contextlib", "dataclasses", "enum", "functools", "itertools", "operator", "types", "typing"),
    *(
        "array",
        "base64",
        "bisect",
        "datetime",
        "difflib",
        "hashlib",
        "heapq",
        "math",
        "re",
        "string",
        "struct",
        "unicodedata",
        "uuid",
    ),
}

# Promises to finish later, and pretence. (Spelled so that this file may be checked as well.)
NEVER_WRITTEN = re.compile(
    r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K]|st[u]bs?|place[h]older|for n[o]w|unittest\.m[o]ck|Not[I]mplementedError)\b",
    re.IGNORECASE,
)

every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@every_module
def test_a_module_says_first_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")

    assert text.startswith('"""'), "its first line is a docstring"
    said = ast.get_docstring(ast.parse(text)) or ""
    first, *_ = said.split("\n")
    assert len(first.split()) >= WORDS_IN_A_SENTENCE
    assert first.endswith((".", "?")), "a sentence that ends on its line"


@every_module
def test_a_module_is_short_enough_to_be_read_at_a_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LINES_IN_A_MODULE


@every_module
def test_a_function_fits_on_a_page(path: Path) -> None:
    sizes = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in _functions(ast.parse(path.read_text("utf-8")))
    }
    assert not {name: size for name, size in sizes.items() if size > LINES_IN_A_FUNCTION}


@every_module
def test_a_module_promises_nothing_for_later(path: Path) -> None:
    found = [line for line in path.read_text("utf-8").splitlines() if NEVER_WRITTEN.search(line)]
    assert not found


VALUES_OF_SYS = frozenset({"sys.byteorder", "sys.intern"})


@pytest.mark.parametrize(
    "path", sorted((ROOT / "consumer" / "core").glob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_core_imports_values_and_nothing_that_acts(path: Path) -> None:
    tops = {name.split(".")[0] for name in _imported(ast.parse(path.read_text("utf-8"))) if name not in VALUES_OF_SYS}
    tops.discard("consumer")  # which rooms of it is the import contracts' business
    assert tops <= CORE_MAY_IMPORT, f"{sorted(tops - CORE_MAY_IMPORT)}: the core decides, it touches nothing"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name.startswith("test_")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_test_is_named_as_a_sentence_and_never_sleeps(path: Path) -> None:
    for node in _functions(ast.parse(path.read_text("utf-8"))):
        if not node.name.startswith("test_"):
            continue
        assert len(node.name.removeprefix("test_").split("_")) >= WORDS_IN_A_SENTENCE, node.name
        slept = [
            ast.unparse(call)
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
            and ast.unparse(call.func).endswith("sleep")
            and ast.unparse(call.args[0]) != "0"
        ]
        assert not slept, f"{node.name} waits for time to pass instead of for what it is about"


def test_nothing_else_stands_at_the_top() -> None:
    there = {path.name for path in ROOT.iterdir()} - GENERATED

    assert there == TOP_LEVEL


def test_no_room_stands_empty() -> None:
    rooms = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_dir()]
    empty = [
        str(room.relative_to(ROOT))
        for room in rooms
        if room.name != "__pycache__"
        and not any(path.name not in {"__init__.py", "__pycache__"} for path in room.iterdir())
    ]
    assert not empty


def test_the_standard_library_names_the_core_may_use_exist() -> None:
    packages = {"msgspec", "orjson", "xxhash", "schemas"}

    assert CORE_MAY_IMPORT - packages <= sys.stdlib_module_names


def test_every_module_that_make_runs_is_there() -> None:
    named = re.findall(r"python -m ((?:consumer|schemas|config|tests)[.\w]*)", (ROOT / "Makefile").read_text("utf-8"))

    assert named
    assert [name for name in named if not (ROOT / name.replace(".", "/")).with_suffix(".py").exists()] == []


def test_a_class_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = {}
    for package in ("consumer", "schemas", "config"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))

    assert {name: where for name, where in places.items() if len(where) > 1} == {}
