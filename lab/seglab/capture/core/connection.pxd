# The types of C for connection.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .dialogue cimport Dialogue as CDialogue
from .message cimport Account as CAccount
from .message cimport ConnectionFacts as CConnectionFacts
from .message cimport CapturedMessage as CCapturedMessage
from .stream cimport HalfStream as CHalfStream

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
    cdef public CHalfStream first
    cdef public CHalfStream client
    cdef public CDialogue dialogue
    cdef public object rtt_ns
    cdef public object stamped
    cdef public list notes
    cdef object _t_syn
    cdef int _tries
    cdef int64_t _messages
    cdef int64_t _probes
    cdef bint _client_ended

    @cython.locals(peer=CHalfStream)
    cpdef on_syn(self, CHalfStream half, int64_t t_ns, int64_t seq, int flags, tuple options)
    cpdef on_handshake_ack(self, CHalfStream half, int64_t t_ns, int64_t ack)
    @cython.locals(peer=CHalfStream)
    cpdef bint identify_protocol(self, CHalfStream half, int64_t seq, int64_t ack, int flags, int64_t size,
                    bytes data) except -1
    @cython.locals(first=int, port=int64_t)
    cdef bint _foreign(self, CHalfStream half, bytes data) except -1
    @cython.locals(server=CHalfStream)
    cdef _settle(self, CHalfStream client, bint greeted)
    cpdef on_zero_window_probe(self, CHalfStream half)
    @cython.locals(peer=CHalfStream)
    cpdef on_half_closed(self, CHalfStream half, int64_t t_ns)
    @cython.locals(peer=CHalfStream, half=CHalfStream, dialogue=CDialogue, client=CHalfStream)
    cpdef over(self, int64_t t_ns, reason)
    @cython.locals(client=CHalfStream)
    cdef _close(self, reason)
    cdef _count(self, CDialogue dialogue)
    cpdef finish(self, CCapturedMessage message)
    @cython.locals(server=CHalfStream, client=CHalfStream, facts=CConnectionFacts)
    cdef CConnectionFacts _facts(self, CCapturedMessage message)
    @cython.locals(half=CHalfStream)
    cdef object _timestamps(self, CHalfStream client, CHalfStream server)
    @cython.locals(half=CHalfStream)
    cdef object _full_segment(self, CHalfStream client, CHalfStream server,
                              CCapturedMessage message, list notes)
    @cython.locals(peer=CHalfStream)
    cpdef count_tls(self)
    cpdef drop(self)
