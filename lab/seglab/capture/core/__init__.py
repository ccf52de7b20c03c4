"""The inner loop: from bytes to observations, without I/O.

It is ordinary Python, and it is compiled as well: ``setup.py`` makes extension modules of the same
names out of it, in ``seglab.capture.compiled``. The ``.pxd`` files beside the modules give Cython
the types of C. The modules import each other by relative names, so that both forms work.
"""
