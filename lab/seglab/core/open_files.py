"""The limit of open files of this process: raised as far as the system lets an ordinary user."""

import resource


def raise_limit(wanted: int) -> int:
    """Raise the soft limit of open files to ``wanted``, at most to the hard limit.

    A limit that is higher already stays as it is.

    Returns:
        The soft limit that is in force then; ``wanted`` where there is none.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited:
        return wanted
    if soft < wanted:
        soft = wanted if hard == unlimited else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
