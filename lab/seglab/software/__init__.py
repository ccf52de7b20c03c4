"""Mail programs by name: which there are, and their installations in a folder of the lab's own.

``program`` reads the files in ``senders/programs``, one for each program. ``store`` is the folder
with what is installed. ``installing`` fills it, with one module for each registry: ``debian``,
``pypi`` and ``npm``. Nothing of the machine's own software, configuration or queues is changed: a
program's files lie below one folder, and a session lays that over the machine's files for its
program alone (``seglab.kernel.program.view``).
"""
