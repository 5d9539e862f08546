"""A static server that speaks as much S3 as DuckDB asks for: listing, HEAD and ranges of one folder.

It checks no signature; `seen` keeps the Authorization headers, so that a test can. While `is_down` says so,
it answers every question with an error of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


@contextmanager
def s3_server(
    root: Path, seen: list[str | None], is_down: Callable[[], bool] = lambda: False
) -> Iterator[str]:
    """The address of a server whose buckets are the folders of `root`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            url = urlsplit(self.path)
            path, query = root / unquote(url.path).strip("/"), parse_qs(url.query)
            code, data = 404, b""
            if is_down():
                code = 500
            elif "list-type" in query:
                code, data = 200, _listing(path, query.get("prefix", [""])[0])
            elif path.is_file():
                code, data = 200, path.read_bytes()
            size, wanted = len(data), self.headers.get("Range")
            self.send_response(206 if wanted and code == 200 else code)
            if wanted and code == 200:
                first, last = wanted.removeprefix("bytes=").split("-")
                data = data[int(first) : int(last or size) + 1]
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(data) - 1}/{size}")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _listing(bucket: Path, prefix: str) -> bytes:
    keys = sorted(path.relative_to(bucket).as_posix() for path in bucket.rglob("*") if path.is_file())
    found = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys if key.startswith(prefix))
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()
