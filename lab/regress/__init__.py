"""Whether a classifier has learned the sender or the network: named checks over stored sessions.

Pure: sessions come in as ``Case`` values, a classifier as something that can be asked, and a
``Result`` goes out. ``lab.commands.regress`` and ``lab.testing`` do the rest.
"""
