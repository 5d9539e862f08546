"""The portal's addresses: each page with its JSON, and its CSV where it is a table.

Belongs here: routes and what a page hands to its template. Must not be here: reading the log (`overview`,
`journal`, `health`), cutting or drawing lineage, or anything that answers to more than GET and HEAD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from orchestration.audit.events import timestamp
from orchestration.audit.lineage_graph import LineageGraph, build_graph
from orchestration.charter.model import Charter
from orchestration.errors import ConfigError, GlasshouseError, IntegrityError, Reason, public
from orchestration.house import House
from orchestration.portal import drawing, journal, lineage_view, overview, texts
from orchestration.portal.exports import csv_response, json_response
from orchestration.portal.guard import Guard
from orchestration.portal.health import Verifier, head

NO_SUCH_PAGE = Reason(
    "portal.no_such_page",
    "This portal has no page at that address.",
    "Start from the overview.",
)
NO_CHARTER = Reason(
    "portal.no_charter",
    "This house serves no collaboration yet.",
    "Put a charter into the charters folder and run `glasshouse init`.",
)
BAD_NUMBER = Reason(
    "portal.bad_number",
    "`before` must be the number of an event.",
    "Follow the links below the list instead of typing the address.",
)


def create_app(house: House) -> ASGIApp:
    """The read-only portal over an opened house, as an ASGI application."""
    portal = _Portal(house)
    routes = [
        Route("/", portal.overview),
        Route("/overview.json", portal.overview_json),
        Route("/overview.csv", portal.overview_csv),
        Route("/lineage", portal.lineage),
        Route("/lineage.json", portal.lineage_json),
        Route("/lineage.csv", portal.lineage_csv),
        Route("/log", portal.log),
        Route("/log.json", portal.log_json),
        Route("/log.csv", portal.log_csv),
        Route("/log/{seq:int}.json", portal.event_json),
        Route("/log/{seq:int}", portal.event),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    handlers: dict[Any, Callable[[Request, Exception], Response]] = {
        GlasshouseError: portal.refused,
        HTTPException: portal.refused,
        Exception: portal.refused,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers))


class _Portal:
    """The endpoints. They are plain functions, so Starlette runs them in threads: the log may block."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._verifier = Verifier(house)
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
            view=overview.overview(self._house, charter),
            health=self._verifier.outcome(),
            json=f"/overview.json?collaboration={charter.collaboration}",
            csv=f"/overview.csv?collaboration={charter.collaboration}",
        )

    def overview_json(self, request: Request) -> Response:
        found = overview.overview(self._house, self._charter(request))
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
                    "problems": [asdict(problem) for problem in verification.problems],
                },
            }
        )

    def overview_csv(self, request: Request) -> Response:
        found = overview.overview(self._house, self._charter(request))
        return csv_response(overview.CSV_COLUMNS, overview.rows(found), "stages.csv")

    # --- lineage

    def lineage(self, request: Request) -> Response:
        view, whole, shown = self._lineage(request)
        made_from = lineage_view.parties(whole)
        charter = self._charters().get(view.collaboration)
        order = [each.id for each in charter.participants] if charter else []
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
        """(what the address asks for, the whole graph, the part of it)."""
        view = lineage_view.read_view(request.query_params, list(self._charters()))
        whole = build_graph(self._house.log.lineage(), view.collaboration or None)
        return view, whole, lineage_view.cut(whole, view)

    # --- log

    def log(self, request: Request) -> Response:
        wanted = _filter(request)
        page = journal.read_page(self._house.log, wanted, _number(request, "before"))
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
        return json_response(
            [journal.document_of(each) for each in journal.all_events(self._house.log, _filter(request))]
        )

    def log_csv(self, request: Request) -> Response:
        found = journal.all_events(self._house.log, _filter(request))
        return csv_response(journal.CSV_COLUMNS, map(journal.row_of, found), "log.csv")

    def event(self, request: Request) -> Response:
        logged = self._house.log.event(request.path_params["seq"])
        return self._page(
            request,
            "event.html",
            logged=logged,
            row=journal.row_of(logged),
            document=logged.event.model_dump(mode="json"),
            proof=journal.prove(self._house, logged),
            size=self._house.log.size,
            json=f"/log/{logged.seq}.json",
            csv=None,
        )

    def event_json(self, request: Request) -> Response:
        logged = self._house.log.event(request.path_params["seq"])
        return json_response(journal.proof_document(logged, journal.prove(self._house, logged)))

    # --- errors

    def refused(self, request: Request, error: Exception) -> Response:
        """Any error as a page, or as JSON where JSON was asked for. Only public texts are shown."""
        shown = public(ConfigError(NO_SUCH_PAGE) if isinstance(error, HTTPException) else error)
        status = 404 if isinstance(error, HTTPException | ConfigError) else 500
        broken = isinstance(error, IntegrityError)
        if request.url.path.endswith((".json", ".csv")):
            document = {"code": shown.code, "message": shown.message, "next_step": shown.next_step}
            return json_response({"error": document}, status)
        page = self._templates.get_template("error.html")
        return HTMLResponse(page.render(error=shown, broken=broken, active=None), status)

    # --- what every page shares

    def _charters(self) -> dict[str, Charter]:
        return self._house.charters

    def _charter(self, request: Request) -> Charter:
        """The collaboration the address names; default: the first."""
        charters = self._charters()
        if not charters:
            raise ConfigError(NO_CHARTER)
        return self._house.charter(request.query_params.get("collaboration", next(iter(charters))))

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        page = self._templates.get_template(template)
        shared = {
            "active": request.url.path,
            "head": head(self._house),
            "collaborations": list(self._charters()),
        }
        return HTMLResponse(page.render(**shared, **values))


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
