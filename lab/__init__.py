"""seglab: how a mail sender's writes become TCP segments and then server reads."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("seglab")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
