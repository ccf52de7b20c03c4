# The types of C for stream.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .dialogue cimport Dialogue as CDialogue
from .message cimport Account as CAccount

cdef int _FIN
cdef int _RST
cdef int _PSH
cdef int _ACK
cdef int _GAP
cdef int64_t _FAR
cdef int64_t _MASK
cdef int64_t _HALF
cdef int64_t _WINDOW
cdef int64_t _SHIFT_MAX


@cython.final
cdef class HalfStream:
    cdef public bytes key
    cdef public object owner
    cdef public CAccount account
    cdef public HalfStream peer
    cdef public CDialogue dialogue
    cdef public bint of_client
    cdef public bint settled
    cdef public bint awaits_handshake_ack
    cdef public bint ignored
    cdef public bint synchronised
    cdef public int64_t window
    cdef public int64_t fin_at
    cdef public int64_t isn
    cdef public int64_t mss
    cdef public bint stamps
    cdef public bint told
    cdef public int64_t shift
    cdef int64_t _next
    cdef int64_t _next_seq
    cdef int64_t _highest
    cdef list _pending
    cdef list _pending_starts
    cdef int64_t _pending_bytes

    cpdef synchronise(self, int64_t seq)
    cpdef int64_t numbered(self) except? -2
    cpdef forget(self)
    @cython.locals(peer=HalfStream, start=int64_t, push=int, again=bint)
    cpdef receive(self, int64_t t_ns, int64_t seq, int64_t ack, int flags, int64_t window,
                  int64_t size, bytes data)
    @cython.locals(dialogue=CDialogue)
    cdef _hand_on(self, int64_t t_ns, int push, bint again, int64_t size, bytes data)
    cdef _on_handshake_ack(self, int64_t t_ns, int64_t ack)
    cdef _on_zero_window_probe(self)
    cdef _end(self, int64_t t_ns, int64_t seq, int64_t size, int flags)
    @cython.locals(peer=HalfStream, window=int64_t, at=int64_t)
    cdef bint _resets(self, int64_t seq) except -1
    cdef _advance(self, int64_t size)
    cdef _place(self, int64_t start, int64_t end, int64_t t_ns, int push, bytes data)
    cdef _check_end(self, int64_t t_ns)
    cdef _hold(self, int64_t size)
    cdef _deliver_pending(self)
    cdef _skip_to(self, int64_t offset, int64_t t_ns)
    cpdef on_bare_ack(self, int64_t ack, int64_t t_ns)
    @cython.locals(behind=int64_t, target=int64_t)
    cpdef deliver_acknowledged(self, int64_t ack, int64_t t_ns)
    cpdef flush(self, int64_t t_ns)


cdef int64_t _scale(HalfStream half, HalfStream peer) except -1
