"""The jars of the embedded Apache Kafka: downloaded once by jgo, checked against the lock each time. Starts nothing.

The lock is a file beside this module. `python -m consumer.demo.jars` writes it again (part of `make locks`).
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from consumer.demo.java import EXTRA_MISSING

KAFKA_VERSION = "4.4.0"
LOCK = Path(__file__).with_name("apache_kafka.lock.toml")
REPOSITORY = "Maven Central"

# kafka-tools brings the commands (topics, groups); of what it needs, Connect's runtime serves no command used here.
_WANTED = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",
)
_UNWANTED = (("org.apache.kafka", "connect-runtime"),)
_DOWNLOADS = 8  # at once: the jars are many and small


class JarsError(RuntimeError):
    """The locked jars cannot be downloaded; the message says why and what to do."""


def cache_folder() -> Path:
    """Return the jars' folder: in $XDG_CACHE_HOME or ~/.cache, named after the lock's content."""
    stated = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(stated) if Path(stated).is_absolute() else Path.home() / ".cache"
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    return base / "campaign-consumer" / f"kafka-{KAFKA_VERSION}-{lock}"


def fetch(tell: Callable[[str], None]) -> list[Path]:
    """Return the paths of all locked jars, downloaded if missing and checked. Raises JarsError when that fails.

    Several processes may do this at once, because a jar is moved into the cache only when it is complete.
    """
    authorities = os.environ.get("SSL_CERT_FILE")
    if authorities and not os.environ.get("CURL_CA_BUNDLE"):
        os.environ.setdefault("REQUESTS_CA_BUNDLE", authorities)  # jgo uses requests, which reads only this variable
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    locked = _read_lock().dependencies
    missing = [jar for jar in locked if not _is_as_locked(folder / _file_name(jar), jar.sha256)]
    if missing:
        tell(f"Fetching Apache Kafka {KAFKA_VERSION}: {len(missing)} jars from {REPOSITORY} into {folder}")
        with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as unchecked:
            _download(missing, Path(unchecked), folder)
    return [folder / _file_name(jar) for jar in locked]


def _download(missing: list[Any], unchecked: Path, folder: Path) -> None:
    # By itself jgo sorts the jars into jars/ and modules/, and downloads a Java to do so; here all go on the class path.
    context = _context(unchecked)

    def one(jar: Any) -> None:
        coordinate = f"{jar.groupId}:{jar.artifactId}:{jar.version}"
        project = context.project(jar.groupId, jar.artifactId).at_version(jar.version)
        try:
            path = project.artifact(jar.classifier or "", jar.packaging).resolve()
        except Exception as error:
            raise JarsError(f"{coordinate} cannot be fetched from {REPOSITORY} ({error}): {_cure(error)}") from error
        if not _is_as_locked(path, jar.sha256):
            raise JarsError(
                f"{coordinate} as fetched is not the file that {LOCK.name} names (SHA-256 {jar.sha256}): "
                "something on the way changes it, or it was cut short; it is not used"
            )
        path.replace(folder / _file_name(jar))

    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        for _ in pool.map(one, missing):
            pass


def _cure(error: BaseException) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):  # requests wraps it several times
        return (
            "a proxy on the way answers with a certificate of its own, or this machine lacks the usual authorities: "
            "name a file of authorities in REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
        )
    return "the first run needs the network, or a proxy named by HTTPS_PROXY"


def _is_as_locked(path: Path, sha256: str | None) -> bool:
    if sha256 is None or not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _file_name(jar: Any) -> str:
    classifier = f"-{jar.classifier}" if jar.classifier else ""
    return f"{jar.artifactId}-{jar.version}{classifier}.{jar.packaging}"


def _context(repository: Path) -> Any:
    try:
        from jgo.maven import MavenContext
    except ImportError as error:
        raise JarsError(EXTRA_MISSING) from error
    return MavenContext(repo_cache=repository, timeout=60)


def _read_lock() -> Any:
    _context(Path())  # says what to install where jgo is missing
    from jgo.env import LockFile

    return LockFile.load(LOCK)


def write_lock() -> None:
    """Resolve the dependencies again, and write the lock if they have changed."""
    from jgo.env import LockFile

    with tempfile.TemporaryDirectory() as folder:
        context = _context(Path(folder))
        unwanted = [context.project(*project) for project in _UNWANTED]
        wanted = [context.create_dependency(coordinate, unwanted) for coordinate in _WANTED]
        resolved = LockFile.from_resolved_dependencies(list(_needed(*context.resolver.resolve(wanted))))
    if not LOCK.exists() or _content(resolved) != _content(_read_lock()):
        resolved.save(LOCK)


def _content(lock: Any) -> list[dict[str, str]]:
    return [jar.to_dict() for jar in lock.dependencies]


def _needed(stated: list[Any], brought: list[Any]) -> Iterator[Any]:
    yield from stated
    yield from (dependency for dependency in brought if dependency.scope in {"compile", "runtime"})


if __name__ == "__main__":
    write_lock()
    sys.stdout.write(f"{LOCK.name} holds {len(_read_lock().dependencies)} jars.\n")
