# The types of C for message.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .header cimport fields_of
from .tls_records cimport TlsRecords as CTlsRecords

cdef int _GAP
cdef int64_t _ENTRY_BYTES
cdef int64_t _HEAD_BYTES
cdef int64_t _SIZES_MAX
cdef int64_t _TAIL_BYTES
cdef int _CR
cdef int _LF


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
    cdef public bint encrypted
    cdef public CTlsRecords records
    cdef public int64_t begins_at
    cdef public bint chunked
    cdef public object complete
    cdef public int64_t replies_due
    cdef public str reply
    cdef public int64_t offset
    cdef public bint full
    cdef public bint seeking
    cdef public bytes head
    cdef public bytes lax_end
    cdef public bytes tail
    cdef public list notes
    cdef bint _cut
    cdef list _sizes
    cdef list _times
    cdef list _push
    cdef list _again
    cdef list _gaps
    cdef list _hidden

    @cython.locals(dot="Py_ssize_t", tail=bytes, before=int)
    cpdef bint may_end_in(self, bytes data, int64_t at) except -1
    @cython.locals(found="Py_ssize_t", tail=bytes)
    cpdef int64_t end_in(self, bytes data, int64_t at)
    @cython.locals(text=bytes, before=int64_t, limit=int64_t, end=int64_t, dot=int64_t,
                   start=int64_t)
    cpdef int64_t lax_end_in(self, bytes data, int64_t at, int64_t stop)
    @cython.locals(start=int64_t, captured=int64_t, hidden=int64_t, grown=int64_t)
    cpdef int64_t add(self, int64_t t_ns, int push, bint again, int64_t size, bytes data,
                      bint same=*)
    cpdef truncate(self, int64_t offset)
    @cython.locals(seen=int64_t)
    cdef _look(self, bytes data)
    cdef _lost(self, int64_t start)
    cpdef object fingerprint(self)
    cpdef int64_t began_ns(self) except? -1
    cpdef bint bears_out(self, int64_t full) except -1
    cpdef observation(self, ConnectionFacts facts)
    cdef list _own_notes(self, object mss)


@cython.locals(at=int64_t, start=int64_t)
cdef int64_t _line_end_before(bytes text, int64_t dot) except? -2
