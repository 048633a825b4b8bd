"""Records an AOT cache of a broker's classes once; with it, brokers start in a third of the time. Starts work without it.

Source: JEP 514, "Ahead-of-Time Command-Line Ergonomics": a run with -XX:AOTCacheOutput writes a cache when it ends.
"""

import platform
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from consumer.demo import jars, java
from consumer.demo.broker import Broker, KafkaStartError
from consumer.demo.places import find_places, new_cluster_id


async def recording(class_path: list[Path], tell: Callable[[str], None]) -> Path | None:
    """Return the AOT cache for these jars and this runtime, recorded now if there is none; None if that fails."""
    cache = jars.cache_folder()
    recorded = cache / f"java-{java.version()}-{platform.machine()}.aot"
    if recorded.exists():
        return recorded
    tell("Recording which classes Apache Kafka loads, once, so that later starts are faster")
    with tempfile.TemporaryDirectory(dir=cache, prefix="recording-") as folder:
        made = Path(folder) / "made.aot"
        try:
            await _record(class_path, Path(folder), made)
        except KafkaStartError:
            return None  # if the real start fails, too, it says why
        if not made.exists():
            return None
        made.replace(recorded)  # atomic, because another process may record at the same time
    return recorded


async def _record(class_path: list[Path], folder: Path, made: Path) -> None:
    places = list(find_places(1, folder))
    broker = Broker(places[0], places, {}, remove_if_killed=folder)
    plain = java.Java(class_path=tuple(class_path), temporary_folder=folder)
    await broker.format(plain, new_cluster_id())
    await broker.start(java.Java(class_path=plain.class_path, temporary_folder=folder, recording=made))
    try:
        await broker.until_ready(frozenset({1}))
    except BaseException:
        broker.send(signal.SIGKILL)
        raise
    else:
        broker.send(signal.SIGTERM)
    finally:
        await broker.until_ended()
