"""Work on many machines: Dask, its jobs, and what travels there and back."""
