"""The log as transparency tools read it: checkpoint and tiles under `/log`, made from the database at once.

Belongs here: the addresses of a C2SP tlog-tiles log, and handing in a witness's cosignature, the one thing
that can be sent here. Must not be here: pages, or what an event says: a tile holds hashes and commitments.
"""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestration.audit import checkpoint, tiles, witnessed
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.log import reader
from orchestration.audit.vocabulary import now, timestamp
from orchestration.errors import ConfigError, GlasshouseError, Reason, public
from orchestration.house import House
from orchestration.portal.exports import json_response

NO_SUCH_TILE = Reason(
    "portal.no_such_tile",
    "The signed log has no such part.",
    "Begin with /log/checkpoint: its size says which tiles there are.",
)
TOO_LONG = Reason(
    "portal.too_long",
    "This is too long to be a cosigned checkpoint.",
    "Send the file that `glasshouse witness` wrote, and nothing else.",
)

COSIGNATURE = "/log/cosignature"
"""The only address that takes a POST: what it takes proves itself, so it needs no login."""

# Readable by everybody: the tree of commitments, which says nothing about what was committed to.
PUBLIC = ("/log/checkpoint", f"/log/{tiles.OPERATOR}", "/log/tile/", COSIGNATURE)

_LONGEST = 65_536
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def routes(house: House) -> list[Route]:
    """To be put before the pages of the log."""
    published = _Published(house)
    return [
        Route("/log/checkpoint", published.checkpoint),
        Route(f"/log/{tiles.OPERATOR}", published.operator),
        Route("/log/tile/{path:path}", published.tile),
        Route(COSIGNATURE, published.cosignature, methods=["POST"]),
    ]


class _Published:
    def __init__(self, house: House) -> None:
        self._house = house

    def checkpoint(self, request: Request) -> Response:  # noqa: ARG002  the shape of an endpoint
        with self._house.log.read() as connection:
            note = checkpoint.whole_note(connection, _newest(connection))
        return Response(note, media_type="text/plain; charset=utf-8")

    def operator(self, request: Request) -> Response:  # noqa: ARG002
        return json_response(self._house.operator.public)

    def tile(self, request: Request) -> Response:
        """Only what a signed checkpoint covers: nobody is shown a tree the operator did not vouch for."""
        tile = tiles.parse_path(f"tile/{request.path_params['path']}")
        with self._house.log.read() as connection:
            if tile is None or tile.end > _newest(connection).size:
                raise ConfigError(NO_SUCH_TILE)
            data = tiles.content(connection, tile, reader(connection))
        return Response(data, media_type="application/octet-stream", headers=_FOREVER)

    async def cosignature(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST:
                return _refused(ConfigError(TOO_LONG))
        return await run_in_threadpool(self._add, body)

    def _add(self, body: bytes) -> Response:
        try:
            note = body.decode("utf-8", "replace")
            found = witnessed.add_cosignatures(self._house.log, self._house.checkpoints, note, now())
        except GlasshouseError as error:
            return _refused(error)
        document = [
            {"size": each.size, "participant": each.participant, "at": timestamp(each.at)} for each in found
        ]
        return json_response({"cosignatures": document})


def _newest(connection: Connection) -> Checkpoint:
    head = checkpoint.newest(connection)
    if head is None:
        raise ConfigError(NO_SUCH_TILE)
    return head


def _refused(error: GlasshouseError) -> Response:
    shown = public(error)
    document = {"code": shown.code, "message": shown.message, "next_step": shown.next_step}
    return json_response({"error": document}, 422)
