"""Run one stage again and again, killed a little later each time, and check what a rerun makes of it.

    python -m tests.integration.kill_driver HOME STAGE SUBJECT WORK

Every step that others can see (a file gets its name, something is removed, the log grows) is a point: one
child process is killed just before it, the next child reruns the stage and checks it. The last point is the
first one that the stage does not reach. Prints how many points there were.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from orchestration.audit.log import AuditLog
from orchestration.output.charts import Chart
from orchestration.stages import release
from tests.integration.stages_to_run import STAGES, check_everywhere
from tests.support import copy_home, open_house


def kill_before(point: int) -> None:
    """From now on, die just before the visible step number `point`."""
    left = point

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return original(*arguments, **options)

        return step

    for name in ("replace", "rename", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    AuditLog.append_many = counted(AuditLog.append_many)  # type: ignore[method-assign]


def in_child(work: Callable[[], None]) -> int:
    """Exit status of a forked child that does `work`; negative when a signal ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs fails the test and does not outlive it
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(home: Path, stage: str, subject: str, work: Path) -> int:
    """How many points the stage has."""
    # The renderer and progress bars start threads, and a fork with threads may hang.
    release.draw = lambda *_: Chart(spec={}, png=b"png")  # type: ignore[attr-defined]
    tqdm.monitor_interval = 0
    _, run, check = STAGES[stage]
    warm = open_house(copy_home(home, work / "warm"))  # what loads slowly is loaded once, for all children
    run(warm, subject)
    check(warm, subject)
    warm.house.log.close()
    if threading.active_count() != 1:
        raise SystemExit("something started a thread; forking with it may hang")
    point = 0
    while True:
        place = copy_home(home, work / str(point))

        def killed(place: Path = place, point: int = point) -> None:
            house = open_house(place)
            kill_before(point)
            run(house, subject)
            house.house.log.close()

        def again(place: Path = place) -> None:
            house = open_house(place)
            run(house, subject)
            check(house, subject)
            check_everywhere(house)

        status = in_child(killed)
        if status not in (0, -signal.SIGKILL):
            raise SystemExit(f"point {point}: the stage failed by itself")
        if in_child(again) != 0:
            raise SystemExit(f"point {point}: the rerun does not hold what it must; see above")
        shutil.rmtree(place)
        if status == 0:
            return point
        point += 1


if __name__ == "__main__":
    sys.stdout.write(str(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
