"""What was taken back, or whose days are over, is nowhere: no byte, no key, no query, no copy that opens.

People are planted in two datasets of a finished house. They go in every way there is; then every file below
the home folder is searched, opened with every key that is left, and every door is asked.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from orchestration.audit import tables
from orchestration.audit.governance_events import DecisionOpened, ParticipantLeft
from orchestration.audit.replay import replay
from orchestration.audit.vocabulary import now
from orchestration.audit.withdrawal_events import ContributionWithdrawn
from orchestration.computation.runner import prepare_manifest
from orchestration.engine.duck import quote_name, quote_text
from orchestration.engine.extension import load_httpfs
from orchestration.errors import ContributionError
from orchestration.stages import governance, refresh
from orchestration.stages.withdrawal import apply_due, withdraw_people
from tests.governed_charter import governed
from tests.integration.command import glasshouse
from tests.promises.canary_run import search
from tests.support import CALLER, ROWS, TinyHouse, copy_home, csv_bytes, household, make_house, open_house
from tests.unit.portal.portal_house import client_of

LEAVING = [household(n) for n in range(6)]
STAYING = household(99)
_LISTINGS = (
    ("status",), ("contribution", "list"), ("withdraw", "list"), ("destruction", "list"),
    ("catalog", "list"), ("catalog", "record"), ("audit", "log", "--limit", "999"), ("report", "council"),
)  # fmt: skip
_PAGES = ("", "overview.json", "lineage.json", "log.json", "governance.json")


@pytest.fixture(scope="session")
def full_home(tmp_path_factory: pytest.TempPathFactory, initialized_home: Path) -> Path:
    """A closed house with three datasets in its room: copy it, never open it."""
    home = tmp_path_factory.mktemp("full")
    shutil.copytree(initialized_home / "house" / "dbt", home / "house" / "dbt")
    tiny = make_house(home, charter=governed())
    prepare_manifest(tiny.house.settings)
    for dataset in ROWS:
        tiny.contribute(dataset)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    tiny.house.log.close()
    return home


@pytest.fixture
def tiny(full_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHouse]:
    opened = open_house(copy_home(full_home, tmp_path / "copy"))
    monkeypatch.setenv("GLASSHOUSE_HOME", str(opened.root))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(opened.house.settings.charters))
    monkeypatch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
    yield opened
    assert replay(opened.house.log).ok
    opened.house.log.close()


# --- what is looked for, and everything that can be read


def names_of(tiny: TinyHouse, person: str) -> tuple[str, str, str]:
    """A person as delivered, as its desk calls it, and as the room does."""
    desk = _hmac(tiny.house.pseudonym_key("tiny"), person)
    return person, desk, _hmac(tiny.house.blinding_key("tiny"), desk)


def _hmac(key: bytes, text: str) -> str:
    return hmac.new(key, b"household\0" + text.encode(), hashlib.sha256).hexdigest()


def keys_left(tiny: TinyHouse) -> list[bytes]:
    folder = tiny.root / "keys"
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.key")]
    return [tiny.house.keys.secret(name) for name in names]


def opened(folder: Path, keys: list[bytes]) -> dict[str, str]:
    """Every encrypted file below the folder that one of the keys opens: its path → all its content."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        text = next(filter(None, (_content(path, key) for key in keys)), None)
        if text is not None:
            found[name] = text
    return found


def _content(path: Path, key: bytes) -> str | None:
    try:
        match path.suffix:
            case ".parquet":
                with duckdb.connect() as connection:
                    load_httpfs(connection)
                    options = "encryption_config = {footer_key_value: ?}"
                    query = f"FROM read_parquet({quote_text(str(path))}, {options})"
                    return repr(connection.execute(query, [key]).fetchall()) or None
            case ".duckdb":
                return _room(path, key)
            case ".aes":
                data = path.read_bytes()
                return AESGCM(key).decrypt(data[:12], data[12:], path.stem.encode()).decode()
    except (duckdb.Error, InvalidTag, ValueError):
        return None
    return None


def _room(path: Path, key: bytes) -> str:
    """Every row of every table and view of a room."""
    with duckdb.connect() as connection:
        load_httpfs(connection)
        attached = f"ATTACH {quote_text(str(path))} AS room (ENCRYPTION_KEY ?, READ_ONLY)"
        connection.execute(attached, [key.hex()])
        places = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'room'"
        ).fetchall()
        said = [repr(places)]
        for schema, name in places:
            relation = f"room.{quote_name(schema)}.{quote_name(name)}"
            said.append(repr(connection.execute(f"FROM {relation}").fetchall()))
    return "\n".join(said)


def everything_said(tiny: TinyHouse) -> str:
    """What every listing prints and every page shows."""
    said = [glasshouse(*command, "--json").out + glasshouse(*command).out for command in _LISTINGS]
    with client_of(tiny.house, "panel.auditor", "tiny") as client:
        said += [client.get(f"/{page}").text for page in _PAGES]
    return "\n".join(said)


def assert_nowhere(tiny: TinyHouse, people: list[str], *, keys: list[bytes] | None = None) -> None:
    """Of these people no byte, and nothing in any file that opens, but the list of who was taken out."""
    names = {name: name.encode() for person in people for name in names_of(tiny, person)}
    assert search([tiny.root], names) == []
    for file, text in opened(tiny.root, keys or keys_left(tiny)).items():
        if not file.startswith("vault/people-2"):  # a list of people taken out; see below
            assert not [name for name in names if name in text], file
    said = everything_said(tiny)
    assert not [name for name in names if name in said]


