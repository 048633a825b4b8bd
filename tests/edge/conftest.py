"""Log set-up belongs to a process: each test here gets it back as it was."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    library = logging.getLogger("aiokafka")  # a command that ran in this process may have silenced it
    silenced = (library.propagate, library.disabled)
    library.propagate, library.disabled = True, False
    yield
    library.propagate, library.disabled = silenced
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
