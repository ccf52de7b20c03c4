"""Figures of stored runs and datasets, all in one style.

This is the only package that imports Matplotlib.
"""
