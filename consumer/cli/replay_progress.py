"""How far reading has come, on a terminal: records, their rate, the time that is left. Silent everywhere else."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    """Records a second."""

    def render(self, task: Task) -> Text:
        """Return the present rate."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


class Bar:
    """One line on stderr, for the stage that is being read."""

    def __init__(self, doing: str = "reading") -> None:
        """Prepare. `doing` stands before the name of each stage."""
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn(f"{doing} {{task.description}}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal to others."""
        self._progress.stop()

    def stage(self, what: str, total: int) -> None:
        """Reading of so many offsets begins."""
        self._progress.reset(self._task, total=total, description=what, visible=True)

    def advance(self, offsets: int) -> None:
        """So many of them are read."""
        self._progress.advance(self._task, offsets)
