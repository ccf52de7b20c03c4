"""seglab: how a mail sender's writes become TCP segments and then server reads."""


def __getattr__(name: str) -> str:
    """Look up ``__version__`` when it is asked for: a lab's processes start without it."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("seglab")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
