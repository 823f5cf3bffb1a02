"""Loads one PostgreSQL table into a DuckDB file with DuckDB's postgres extension, taken from its wheel."""

import sys
from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner as wheel

url, table, file = sys.argv[1:]
(extension,) = Path(wheel.__file__).parent.rglob("postgres_scanner.duckdb_extension")
connection = duckdb.connect(file)
connection.load_extension(str(extension))
connection.execute(f"ATTACH '{url}' AS source (TYPE postgres, READ_ONLY)")
connection.execute(f"CREATE TABLE {table} AS FROM source.public.{table}")
connection.close()
