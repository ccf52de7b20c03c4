"""seglab: how a mail sender's writes become TCP segments and then server reads."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglab.classification.api import classify as classify


def __getattr__(name: str) -> Any:
    """Look up ``__version__`` and ``classify`` when asked for: a lab starts without them."""
    if name == "classify":
        from seglab.classification.api import classify  # noqa: PLC0415

        return classify
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("seglab")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
