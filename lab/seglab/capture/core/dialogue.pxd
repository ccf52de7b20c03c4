# The types of C for dialogue.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .message cimport Account as CAccount
from .message cimport CapturedMessage as CCapturedMessage

cdef int _LINE
cdef int _BODY
cdef int _CHUNK
cdef int _OPAQUE
cdef int _WAIT_DATA
cdef int _WAIT_TLS
cdef int _TUNNEL
cdef int _PROXIED
cdef int _DEAD
cdef int _HYPHEN

@cython.final
cdef class Dialogue:
    cdef object _owner
    cdef CAccount _account
    cdef bint _lenient
    cdef bint _tls
    cdef public bint greeted
    cdef public int mode
    cdef public CCapturedMessage message
    cdef bint _judged
    cdef bytes _line
    cdef bytes _reply
    cdef int64_t _outstanding
    cdef bint _challenge
    cdef bint _server_seen
    cdef int64_t _guessed
    cdef bint _tunnelled
    cdef bint _refused
    cdef bint _blind
    cdef list _held
    cdef int64_t _held_bytes
    cdef object _remaining
    cdef bint _last
    cdef bint _encrypted

    cpdef follow_raw(self)
    @cython.locals(at=int64_t, mode=int)
    cpdef client(self, int64_t t_ns, int push, bint again, int64_t size, bytes data)
    @cython.locals(end=int64_t, line=bytes)
    cdef int64_t _lines(self, bytes data, int64_t at, int64_t size) except -1
    @cython.locals(word=bytes)
    cdef bint _judge(self, bytes line) except -1
    @cython.locals(verb=bytes)
    cdef _command(self, bytes line, bint whole)
    @cython.locals(end=int64_t, line=bytes)
    cdef int64_t _tunnel(self, bytes data, int64_t at, int64_t size) except -1
    @cython.locals(held=int64_t, end=int64_t, line=bytes, whole=bint)
    cdef int64_t _signed(self, bytes data, int64_t at, int64_t size) except -1
    @cython.locals(end=int64_t)
    cdef int64_t _proxied(self, int64_t at, int64_t size) except -1
    cdef _begin_chunk(self, bytes line)
    @cython.locals(end=int64_t, message=CCapturedMessage)
    cdef int64_t _chunk(self, int64_t t_ns, int push, bint again, int64_t size, bytes data,
                        int64_t at) except -1
    cdef _end_chunk(self)
    @cython.locals(end=int64_t, message=CCapturedMessage)
    cdef int64_t _body(self, int64_t t_ns, int push, bint again, int64_t size, bytes data,
                       int64_t at) except -1

    @cython.locals(text=bytes, lines=list, line=bytes)
    cpdef server(self, int64_t size, bytes data)
    @cython.locals(code=bytes, text="const char*")
    cdef _hear(self, bytes line)
    cdef _hear_proxy(self, list words)
    @cython.locals(mode=int)
    cdef _answer(self, bytes code)
    @cython.locals(message=CCapturedMessage)
    cdef _answer_in_body(self)

    cdef _keep(self, tuple piece)
    cdef _settle(self)
    cdef _guess(self, bytes data)
    cdef _accept(self)
    cdef _refuse(self)
    @cython.locals(pieces=list)
    cdef _replay(self)
    @cython.locals(message=CCapturedMessage)
    cdef CCapturedMessage _open(self, bint encrypted=*)
    @cython.locals(message=CCapturedMessage)
    cdef _close_message(self, object complete)
    cdef _give_up(self, str word)
    cdef _die(self)
    @cython.locals(message=CCapturedMessage)
    cpdef close(self, reason, bint ended)
