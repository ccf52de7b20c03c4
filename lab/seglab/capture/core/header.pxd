# The types of C for header.py, where Cython compiles it.

cimport cython

cdef int _TAB
cdef int _LF
cdef int _CR
cdef int _SPACE
cdef int _COLON
cdef int _DELETE


@cython.locals(raw="const unsigned char *", size="Py_ssize_t", start="Py_ssize_t",
               at="Py_ssize_t", name_end="Py_ssize_t", found=list, empty=bint)
cpdef tuple fields_of(bytes payload)
@cython.locals(raw="const unsigned char *", size="Py_ssize_t")
cdef Py_ssize_t _line_end(bytes payload, Py_ssize_t at) except? -2
