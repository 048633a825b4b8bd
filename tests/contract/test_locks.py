"""What is installed is what was locked, and the locks fit pyproject.toml."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from consumer.demo import jars
from tests.support.locks import LOCKS, PYTHONS, ROOT, Lock, check, misfits, pins

HASHED = " \\\n    --hash=sha256:" + "0" * 64 + "\n"


def test_the_locks_fit_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0, capsys.readouterr().out


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_address_and_no_place(lock: Lock) -> None:
    text = lock.path.read_text("utf-8")

    assert not re.findall(r"://|--index|--find-links|@|\s/", text)


@pytest.mark.parametrize(
    "locked,misfit",
    [
        ("other==1" + HASHED, "thing is missing"),
        ("thing==3" + HASHED, "thing is locked at 3, pyproject.toml asks for <3,>=2"),
        ("thing==2.5\n", "thing has no hash"),
        ("thing==2.5 ; python_full_version < '3.13'" + HASHED, "thing is missing"),
        ("thing==2.5 ; platform_machine == 'x86_64'" + HASHED, "thing is missing"),
    ],
)
def test_a_lock_that_no_longer_fits_is_found(locked: str, misfit: str) -> None:
    assert misfits(["thing>=2,<3"], locked) == [misfit]


def test_a_lock_that_fits_has_no_misfits() -> None:
    assert misfits(["Thing[extra]>=2,<3", "gone ; python_version < '3.0'"], "thing==2.5" + HASHED) == []


def test_a_line_that_pins_no_version_is_refused() -> None:
    with pytest.raises(ValueError, match="thing>=2 pins no version"):
        list(pins("thing>=2" + HASHED))


def test_every_lock_agrees_with_what_is_developed_on() -> None:
    versions = {lock.name: {str(pin.requirement) for pin in pins(lock.path.read_text("utf-8"))} for lock in LOCKS}

    assert not {name: pinned - versions["dev"] for name, pinned in versions.items() if pinned - versions["dev"]}


def test_every_jar_of_the_embedded_kafka_is_locked_by_its_checksum() -> None:
    locked = tomllib.loads(jars.LOCK.read_text("utf-8"))["dependencies"]

    assert {jar["version"] for jar in locked if jar["artifactId"] == "kafka_2.13"} == {jars.KAFKA_VERSION}
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar["sha256"]) for jar in locked)
    assert jars.LOCK.is_relative_to(ROOT / "consumer")


def steps_of(target: str, venv: Path) -> str:
    """What `make` would do for a target where nothing is installed yet."""
    command = ["make", "--dry-run", "--no-print-directory", f"VENV={venv}", target]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


@pytest.mark.parametrize("target", ["setup", "demo"])
def test_the_demo_installs_no_tools_of_tests(target: str, tmp_path: Path) -> None:
    steps = steps_of(target, tmp_path)

    assert steps.count("--require-hashes") == 1
    assert "deploy/locks/demo.txt" in steps
    assert "dev.txt" not in steps


@pytest.mark.parametrize(
    "target,tool", [("test", "-m pytest"), ("lint", "/ruff check"), ("check-deploy", "/hadolint ")]
)
def test_what_needs_tools_installs_them_first(target: str, tool: str, tmp_path: Path) -> None:
    before, found, _ = steps_of(target, tmp_path).partition(tool)

    assert found
    assert before.index("demo.txt") < before.index("dev.txt")


def test_ci_tries_every_python_that_we_name_and_the_image_has_one_of_them() -> None:
    tried = re.findall(r"^pythons=\((.*)\)$", (ROOT / ".ci/other-pythons").read_text("utf-8"), flags=re.MULTILINE)
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    image = re.findall(r"^FROM python:(\d+\.\d+)", (ROOT / "deploy/Dockerfile").read_text("utf-8"), flags=re.MULTILINE)

    assert tried == [" ".join(PYTHONS)]
    assert [name for name in classifiers if re.search(r":: \d+\.\d+$", name)] == [
        f"Programming Language :: Python :: {version}" for version in PYTHONS
    ]
    assert image
    assert set(image) <= set(PYTHONS)
