# The types of C for preamble.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

cdef int _HTTP
cdef int _PROXY
cdef int _SOCKS4
cdef int _OPEN
cdef int _DONE
cdef int _FAILED


@cython.final
cdef class Preamble:
    cdef public int kind
    cdef public int port
    cdef public int state
    cdef bytes _held
    cdef bytes _said
    cdef int64_t _remaining
    cdef int _step

    @cython.locals(held=int64_t, end=int64_t, used=int64_t, text=bytes)
    cpdef int64_t client(self, bytes data, int64_t at, int64_t size) except -1
    cpdef int64_t held_bytes(self) except -1
    cpdef bytes server(self, bytes data)
    cdef int64_t _request(self, bytes text) except -1
    cdef int64_t _proxy(self, bytes text) except -1
    cdef int64_t _socks(self, bytes text) except -1
    @cython.locals(end=int64_t)
    cdef int64_t _socks4(self, bytes text) except -1
    cdef int64_t _answer(self, bytes text) except -1
    cdef int64_t _answer4(self, bytes text) except -1
