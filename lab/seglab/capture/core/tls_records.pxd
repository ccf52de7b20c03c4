# The types of C for tls_records.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class TlsRecords:
    cdef public bint readable
    cdef public bint whole
    cdef public list sizes
    cdef public list times
    cdef public list push
    cdef public list again
    cdef bytes _header
    cdef int64_t _left

    @cython.locals(at=int64_t, before=int64_t, step=int64_t)
    cpdef int64_t take(self, int64_t t_ns, int push, bint again, int64_t size, bytes data)
    @cython.locals(header=bytes)
    cdef _read_header(self, bytes part, int64_t size)
