# The types of C for connection.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .dialogue cimport Dialogue as CDialogue
from .message cimport Account as CAccount
from .message cimport Facts as CFacts
from .message cimport Message as CMessage
from .stream cimport Half as CHalf

cdef int _ACK
cdef int _TLS_HANDSHAKE
cdef int64_t _MASK


@cython.locals(size="Py_ssize_t")
cdef int64_t _port(bytes key) except -1
cdef str _text(bytes key)


@cython.final
cdef class Connection:
    cdef public int64_t number
    cdef public object table
    cdef public CAccount account
    cdef public CHalf first
    cdef public CHalf client
    cdef public CDialogue dialogue
    cdef public object rtt_ns
    cdef public object stamped
    cdef public list notes
    cdef object _t_syn
    cdef int _tries
    cdef int64_t _messages
    cdef int64_t _probes
    cdef bint _client_ended

    @cython.locals(twin=CHalf)
    cpdef syn(self, CHalf half, int64_t t_ns, int64_t seq, int flags, tuple options)
    cpdef shake(self, CHalf half, int64_t t_ns, int64_t ack)
    @cython.locals(twin=CHalf)
    cpdef bint meet(self, CHalf half, int64_t seq, int64_t ack, int flags, int64_t size,
                    bytes data) except -1
    @cython.locals(first=int, port=int64_t)
    cdef bint _foreign(self, CHalf half, bytes data) except -1
    @cython.locals(server=CHalf)
    cdef _settle(self, CHalf client, bint greeted)
    cpdef probed(self, CHalf half)
    @cython.locals(twin=CHalf)
    cpdef half_closed(self, CHalf half, int64_t t_ns)
    @cython.locals(twin=CHalf, half=CHalf)
    cpdef over(self, int64_t t_ns, reason)
    @cython.locals(client=CHalf)
    cdef _close(self, reason)
    cpdef finish(self, CMessage message, object complete, bint encrypted)
    @cython.locals(server=CHalf, client=CHalf, facts=CFacts)
    cdef CFacts _facts(self)
    cdef object _timestamps(self, CHalf client, CHalf server)
    cdef object _full_segment(self, CHalf client, CHalf server)
    @cython.locals(twin=CHalf)
    cpdef drop(self)
