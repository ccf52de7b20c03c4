"""The senders: one file each, with one ``SENDER`` in it, found by ``lab.registry``."""
