"""A run on disk: its folder, its journal, its manifest, its sessions as Parquet."""
