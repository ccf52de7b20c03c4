# The types of C for words.py, where Cython compiles it.

cimport cython


@cython.locals(verb=bytes)
cpdef bint may_begin(bytes data, bint lenient) except -1
