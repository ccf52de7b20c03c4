# The types of C for dialogue.py, where Cython compiles it.

cimport cython
from libc.stdint cimport int64_t

from .message cimport Account as CAccount
from .message cimport CapturedMessage as CCapturedMessage
from .preamble cimport Preamble as CPreamble

cdef int _LINE
cdef int _BODY
cdef int _CHUNK
cdef int _OPAQUE
cdef int _WAIT_DATA
cdef int _WAIT_TLS
cdef int _WAIT_BDAT
cdef int _BLOB
cdef int _PREAMBLE
cdef int _DEAD
cdef int _HYPHEN
cdef int _OTHER
cdef int _DATA
cdef int _TLS
cdef int _BLOB_COMMAND
cdef int _CHUNK_END
cdef int _MESSAGE_END
cdef int _RCPT
cdef int _QUIT


@cython.final
cdef class Doubt:
    cdef public CCapturedMessage message
    cdef public int64_t offset
    cdef public bytes end
    cdef public int64_t at
    cdef public list events
    cdef public int64_t size


@cython.final
cdef class Dialogue:
    cdef object _owner
    cdef CAccount _account
    cdef bint _lenient
    cdef bint _tls
    cdef public bint greeted
    cdef public int mode
    cdef public CCapturedMessage message
    cdef public int64_t refusals
    cdef bint _judged
    cdef bytes _line
    cdef bytes _reply
    cdef list _expected
    cdef bint _challenge
    cdef bint _server_seen
    cdef int64_t _guessed
    cdef bint _tunnelled
    cdef bint _refused
    cdef bint _blind
    cdef bint _heard
    cdef bint _missed
    cdef bint _lmtp
    cdef int64_t _recipients
    cdef list _held
    cdef int64_t _held_bytes
    cdef int64_t _remaining
    cdef bint _last
    cdef bint _chunk_refused
    cdef bint _added
    cdef bint _continues
    cdef bint _held_added
    cdef int64_t _piece_at
    cdef int64_t _continues_at
    cdef int64_t _held_at
    cdef list _notes
    cdef CPreamble _preamble
    cdef bint _tls_agreed
    cdef bint _tls_next
    cdef list _unanswered
    cdef bint _unsure
    cdef Doubt _doubt
    cdef Doubt _recorded
    cdef int64_t _rewinds

    cpdef follow_raw(self)
    @cython.locals(at=int64_t, mode=int)
    cpdef client(self, int64_t t_ns, int push, bint again, int64_t size, bytes data)
    @cython.locals(end=int64_t, line=bytes, first=bytes)
    cdef int64_t _lines(self, bytes data, int64_t at, int64_t size) except -1
    cdef bint _judge(self, bytes line) except -1
    cdef _cut_command(self, bytes line, int64_t size)
    @cython.locals(verb=bytes, kind=int)
    cdef _command(self, bytes line)
    cdef _begin_preamble(self, int kind)
    @cython.locals(held=int64_t, preamble=CPreamble)
    cdef int64_t _before(self, bytes data, int64_t at, int64_t size) except -1
    cdef _end_preamble(self)
    @cython.locals(end=int64_t)
    cdef int64_t _blob(self, int64_t at, int64_t size) except -1
    cdef _begin_chunk(self, bytes line)
    @cython.locals(end=int64_t, grown=int64_t, message=CCapturedMessage)
    cdef int64_t _chunk(self, int64_t t_ns, int push, bint again, int64_t size, bytes data,
                        int64_t at) except -1
    @cython.locals(message=CCapturedMessage)
    cdef _open_chunked(self)
    cdef _end_chunk(self)
    @cython.locals(end=int64_t, lax=int64_t, stop=int64_t, part=bytes, follows=int64_t, ended=int64_t, message=CCapturedMessage)
    cdef int64_t _body(self, int64_t t_ns, int push, bint again, int64_t size, bytes data,
                       int64_t at) except -1
    cdef _begin(self, CCapturedMessage message, int push, bint again, int64_t at)
    cdef bint _is_command(self, bytes data, int64_t size) except -1
    cdef bint _is_any_command(self, bytes data, int64_t size) except -1
    @cython.locals(doubt=Doubt)
    cdef bint _continues_end(self, bytes data, int64_t at) except -1
    @cython.locals(message=CCapturedMessage)
    cdef _end_message(self, bint complete)
    cdef _expect_replies(self, CCapturedMessage message)

    @cython.locals(text=bytes, lines=list, line=bytes, last=bytes)
    cpdef server(self, int64_t size, bytes data)
    cdef _lose_replies(self)
    @cython.locals(code=bytes, text="const char*")
    cdef _hear(self, bytes line)
    cdef _hear_proxy(self, list words)
    @cython.locals(kind=int)
    cdef _answer(self, bytes code)
    @cython.locals(waiting=CCapturedMessage)
    cdef _skip_replies(self)
    @cython.locals(mode=int)
    cdef _lead_on(self, int kind, bytes code)
    cdef _go_ahead(self, int kind)
    @cython.locals(message=CCapturedMessage, waiting=CCapturedMessage)
    cdef _answer_message(self, int kind, bytes code)
    @cython.locals(message=CCapturedMessage)
    cdef _answer_in_body(self, bytes code)

    @cython.locals(doubt=Doubt, size=int64_t)
    cdef _record(self, tuple piece, bytes code)
    @cython.locals(kind=int)
    cdef bint _is_surplus(self, bytes code) except -1
    @cython.locals(doubt=Doubt)
    cdef _settle_doubt(self)
    @cython.locals(doubt=Doubt, message=CCapturedMessage, later=CCapturedMessage, before=int64_t)
    cdef _rewind(self)

    cdef _keep(self, tuple piece, int64_t at)
    cdef _settle(self)
    cdef _guess(self, bytes data)
    cdef _accept(self, bint tls)
    cdef _refuse(self)
    cdef _decide_bdat(self, bytes code)
    cdef _forget_until(self, int kind)
    @cython.locals(continues=bint)
    cdef _replay(self)
    @cython.locals(pieces=list)
    cdef list _drop_held(self)
    @cython.locals(message=CCapturedMessage)
    cdef CCapturedMessage _open(self, bint encrypted=*)
    @cython.locals(message=CCapturedMessage)
    cdef _close_message(self, bint complete)
    @cython.locals(message=CCapturedMessage, doubted=bint)
    cdef _release(self, bint everything)
    cdef _give_up(self, str word)
    cdef _die(self)
    cpdef bint awaits_reply(self) except -1
    @cython.locals(message=CCapturedMessage)
    cpdef close(self, reason, bint ended)


cdef bint _is_size(bytes word) except -1
