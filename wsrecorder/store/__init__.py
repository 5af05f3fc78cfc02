"""Sessions on disk: Parquet segments, journals, manifests, DuckDB files."""
