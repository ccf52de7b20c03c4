# The types of C for message.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .header cimport fields_of

cdef int _GAP
cdef int64_t _ENTRY_BYTES
cdef int64_t _HEAD_BYTES
cdef int64_t _SIZES_MAX


@cython.final
cdef class Ledger:
    cdef public int64_t held


@cython.final
cdef class Account:
    cdef public int64_t held
    cdef Ledger _ledger
    cpdef take(self, int64_t size)


@cython.final
cdef class ConnectionFacts:
    cdef public str id
    cdef public object source
    cdef public str client
    cdef public str server
    cdef public object mss
    cdef public object timestamps
    cdef public object rtt_ns
    cdef public list notes


@cython.final
cdef class CapturedMessage:
    cdef public bint opaque
    cdef public int64_t offset
    cdef public bint blind
    cdef public bint full
    cdef public bint seeking
    cdef public bytes head
    cdef public bytes tail
    cdef public list notes
    cdef list _sizes
    cdef list _times
    cdef list _push
    cdef list _again
    cdef list _gaps
    cdef int64_t _hidden

    @cython.locals(found="Py_ssize_t", tail=bytes)
    cpdef int64_t end_in(self, bytes data, int64_t at)
    @cython.locals(start=int64_t, captured=int64_t, grown=int64_t)
    cpdef int64_t add(self, int64_t t_ns, int push, bint again, int64_t size, bytes data)
    @cython.locals(seen=int64_t)
    cdef _look(self, bytes data)
    cdef _lost(self, int64_t start)
    cpdef observation(self, ConnectionFacts facts, object complete, bint encrypted)
    cdef list _own_notes(self, object mss)
