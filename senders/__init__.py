"""The senders: one file each, found by ``lab.registry``.

To add one, write ``senders/NAME.py`` with

1. ``cuts(message, parameters)``, which says where in ``message.wire`` the writes end;
   ``lab.sender.in_writes`` makes steps of it, with the terminator and the pauses that all senders
   have in common. A sender that is not a row of cuts writes its own ``steps(message,
   parameters)``, a generator that yields ``Write`` and ``Wait`` and nothing else: the pieces join
   to ``message.wire``, and the same input gives the same steps. The SMTP dialogue around the
   message is not the sender's business;
2. ``SENDER``, the one ``lab.sender.Sender`` of the file, with its ground truth.

Every registered sender is held to the contract by ``tests/unit/test_senders.py``: a new style
gets there its property, and nothing else needs a change.
"""
