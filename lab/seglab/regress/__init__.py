"""Whether a classifier has learned the sender or the network: named checks over stored sessions.

Pure: sessions come in as ``Case`` values, a classifier as something that can be asked, and a
``RegressResult`` goes out. ``seglab.commands.regress`` and ``seglab.testing`` do the rest.
"""
