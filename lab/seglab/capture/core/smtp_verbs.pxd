# The types of C for smtp_verbs.py, where Cython compiles it.

cimport cython


@cython.locals(verb=bytes)
cpdef bint may_be_smtp(bytes data, bint lenient) except -1
