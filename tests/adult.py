"""The two public copies of Adult (UCI, CC BY 4.0) that published figures are about; skipped where missing.

Belongs here: where they are and how they are read. Must not be here: figures to reach.
"""

from __future__ import annotations

import pytest

from orchestration.settings import PROJECT_ROOT

_SHARED = [parent / "shared" / "data" for parent in PROJECT_ROOT.parents]
FOLDER = next((folder for folder in _SHARED if (folder / "adult_arx").is_dir()), None)
needs_adult = pytest.mark.skipif(FOLDER is None, reason="the public data is not here")

ARX = (
    *("sex", "age", "race", "marital-status", "education", "native-country", "workclass", "occupation"),
    "salary-class",
)
ANJANA = ("age", "education", "marital-status", "occupation", "sex", "native-country")


def arx() -> str:
    """A table expression over ARX's copy: 30,162 rows, 9 columns."""
    return f"read_csv('{FOLDER}/adult_arx/adult.csv', delim = ';', header = true)"


def anjana() -> str:
    """A table expression over the full Adult: 32,561 rows; its values carry leading blanks."""
    names = ", ".join(f'trim(CAST("{name}" AS VARCHAR)) AS "{name}"' for name in ANJANA)
    return f"(SELECT {names} FROM read_csv('{FOLDER}/adult_anjana/adult.csv', normalize_names = false))"
