"""The dbt-duckdb plugin that lets dbt into one room, and nowhere else.

Runs inside dbt's own process, before its first statement: the room is attached with a bound key, so the key
stands in no SQL text, then the connection is confined and its configuration locked. Models, hooks and tests
therefore run without file system, network or extensions. Must not be here: starting dbt (that is
`computation/runner.py`), and any decision about what may run.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from orchestration.engine.duck import confine, quote_text
from orchestration.engine.extension import load_httpfs
from orchestration.engine.scratch import scratch


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt ships no types
    """Configured in `profiles.yml` with `room`, `key`, `memory`, `scratch` and `threads`, all text."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._room = str(plugin_config["room"])
        self._key = str(plugin_config["key"])
        self._memory = str(plugin_config["memory"])
        self._scratch = Path(str(plugin_config["scratch"]))
        self._threads = str(plugin_config["threads"])
        self._leftovers = ExitStack()
        atexit.register(self._leftovers.close)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        spill = self._leftovers.enter_context(scratch(self._scratch))
        load_httpfs(conn)
        conn.execute(f"SET memory_limit = {quote_text(self._memory)}")
        conn.execute(f"SET temp_directory = {quote_text(str(spill))}")
        conn.execute("SET temp_file_encryption = true")
        conn.execute("SET TimeZone = 'UTC'")
        conn.execute("SET preserve_insertion_order = false")
        if self._threads:
            conn.execute(f"SET threads = {int(self._threads):d}")
        conn.execute(f"ATTACH {quote_text(self._room)} AS room (ENCRYPTION_KEY ?)", [self._key])
        confine(conn, folders=[spill])
