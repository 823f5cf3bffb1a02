"""Prints how many rows the tables of a DuckDB file have that bear one name, whatever their schema."""

import sys

import duckdb

file, table = sys.argv[1:]
connection = duckdb.connect(file, read_only=True)
schemas = connection.execute(
    "SELECT schema_name FROM duckdb_tables() WHERE table_name = ? AND NOT schema_name LIKE '%staging'", [table]
).fetchall()
print(sum(connection.execute(f'SELECT count(*) FROM "{schema}"."{table}"').fetchone()[0] for (schema,) in schemas))
