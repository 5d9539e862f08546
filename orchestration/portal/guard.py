"""What every request passes before any page: only the portal's own names, only reading; strict headers after.

The portal answers on loopback alone: others reach it through a proxy that ends TLS, under the address in the
setting `portal_url`. A browser on this machine could still be sent here by a foreign page whose name resolves
to 127.0.0.1 (DNS rebinding): the Host check refuses that. The few things that are sent here must come from
the portal's own pages, or from no page at all.
Must not be here: anything about pages, or who is signed in (`entrance`).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestration.settings import LOOPBACK_NAMES

READING = frozenset({"GET", "HEAD"})
SENDING = frozenset({"/login", "/logout", "/log/cosignature"})  # the only paths that take a POST
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it browsers send the portal's own forms as if they came from nowhere.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OWN_SITE = ("same-origin", "none")


class Guard:
    """ASGI middleware; the outermost layer, so that refusals and error pages carry the headers too.

    Args:
        url: where browsers find the portal besides loopback, as the settings spell it.
    """

    def __init__(self, app: ASGIApp, url: str | None = None) -> None:
        self._app = app
        self._url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = refusal(scope, self._url) or self._app
        await answer(scope, receive, send_with_headers)


def refusal(scope: Scope, url: str | None = None) -> PlainTextResponse | None:
    """Why a request is not answered, or None."""
    headers = Headers(scope=scope)
    if not is_own_host(headers.get("host", ""), url):
        known = ["http://127.0.0.1", "http://localhost", *([url] if url else [])]
        return PlainTextResponse(f"This portal answers only to {' or '.join(known)}.\n", status_code=421)
    if scope["method"] == "POST" and scope["path"] in SENDING:
        if not _is_from_here(headers, url):
            return PlainTextResponse("This was sent by a page of another site.\n", status_code=403)
        return None
    if scope["method"] not in READING:
        text = "This portal is read-only: use GET or HEAD.\n"
        return PlainTextResponse(text, status_code=405, headers={"Allow": "GET, HEAD"})
    return None


def is_own_host(host: str, url: str | None) -> bool:
    """Whether a Host header names this machine, or the host of the portal's address."""
    if host_name(host) in LOOPBACK_NAMES:
        return True
    return url is not None and host.lower().removesuffix(_default_port(url)) == urlsplit(url).netloc


def host_name(host: str) -> str:
    """`LOCALHOST:8321` → `localhost`; what is not a name with an optional port matches nothing."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def _default_port(url: str) -> str:
    return ":443" if url.startswith("https:") else ":80"


def _is_from_here(headers: Headers, url: str | None) -> bool:
    """A browser says where a form stood: Origin and Sec-Fetch-Site. Programs say neither."""
    if headers.get("sec-fetch-site", "none") not in _OWN_SITE:
        return False
    host = headers.get("host", "")
    origins = {url} | ({f"http://{host.lower()}"} if host_name(host) in LOOPBACK_NAMES else set())
    return headers.get("origin") is None or headers["origin"].lower() in origins - {None}
