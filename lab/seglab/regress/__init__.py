"""Whether a classifier has learned the sender or the network: named checks over stored sessions.

Sessions come in as ``Case`` values, a classifier as a ``Runner``, and a ``RegressResult`` goes out.
The checks themselves do no I/O: ``sessions`` and ``suite`` read files and start classifiers, for
``seglab.commands.regress``, for ``seglab.testing`` and for Python programs.
"""
