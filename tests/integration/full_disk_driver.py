"""Run one stage with a limit on the size of any file, as on a full disk; print the public code of the end.

python -m tests.integration.full_disk_driver HOME STAGE SUBJECT LIMIT
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from orchestration.errors import public
from tests.integration.stages_to_run import STAGES
from tests.support import open_house


def main(home: Path, stage: str, subject: str, limit: int) -> str:
    house = open_house(home)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        STAGES[stage][1](house, subject)
    except Exception as error:
        if public(error).code == "internal.unexpected":
            sys.stderr.write(f"{type(error)} {type(error).__module__} {str(error)[:400]}")
        return str(public(error).code)
    return "done"


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
