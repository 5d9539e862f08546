"""What each page of the portal hands to its template, with its JSON and CSV twins.

Must not be here: addresses (`app`), reading the log (`overview`, `governance`, `journal`, `health`), cutting
or drawing lineage, or signing in (`entrance`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from orchestration.audit.catalog.entry import document
from orchestration.audit.lineage_graph import LineageGraph, build_graph
from orchestration.audit.vocabulary import timestamp
from orchestration.charter.model import Charter
from orchestration.charter.taxonomy import TAXONOMY
from orchestration.errors import (
    ConfigError,
    IntegrityError,
    PolicyDeniedError,
    PublicError,
    Reason,
    public,
)
from orchestration.house import House
from orchestration.portal import catalog, drawing, governance, journal, lineage_view, overview, texts
from orchestration.portal.catalog import DatasetPage
from orchestration.portal.catalog import Page as CatalogPage
from orchestration.portal.entrance import BAD_ENTRY
from orchestration.portal.exports import csv_response, json_response
from orchestration.portal.governance import Governance
from orchestration.portal.health import Verifier, head
from orchestration.portal.overview import Overview
from orchestration.portal.records import read_lineage
from orchestration.portal.sight import Seen, Sight
from orchestration.stages.login import Viewer

NO_SUCH_PAGE = Reason(
    "portal.no_such_page",
    "This portal has no page at that address.",
    "Start from the overview.",
)
BAD_NUMBER = Reason(
    "portal.bad_number",
    "`before` must be the number of an event.",
    "Follow the links below the list instead of typing the address.",
)


class Pages:
    """The endpoints. They are plain functions, so Starlette runs them in threads: the log may block."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._verifier = Verifier(house)
        self._sight = Sight(house.log)
        self._templates = Environment(
            loader=PackageLoader("orchestration.portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(texts.FILTERS)

    # --- overview

    def overview(self, request: Request) -> Response:
        charter = self._charter(request)
        return self._page(
            request,
            "overview.html",
            charter=charter,
            view=self._overview(request),
            health=self._verifier.outcome(),
            is_whole=self._seen(request).is_whole,
            json="/overview.json",
            csv="/overview.csv",
        )

    def overview_json(self, request: Request) -> Response:
        found, whole = self._overview(request), self._seen(request).is_whole
        health = self._verifier.outcome()
        verification = health.verification
        return json_response(
            {
                **asdict(found),
                "log": {
                    **asdict(head(self._house)),
                    "verified_at": timestamp(health.at),
                    "sealed": verification.sealed,
                    "ok": verification.ok,
                    "counts": [asdict(count) for count in verification.counts],
                    "problems": len(verification.problems),
                    "found": [asdict(problem) for problem in verification.problems] if whole else [],
                },
            }
        )

    def overview_csv(self, request: Request) -> Response:
        found = self._overview(request)
        return csv_response(overview.CSV_COLUMNS, overview.rows(found), "stages.csv")

    def _overview(self, request: Request) -> Overview:
        seen = self._seen(request).numbers
        return overview.overview(self._house, self._charter(request), _viewer(request), seen)

    # --- governance

    def governance(self, request: Request) -> Response:
        return self._page(
            request,
            "governance.html",
            view=self._governance(request),
            json="/governance.json",
            csv=None,
        )

    def governance_json(self, request: Request) -> Response:
        return json_response(asdict(self._governance(request)))

    def _governance(self, request: Request) -> Governance:
        seen = self._seen(request).numbers
        return governance.read_governance(self._house, self._charter(request), seen)

    # --- lineage

    def lineage(self, request: Request) -> Response:
        view, whole, shown = self._lineage(request)
        charter = self._charter(request)
        made_from = lineage_view.parties(whole, {each.id: each.participant for each in charter.datasets})
        order = [each.id for each in charter.participants]
        expanded = {table.id for table in shown.tables if view.level == "column" or table.name == view.table}
        names = [table.name for table in whole.tables]
        return self._page(
            request,
            "lineage.html",
            charter=charter,
            view=view,
            graph=shown,
            whole=whole,
            drawing=drawing.draw(shown, made_from, order, expanded),
            made_from=made_from,
            datasets=[name.partition(".")[2] for name in names if name.startswith("contribution.")],
            insights=[name.partition(".")[2] for name in names if name.startswith("insight.")],
            rows=lineage_view.edge_rows(shown),
            json=f"/lineage.json{view.query}",
            csv=f"/lineage.csv{view.query}",
        )

    def lineage_json(self, request: Request) -> Response:
        _, _, shown = self._lineage(request)
        tables = [
            {
                "name": table.name,
                "layer": table.layer,
                "owner": table.owner,
                "columns": [{"name": each.name, "type": each.type} for each in table.columns],
                "made": asdict(table.made) if table.made else None,
            }
            for table in shown.tables
        ]
        return json_response({"tables": tables, "edges": lineage_view.edge_rows(shown)})

    def lineage_csv(self, request: Request) -> Response:
        _, _, shown = self._lineage(request)
        return csv_response(lineage_view.CSV_COLUMNS, lineage_view.edge_rows(shown), "lineage.csv")

    def _lineage(self, request: Request) -> tuple[lineage_view.View, LineageGraph, LineageGraph]:
        """(what the address asks for, the graph of everything the viewer sees, the part of it)."""
        collaboration = _viewer(request).collaboration
        view = lineage_view.read_view(request.query_params, [collaboration])
        with self._house.log.read() as connection:
            runs = read_lineage(connection, self._seen(request).numbers)
        whole = build_graph(runs, collaboration)
        return view, whole, lineage_view.cut(whole, view)

    # --- catalog

    def catalog(self, request: Request) -> Response:
        page = self._catalog(request)
        twin = texts.query(q=page.asked or None)
        return self._page(
            request,
            "catalog.html",
            charter=self._charter(request),
            page=page,
            classes=TAXONOMY.classes,
            json=f"/catalog.json{twin}",
            csv=f"/catalog.csv{twin}",
        )

    def catalog_json(self, request: Request) -> Response:
        return json_response([document(each) for each in self._catalog(request).entries])

    def catalog_csv(self, request: Request) -> Response:
        entries = self._catalog(request).entries
        return csv_response(catalog.CSV_COLUMNS, catalog.rows(entries), "catalog.csv")

    def dataset(self, request: Request) -> Response:
        page = self._dataset(request)
        twin = f"/catalog/{page.entry.id}.json"
        return self._page(
            request, "dataset.html", charter=self._charter(request), page=page, json=twin, csv=None
        )

    def dataset_json(self, request: Request) -> Response:
        page = self._dataset(request)
        moments = [asdict(each) for each in (*page.moments, *page.coming)]
        return json_response({**document(page.entry), "timeline": moments})

    def _catalog(self, request: Request) -> CatalogPage:
        asked = request.query_params.get("q", "")[:200]
        return catalog.read_page(
            self._house, self._charter(request), _viewer(request), self._seen(request), asked
        )

    def _dataset(self, request: Request) -> DatasetPage:
        name, seen = request.path_params["dataset"], self._seen(request)
        return catalog.read_dataset(self._house, self._charter(request), _viewer(request), seen, name)

    # --- log

    def log(self, request: Request) -> Response:
        wanted, seen = _filter(request), self._seen(request)
        page = journal.read_page(self._house.log, wanted, seen, _number(request, "before"))
        twin = texts.query(type=wanted.type, subject=wanted.subject)
        return self._page(
            request,
            "log.html",
            page=page,
            wanted=wanted,
            before=_number(request, "before"),
            json=f"/log.json{twin}",
            csv=f"/log.csv{twin}",
        )

    def log_json(self, request: Request) -> Response:
        seen = self._seen(request)
        found = journal.all_events(self._house.log, _filter(request), seen)
        return json_response([journal.document_of(each) for each in found])

    def log_csv(self, request: Request) -> Response:
        seen = self._seen(request)
        found = journal.all_events(self._house.log, _filter(request), seen)
        return csv_response(journal.CSV_COLUMNS, map(journal.row_of, found), "log.csv")

    def event(self, request: Request) -> Response:
        logged = self._house.log.event(request.path_params["seq"])
        shown = logged.seq in self._seen(request).numbers
        return self._page(
            request,
            "event.html" if shown else "withheld.html",
            logged=logged if shown else journal.withheld(logged),
            row=journal.row_of(logged) if shown else None,
            document=logged.event.model_dump(mode="json") if shown else None,
            proof=journal.prove(self._house, logged),
            size=self._house.log.size,
            json=f"/log/{logged.seq}.json",
            csv=None,
        )

    def event_json(self, request: Request) -> Response:
        logged = self._house.log.event(request.path_params["seq"])
        proof = journal.prove(self._house, logged)
        if logged.seq not in self._seen(request).numbers:
            return json_response(journal.proof_document(journal.withheld(logged), proof))
        return json_response(journal.proof_document(logged, proof))

    # --- signing in

    def sign_in(self, request: Request) -> Response:
        used = public(PolicyDeniedError(BAD_ENTRY)) if request.query_params.get("entry") == "used" else None
        return self._sign_in_page({"to": request.query_params.get("to", "/")}, used)

    def _sign_in_page(self, form: dict[str, str], error: PublicError | None = None) -> Response:
        """The form, filled again with what was sent, but for the secrets."""
        page = self._templates.get_template("login.html")
        html = page.render(
            active=None, viewer=None, form=form, error=error, several=len(self._house.charters) > 1
        )
        return HTMLResponse(html, 403 if error else 200)

    # --- errors

    def refused(self, request: Request, error: Exception) -> Response:
        """Any error as a page, or as JSON where JSON was asked for. Only public texts are shown."""
        shown = public(ConfigError(NO_SUCH_PAGE) if isinstance(error, HTTPException) else error)
        if request.url.path == "/login" and isinstance(error, PolicyDeniedError):
            return self._sign_in_page(request.state.form, shown)
        status = 404 if isinstance(error, HTTPException | ConfigError) else 500
        status = 403 if isinstance(error, PolicyDeniedError) else status
        broken = isinstance(error, IntegrityError)
        if request.url.path.endswith((".json", ".csv")):
            document = {"code": shown.code, "message": shown.message, "next_step": shown.next_step}
            return json_response({"error": document}, status)
        page = self._templates.get_template("error.html")
        viewer = getattr(request.state, "viewer", None)
        return HTMLResponse(page.render(error=shown, broken=broken, active=None, viewer=viewer), status)

    # --- what every page shares

    def _charter(self, request: Request) -> Charter:
        """The charter of the viewer's own collaboration."""
        return self._house.charter(_viewer(request).collaboration)

    def _seen(self, request: Request) -> Seen:
        """Which events the viewer sees: nothing on a page says more than these."""
        return self._sight.of(_viewer(request))

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        page = self._templates.get_template(template)
        shared = {
            "active": request.url.path,
            "head": head(self._house),
            "viewer": _viewer(request),
        }
        return HTMLResponse(page.render(**shared, **values))


def _viewer(request: Request) -> Viewer:
    """Who asks; `entrance` lets nobody else through."""
    viewer: Viewer = request.state.viewer
    return viewer


def _filter(request: Request) -> journal.Filter:
    query = request.query_params
    return journal.Filter(query.get("type") or None, query.get("subject") or None)


def _number(request: Request, name: str) -> int | None:
    """Raises: ConfigError `portal.bad_number`."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ConfigError(BAD_NUMBER)
    return int(text)
