"""Labelled datasets: what is to be built, in which shards, and how it is read again."""
