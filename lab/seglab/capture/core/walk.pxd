# The types of C for walk.py, where Cython compiles it. All indexing is checked against bounds.

cimport cython
from libc.stdint cimport int64_t, uint64_t

from .message cimport Ledger as CLedger
from .stream cimport HalfStream as CHalfStream
from .table cimport Table as CTable

cdef int64_t _SYN
cdef int64_t _HELD_BYTES
cdef int64_t _RECORD_BYTES
cdef int64_t _BLOCK_BYTES
cdef int64_t _SECTION
cdef int64_t _INTERFACE
cdef int64_t _OLD_PACKET
cdef int64_t _SIMPLE_PACKET
cdef int64_t _ENHANCED_PACKET
cdef int64_t _ETHERNET
cdef int64_t _SLL
cdef int64_t _SLL2
cdef int64_t _IPV4
cdef int64_t _IPV6
cdef int64_t _TCP
cdef int64_t _NESTED
cdef int64_t _SLOTS
cdef uint64_t _MIX
cdef int64_t _WORDS
cdef bint _COMPILED


@cython.final
cdef class Walker:
    cdef public CTable table
    cdef CLedger ledger
    cdef public object fragments
    cdef public CHalfStream nobody
    cdef public list interfaces
    cdef public bint big
    cdef public bint known_link
    cdef public int64_t need
    cdef public int64_t skip
    cdef public int64_t packets
    cdef public int64_t unknown_links
    cdef public int64_t malformed
    cdef public int64_t cut_headers
    cdef public int64_t cut_segments
    cdef public int64_t udp_packets
    cdef public dict unread_kinds
    cdef int64_t depth
    cdef int64_t kind
    cdef int64_t place
    cdef uint64_t[::1] words
    cdef list halves
    cdef dict young
    cdef bytes data
    cdef const unsigned char *raw
    cdef int64_t size

    cdef void _read(self, bytes data) except *
    cdef inline int64_t _byte(self, int64_t at) except? -1
    @cython.locals(a=int64_t, b=int64_t)
    cdef inline int64_t _u16(self, int64_t at) except? -1
    @cython.locals(a=int64_t, b=int64_t, c=int64_t, d=int64_t)
    cdef inline int64_t _u32(self, int64_t at) except? -1
    @cython.locals(a=int64_t, b=int64_t)
    cdef inline int64_t _net16(self, int64_t at) except? -1
    @cython.locals(a=int64_t, b=int64_t, c=int64_t, d=int64_t)
    cdef inline int64_t _net32(self, int64_t at) except? -1

    @cython.locals(text="const char*")
    cdef bytes _cut(self, int64_t start, int64_t end)

    @cython.locals(end=int64_t, unit=int64_t, captured=int64_t, stop=int64_t,
                   t_ns=int64_t, link=int64_t, wire=int64_t)
    cpdef int64_t pcap(self, bytes data, int64_t at, object interface) except? -1
    @cython.locals(end=int64_t, kind=int64_t, total=int64_t, stop=int64_t)
    cpdef int64_t pcapng(self, bytes data, int64_t at) except? -1
    @cython.locals(captured=int64_t, high=int64_t, low=int64_t, t_ns=int64_t,
                   multiplier=int64_t, offset_ns=int64_t, wire=int64_t)
    cdef void _enhanced(self, int64_t at, int64_t stop, int64_t number) except *
    @cython.locals(wire=int64_t, captured=int64_t, snaplen=int64_t)
    cdef void _simple(self, int64_t at, int64_t stop) except *
    cdef void _packet(self, int64_t at, int64_t end, int64_t wire, int64_t link,
                     int64_t t_ns) except *
    @cython.locals(kind=int64_t)
    cdef void _frame(self, int64_t at, int64_t end, int64_t wire_end, int64_t link,
                    int64_t t_ns) except *
    @cython.locals(inner=int64_t)
    cdef void _unwrap(self, int64_t link, int64_t at, int64_t end, int64_t wire_end,
                     int64_t t_ns) except *
    cdef void _nest(self, int64_t link, int64_t at, int64_t end, int64_t wire_end,
                   int64_t t_ns) except *
    @cython.locals(link=int64_t, inner=int64_t)
    cdef void _udp(self, int64_t at, int64_t end, int64_t ip_end, int64_t t_ns) except *
    @cython.locals(link=int64_t, inner=int64_t)
    cdef void _other_gre(self, int64_t at, int64_t end, int64_t ip_end, int64_t t_ns) except *
    @cython.locals(size=int64_t, family=int64_t)
    cdef int64_t _other_link(self, int64_t at, int64_t end, int64_t link) except? -2
    cdef int64_t _inner(self, int64_t kind, int64_t at, int64_t end) except? -2
    @cython.locals(bottom=int64_t)
    cdef int64_t _labelled(self, int64_t kind, int64_t at, int64_t end) except? -2
    cdef void _count_unread(self, int64_t kind) except *
    @cython.locals(protocol=int64_t)
    cdef int64_t _ppp(self, int64_t at, int64_t end) except? -2
    @cython.locals(version=int64_t, header=int64_t, total=int64_t,
                   fragment=int64_t, protocol=int64_t, length=int64_t,
                   ip_end=int64_t)
    cdef void _ip(self, int64_t at, int64_t end, int64_t wire_end, int64_t t_ns) except *
    @cython.locals(here=int64_t, following=int64_t, length=int64_t)
    cdef void _extended(self, int64_t at, int64_t header, int64_t end, int64_t ip_end,
                       int64_t t_ns) except *
    @cython.locals(kind=int64_t, first=int64_t)
    cdef void _tunnel(self, int64_t protocol, int64_t at, int64_t end, int64_t ip_end,
                      int64_t t_ns) except *
    cdef void _join(self, object joined, int64_t t_ns) except *
    @cython.locals(flags=int64_t, header=int64_t, length=int64_t, seq=int64_t,
                   ack=int64_t, window=int64_t, key=bytes, payload=bytes, half=CHalfStream)
    cdef void _tcp(self, int64_t addresses, int64_t size, int64_t at, int64_t end,
                  int64_t ip_end, int64_t t_ns) except *
    cdef bytes _key(self, int64_t addresses, int64_t size, int64_t at)
    @cython.locals(half=CHalfStream)
    cdef CHalfStream _find(self, bytes key)
    cdef void _bound(self) except *
    @cython.locals(a=uint64_t, b=uint64_t, c=uint64_t, d=uint64_t, e=uint64_t, f=uint64_t,
                   mixed=uint64_t, i=int64_t)
    cdef bint _recall(self, int64_t addresses, int64_t size, int64_t at) except -1
    @cython.locals(a=uint64_t, b=uint64_t)
    cdef inline uint64_t _net64(self, int64_t at) except? 0
    @cython.locals(stamps=bint, whole=bint)
    cdef void _stamp(self, CHalfStream half, int64_t at, int64_t captured, int64_t end) except *
    @cython.locals(mss=int64_t, stamps=bint, shift=int64_t, whole=bint)
    cdef tuple _options(self, int64_t at, int64_t captured, int64_t end)
