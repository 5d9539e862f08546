"""Where SQL runs and where data rests: DuckDB connections, the vault, the room, and the key service."""
