"""The inner loop: from bytes to observations, without I/O.

It is ordinary Python, and it is compiled as well: ``setup.py`` makes extension modules of the same
names in ``seglab.capture.compiled`` out of it, for which the ``.pxd`` files beside the modules tell
Cython the types of C. So its modules import each other by relative names.
"""
