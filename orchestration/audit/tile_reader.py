"""Reading a log from the outside: tiles in a folder or behind a URL, nothing else.

Belongs here: fetching, and turning tiles into what proofs are made of. Must not be here: trust. Nothing that
is read here is believed: a proof made from it must lead to the root of a checkpoint that somebody signed.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from orchestration.audit import merkle
from orchestration.audit.tiles import HEIGHT, WIDTH, Tile, entries_of
from orchestration.errors import ConfigError, IntegrityError, Reason, ServiceError

NO_SOURCE = Reason(
    "tiles.no_source",
    "A log is read from a folder or from an address that begins with http:// or https://.",
    "Give the folder that `glasshouse audit tiles` wrote, or the address that ends in /log.",
)
UNAVAILABLE = Reason(
    "tiles.unavailable",
    "The log's {what} could not be read.",
    "Check the folder or address, and that the log is published there; then try again.",
)
UNREADABLE = Reason(
    "tiles.unreadable",
    "The log's {what} is not what a tile of this tree looks like.",
    "Ask for a fresh copy of the log; if it stays so, treat it as tampering.",
)

NOT_TAKEN = Reason(
    "tiles.not_taken",
    "The house did not take what was handed in; its answer: {code}.",
    "Keep the file and give it to the operator for `glasshouse audit cosign FILE`.",
)

_SECONDS = 20.0
_LIMIT = 1 << 20
_HASH = 32


class Source(Protocol):
    """Where a published log lies."""

    address: str

    def fetch(self, path: str) -> bytes | None:
        """The bytes at `path`; None when there is nothing. Raises: ServiceError `tiles.unavailable`."""
        ...


class Folder:
    """A log in a folder, as `glasshouse audit tiles` writes it."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder)
        self._folder = folder

    def fetch(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ServiceError(UNAVAILABLE, what=path) from error


class Website:
    """A log behind a URL prefix."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        host = urllib.parse.urlsplit(address).hostname or ""
        # What is on this machine is never asked for through a proxy on another.
        local = host == "localhost" or host == "::1" or host.startswith("127.")
        proxies = [urllib.request.ProxyHandler({})] if local else []
        self._opener = urllib.request.build_opener(*proxies)

    def fetch(self, path: str) -> bytes | None:
        return self._open(urllib.request.Request(f"{self.address}/{path}"), path)  # noqa: S310  http(s) only

    def post(self, path: str, text: str) -> None:
        """Hand something in. Raises: ServiceError `tiles.unavailable`, `tiles.not_taken`."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        request = urllib.request.Request(  # noqa: S310  `open_source` lets only http(s) in
            f"{self.address}/{path}", data=text.encode(), headers=headers
        )
        self._open(request, path)

    def _open(self, request: urllib.request.Request, what: str) -> bytes | None:
        try:
            with self._opener.open(request, timeout=_SECONDS) as response:
                data: bytes = response.read(_LIMIT + 1)
        except urllib.error.HTTPError as error:
            with error:
                answer = error.read(_LIMIT)
            if request.data is not None:
                raise ServiceError(NOT_TAKEN, code=_code(answer) or error.code) from error
            if error.code == 404:
                return None
            raise ServiceError(UNAVAILABLE, what=what) from error
        except (OSError, ValueError) as error:
            raise ServiceError(UNAVAILABLE, what=what) from error
        if len(data) > _LIMIT:
            raise IntegrityError(UNREADABLE, what=what)
        return data


def _code(answer: bytes) -> str | None:
    """The reason code in an answer from outside, if it looks like one."""
    try:
        code = json.loads(answer)["error"]["code"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_.]{1,60}", code) else None


def open_source(address: str) -> Folder | Website:
    """Raises: ConfigError `tiles.no_source`."""
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme in ("http", "https"):
        return Website(address)
    if "://" in address or not Path(address).is_dir():
        raise ConfigError(NO_SOURCE)
    return Folder(Path(address))


def fetch_text(source: Source, path: str) -> str:
    """Raises: ServiceError `tiles.unavailable`; IntegrityError `tiles.unreadable`."""
    data = source.fetch(path)
    if data is None:
        raise ServiceError(UNAVAILABLE, what=path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IntegrityError(UNREADABLE, what=path) from error


def reader(source: Source, size: int) -> merkle.Reader:
    """Hashes of the tree of `size` entries by position, computed from tiles; each tile is fetched once.

    Raises (when used): ServiceError `tiles.unavailable`; IntegrityError `tiles.unreadable`.
    """
    tiles: dict[Tile, bytes] = {}

    def read(positions: Sequence[int]) -> Mapping[int, bytes]:
        return {position: _hash(position) for position in positions}

    def _hash(position: int) -> bytes:
        node = merkle.node_at(position)
        level, above = divmod(node.level, HEIGHT)
        first = node.number << above
        tile = _tile(level, first // WIDTH)
        start = first % WIDTH
        hashes = [
            tile[number * _HASH : (number + 1) * _HASH] for number in range(start, start + (1 << above))
        ]
        if any(len(value) != _HASH for value in hashes):
            raise IntegrityError(UNREADABLE, what=Tile(level, first // WIDTH).path)
        while len(hashes) > 1:
            pairs = zip(hashes[::2], hashes[1::2], strict=True)
            hashes = [merkle.node_hash(left, right) for left, right in pairs]
        return hashes[0]

    def _tile(level: int, index: int) -> bytes:
        tile = tile_in(level, index, size)
        if tile not in tiles:
            tiles[tile] = fetch_tile(source, tile, _HASH)
        return tiles[tile]

    return read


def tile_in(level: int, index: int, size: int) -> Tile:
    """The tile with this number as a tree of `size` entries has it: full or partial."""
    hashes = size >> HEIGHT * max(level, 0)
    return Tile(level, index, min(WIDTH, hashes - index * WIDTH))


def fetch_tile(source: Source, tile: Tile, length: int) -> bytes:
    """The first `tile.width` items of `length` bytes; the full tile serves when the partial one is gone."""
    data = source.fetch(tile.path)
    if data is None and tile.width < WIDTH:
        data = source.fetch(Tile(tile.level, tile.index).path)
    if data is None:
        raise ServiceError(UNAVAILABLE, what=tile.path)
    if len(data) < tile.width * length:
        raise IntegrityError(UNREADABLE, what=tile.path)
    return data[: tile.width * length]


def entries(source: Source, size: int) -> list[bytes]:
    """All entries of the tree of `size`, in order; nobody has checked them against it.

    Raises: ServiceError `tiles.unavailable`; IntegrityError `tiles.unreadable`.
    """
    found: list[bytes] = []
    for index in range((size + WIDTH - 1) // WIDTH):
        tile = tile_in(-1, index, size)
        try:
            found += entries_of(fetch_tile(source, tile, 2 + _HASH))
        except ValueError as error:
            raise IntegrityError(UNREADABLE, what=tile.path) from error
    return found
