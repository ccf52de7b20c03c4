# The types of C for table.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .connection cimport Connection as CConnection
from .message cimport Ledger as CLedger
from .stream cimport HalfStream as CHalfStream

cdef int _ACK


@cython.final
cdef class Table:
    cdef public str name
    cdef public str protocol
    cdef public dict young
    cdef public list found
    cdef public CLedger ledger
    cdef public int64_t evicted
    cdef public int64_t one_sided
    cdef public int64_t refused
    cdef public int64_t wordless
    cdef public int64_t encrypted
    cdef public int64_t joined
    cdef public int64_t smtp
    cdef public int64_t connections
    cdef public int64_t t_ns
    cdef public int64_t epoch
    cdef dict _old
    cdef dict _mails

    @cython.locals(half=CHalfStream)
    cpdef CHalfStream find(self, bytes key)
    @cython.locals(owner=CConnection)
    cpdef syn(self, CHalfStream half, bytes key, int64_t t_ns, int64_t seq, int flags,
              tuple options)
    cpdef ignore(self, bytes key, bytes peer_key)
    cpdef int64_t same_mail(self, tuple numbers, int64_t number, bytes hosts,
                            int64_t t_ns) except? -2
    cpdef limit(self)
    cpdef close(self)
    @cython.locals(connection=CConnection, half=CHalfStream, peer_key=bytes, text="const char*")
    cdef CHalfStream _new(self, bytes key)
    @cython.locals(half=CHalfStream, old=dict, owner=CConnection)
    cdef _age(self)
