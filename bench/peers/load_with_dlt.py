"""Loads one PostgreSQL table into a DuckDB file with dlt: load_with_dlt.py URL TABLE FILE BACKEND FOLDER"""

import sys

import dlt
from dlt.sources.sql_database import sql_table

url, table, file, backend, folder = sys.argv[1:]
url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
pipeline = dlt.pipeline(
    "bench",
    pipelines_dir=folder,
    destination=dlt.destinations.duckdb(file),
    dataset_name="bench",
)
rows = sql_table(credentials=url, table=table, backend=backend, chunk_size=100_000)
pipeline.run(rows, write_disposition="replace").raise_on_failed_jobs()