def backup(tiny: TinyHouse, folder: Path) -> Path:
    """Every file that holds data, without keys, as somebody copied it before."""
    for store in ("vault", "room", "history", "quarantine"):
        if (tiny.root / store).exists():
            shutil.copytree(tiny.root / store, folder / store)
    return folder


def contribution_of(tiny: TinyHouse, dataset: str) -> str:
    with tiny.house.state("tiny") as state:
        (row,) = state.rows(tables.contributions, dataset=dataset, status="accepted")
    return str(row.contribution)


# --- people


def take_out(tiny: TinyHouse, folder: Path) -> None:
    people = folder / "people.csv"
    people.write_text("\n".join(["household_id", *LEAVING]) + "\n")
    for dataset, member in (("people", "panel.steward"), ("sales", "shop.steward")):
        withdraw_people(
            tiny.house, tiny.charter, tiny.dataset(dataset), people, signer=member,
            key=tiny.key(member), reason="erasure", justification="They asked for it.",
        )  # fmt: skip
    apply_due(tiny.house, "tiny")


def test_people_who_were_taken_out_are_nowhere(tiny: TinyHouse, tmp_path: Path) -> None:
    old = backup(tiny, tmp_path / "backup")
    before = opened(tiny.root, keys_left(tiny))
    raw, _, blinded = names_of(tiny, LEAVING[0])
    assert raw in "".join(text for file, text in before.items() if file.startswith("vault/"))
    assert blinded in before["room/tiny.duckdb"]
    assert [file for file in before if file.startswith("history/")]

    take_out(tiny, tmp_path)
    assert_nowhere(tiny, LEAVING)
    products = contribution_of(tiny, "products")
    still = opened(old, keys_left(tiny))
    assert set(still) == {f"vault/{products}.parquet", f"history/{products}.aes"}, "what is about nobody"

    for dataset in ("people", "sales"):
        contribution = contribution_of(tiny, dataset)
        tiny.deidentify(dataset, contribution)
        assert tiny.gate(dataset, contribution).passed
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    assert_nowhere(tiny, LEAVING)
    assert names_of(tiny, STAYING)[2] in opened(tiny.root, keys_left(tiny))["room/tiny.duckdb"]


def test_a_later_delivery_does_not_bring_them_back(tiny: TinyHouse, tmp_path: Path) -> None:
    take_out(tiny, tmp_path)
    lists = {f: t for f, t in opened(tiny.root, keys_left(tiny)).items() if f.startswith("vault/people-2")}
    assert len(lists) == 2
    for text in lists.values():  # kept for this: pseudonyms of the desk, and nothing else
        assert all(names_of(tiny, person)[1] in text for person in LEAVING)
        assert not [person for person in LEAVING if person in text]
    again = [{**row, "income": "high"} for row in ROWS["people"]()]
    logged = tiny.accept("people", tiny.deliver("people", csv_bytes(again)))
    payload = logged.event.payload
    assert payload.quarantined_rows == {"withdrawn": len(LEAVING)}  # type: ignore[attr-defined]
    tiny.deidentify("people", payload.receipt.subject)  # type: ignore[attr-defined]
    assert_nowhere(tiny, LEAVING)
    only_them = [row for row in again if row["household_id"] in LEAVING]
    with pytest.raises(ContributionError, match=r"^contribution\.no_valid_rows") as caught:
        tiny.accept("people", tiny.deliver("people", csv_bytes(only_them)))
    assert f"withdrawn {len(LEAVING)}" in str(caught.value.next_step)
    assert_nowhere(tiny, LEAVING)


# --- contributions, and everything


def _withdraw_all(tiny: TinyHouse) -> None:
    for dataset in ("people", "sales"):
        name = contribution_of(tiny, dataset)
        payload = ContributionWithdrawn(contribution=name, dataset=dataset, reason="error")
        tiny.act(f"{tiny.dataset(dataset).participant}.steward", name, payload)


def _let_days_pass(tiny: TinyHouse) -> None:
    tiny.house.log.clock = lambda: now() + timedelta(days=61)
    governance.settle(tiny.house, "tiny")


def _leave(tiny: TinyHouse) -> None:
    for participant in ("shop", "panel"):
        tiny.act(f"{participant}.steward", participant, ParticipantLeft(participant=participant))


def _close(tiny: TinyHouse) -> None:
    opened = DecisionOpened(matter="closing", about="tiny", content={})
    tiny.act("shop.steward", "closing-1", opened)
    tiny.vote("closing-1", "panel.steward")
    assert tiny.payloads("charter.closed")


@pytest.mark.parametrize("end", [_withdraw_all, _let_days_pass, _leave, _close], ids=lambda end: end.__name__)
def test_however_data_ends_nothing_of_it_is_left(
    tiny: TinyHouse, tmp_path: Path, end: Callable[[TinyHouse], None]
) -> None:
    everybody = [household(n) for n in range(0, 120, 17)]
    names = [name for person in everybody for name in names_of(tiny, person)]
    given = [contribution_of(tiny, dataset) for dataset in ("people", "sales")]
    old = backup(tiny, tmp_path / "backup")
    assert any(name in text for text in opened(old, keys_left(tiny)).values() for name in names)
    end(tiny)
    keys = keys_left(tiny)
    assert search([tiny.root], {name: name.encode() for name in names}) == []
    for folder in (tiny.root, old):
        texts = opened(folder, keys)
        assert not [file for file, text in texts.items() for name in names if name in text]
        assert not [file for file in texts for each in given if each in file]
        assert "room/tiny.duckdb" not in texts or folder == tiny.root
    said = everything_said(tiny)
    assert not [name for name in names if name in said]
