"""The portal's addresses: which page answers where.

Belongs here: routes, and what stands before them. Must not be here: what a page says (`pages`), or signing in
(`entrance`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from orchestration.errors import GlasshouseError
from orchestration.house import House
from orchestration.portal import published_log
from orchestration.portal.entrance import Door, Entrance
from orchestration.portal.guard import Guard
from orchestration.portal.pages import Pages
from orchestration.portal.sessions import Sessions


def create_app(house: House, sessions: Sessions | None = None, url: str | None = None) -> ASGIApp:
    """The read-only portal over an opened house, as an ASGI application.

    Args:
        url: where browsers find it besides this machine; see `Settings.portal_url`.
    """
    portal = Pages(house)
    signed_in = sessions or Sessions()
    door = Door(house, signed_in, url)
    routes = [
        Route("/login", portal.sign_in, methods=["GET"]),
        Route("/login", door.sign_in, methods=["POST"]),
        Route("/logout", door.sign_out, methods=["POST"]),
        Route("/enter/{entry}", door.enter),
        *published_log.routes(house),
        Route("/", portal.overview),
        Route("/overview.json", portal.overview_json),
        Route("/overview.csv", portal.overview_csv),
        Route("/governance", portal.governance),
        Route("/governance.json", portal.governance_json),
        Route("/lineage", portal.lineage),
        Route("/lineage.json", portal.lineage_json),
        Route("/lineage.csv", portal.lineage_csv),
        Route("/catalog", portal.catalog),
        Route("/catalog.json", portal.catalog_json),
        Route("/catalog.csv", portal.catalog_csv),
        Route("/catalog/{dataset}.json", portal.dataset_json),
        Route("/catalog/{dataset}", portal.dataset),
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
    entrance = Middleware(Entrance, house=house, sessions=signed_in)
    return Guard(Starlette(routes=routes, middleware=[entrance], exception_handlers=handlers), url)
