"""The CPU of a run's processes, as its summary, timeline, flame views and criteria all ask for it."""

from __future__ import annotations

from functools import cached_property

from mmload.analyse.cpu import ProcessSeries, process_series
from mmload.analyse.cpu_work import WorkShare, work_shares
from mmload.analyse.load import Window, measure_window
from mmload.analyse.looking import distrust, looking
from mmload.model.result import Looking
from mmload.store.read import Run


class RunCpu:
    """`run.once(RunCpu)`: each part is computed when it is first asked for, and once. Raises FolderError on damage."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def window(self) -> Window | None:
        """The measured one; None where it never began."""
        return measure_window(self._run)

    @cached_property
    def series(self) -> dict[str, ProcessSeries]:
        return process_series(self._run.processes)

    @cached_property
    def looked(self) -> Looking:
        """Says nothing where nothing was measured."""
        return looking(self._run, self.series, self.window) if self.window else Looking()

    @cached_property
    def shares(self) -> dict[str, WorkShare]:
        """Where the profile window had another load than the measured one, that is a share's trouble."""
        return distrust(work_shares(self._run), self.looked)
