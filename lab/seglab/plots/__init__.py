"""Figures of stored runs. The only package that imports Matplotlib; one style for all."""
