"""Writes deploy/locks from pyproject.toml, and says where they no longer fit. Never installs anything.

`python -m tests.support.locks check` needs no network; `write` resolves anew (through uv, from the dev lock itself).
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "locks"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One lock file: what of pyproject.toml it must satisfy."""

    name: str
    extras: tuple[str, ...] = ()
    includes_project: bool = True
    includes_build: bool = False

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.txt"

    def requirements(self, project: Mapping[str, Any]) -> list[str]:
        """Every requirement that pyproject.toml states for this lock."""
        stated: list[str] = []
        if self.includes_project:
            stated += project["project"]["dependencies"]
        for extra in self.extras:
            stated += project["project"]["optional-dependencies"][extra]
        if self.includes_build:
            stated += project["build-system"]["requires"]
        return stated


# dev comes first: it holds everything, and the others take its versions, so that all four agree.
LOCKS = (
    Lock(name="dev", extras=("demo", "otel", "dev"), includes_build=True),
    Lock(name="run", extras=("otel",)),
    Lock(name="demo", extras=("demo",)),
    Lock(name="build", includes_project=False, includes_build=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One line of a lock: a version, the machines it is for, and how many hashes guard it."""

    requirement: Requirement
    version: Version
    hashes: int


def pins(text: str) -> Iterator[Pin]:
    """The pins of a lock file's text. ValueError when a line pins nothing."""
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        head, *hashes = line.split(" --hash=")
        requirement = Requirement(head.strip())
        (specifier,) = requirement.specifier
        if specifier.operator != "==":
            raise ValueError(f"{head.strip()} pins no version")
        yield Pin(requirement=requirement, version=Version(specifier.version), hashes=len(hashes))


def misfits(stated: Sequence[str], text: str) -> list[str]:
    """Why a lock's text does not satisfy the stated requirements on every Python and machine; empty when it does."""
    found = list(pins(text))
    wrong = [f"{pin.requirement.name} has no hash" for pin in found if not pin.hashes]
    for python in PYTHONS:
        for machine in MACHINES:
            wrong += _misfits_on(_environment(python, machine), [Requirement(line) for line in stated], found)
    return list(dict.fromkeys(wrong))


def _misfits_on(environment: dict[str, str], stated: list[Requirement], found: list[Pin]) -> Iterator[str]:
    here = {
        canonicalize_name(pin.requirement.name): pin.version for pin in found if _applies(pin.requirement, environment)
    }
    for requirement in stated:
        if not _applies(requirement, environment):
            continue
        version = here.get(canonicalize_name(requirement.name))
        if version is None:
            yield f"{requirement.name} is missing"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement.name} is locked at {version}, pyproject.toml asks for {requirement.specifier}"


def _applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def _environment(python: str, machine: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def check() -> int:
    """Print a line for each misfit; the process's exit code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wrong = [
        f"{lock.path.relative_to(ROOT)}: {misfit}"
        for lock in LOCKS
        for misfit in misfits(lock.requirements(project), lock.path.read_text("utf-8"))
    ]
    for line in wrong:
        print(line)
    if wrong:
        print("The locks no longer fit pyproject.toml: run `make locks`, and commit what it writes.")
        return 1
    print(f"{len(LOCKS)} locks fit pyproject.toml.")
    return 0


def write() -> int:
    """Resolve every lock anew; the process's exit code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for lock in LOCKS:
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "-", "--quiet"),
            *("--universal", "--python-version", PYTHONS[0], "--only-binary", ":all:", "--generate-hashes"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--output-file", str(lock.path)),
            *(() if lock.name == "dev" else ("--constraints", str(LOCKS[0].path))),
        ]
        # Upgrades only what must move: uv prefers the versions of the lock that is there. Delete it to start afresh.
        stated = "\n".join(lock.requirements(project))
        resolved = subprocess.run(command, check=False, input=stated, text=True, cwd=ROOT)
        if resolved.returncode:
            return resolved.returncode
    return check()


if __name__ == "__main__":
    sys.exit({"check": check, "write": write}[sys.argv[1]]())
