"""From Python with annotations to what Cython compiles well: the annotations become types of C.

Theory of operation
-------------------
``setup.py`` compiles copies of some modules (``seglab.core.compiling`` says which). A copy could
be compiled as it is, and would then be little faster, since Cython would treat each number as an
object. The modules have annotations, which mypy has checked, so nothing has to be said twice:

    in the source                           in the copy, or in the declarations beside it (.pxd)
    ``int``, ``bool``, ``float``            ``int64_t``, ``bint``, ``double``
    ``bytes``, ``list``, ``tuple``, ...     the same, whose parts are then reached directly
    a class with ``__slots__``              an extension type, each attribute with its type
    a function, a method                    callable from C as well, with the types of its
                                            arguments; from C alone where nothing else calls it
    a local variable that holds one of      declared as that class, or that number
    these classes, or a number
    an item of an ``array[int]``            read directly, where its items have 64 bits
    an item of a list of such a class,      cast to that class, so that its attributes are
    ``queue[0].end``                        reached directly
    a whole number that is ``Final``        the number itself
    ``_most: Final[int] = ...``             a variable of C, where its value is found at run time
    a property                              a method as well, which compiled code calls
    making an object of such a class        a call of a function of C, ``new_CLASS``; the memory is
                                            that of one that is gone, where there is one
    an import of another of the modules     an import of its compiled copy

What stays an object: all other types, ``int | None`` and the like, seeds (they have 64 bits without
a sign), functions with closures, and what has a decorator. That costs speed and nothing else.

The invariant is that a copy computes what its source does. The one difference would be a number
beyond 64 bits; the copies are compiled with checks that raise ``OverflowError`` there.
"""

import ast
import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from seglab.core.c_trees import (
    beginning,
    callable_from_c,
    maker,
    name_of,
    places,
    returned,
    written,
)
from seglab.core.c_types import NUMBERS, DeclaredClass, Program

_HEAD: Final = "cimport cython\nfrom libc.stdint cimport int64_t\n"
_NUMBERS_HEAD: Final = """\
from cpython.array cimport array as array_of_c
cdef inline int64_t number_at(array_of_c numbers, int64_t at) except? -1:
    if numbers.ob_descr.typecode == b"q" and 0 <= at < numbers.ob_size:
        return numbers.data.as_longlongs[at]
    return numbers[at]
"""
_KEPT_MOST: Final = 128
"""Of how many objects of a class the memory is kept for the next ones."""
_OF_C: Final = frozenset({"log"})
"""Functions of ``math`` that are C's own for the arguments that these modules give them."""
_ROUND: Final = "llrint"
"""What C calls rounding to the nearest whole number, and to the even one of two, as Python does."""


class Copy(NamedTuple):
    """The copy of a module: its text, and its declarations."""

    text: str
    declarations: str


def copies(sources: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Copy]:
    """Return the copies of modules that are compiled together.

    Args:
        sources: their texts, by the names that the copies shall have.
        names: the full names of the sources, such as ``seglab.networks.link``, by the same names.
    """
    program = Program(sources, names)
    found = {}
    for name in sources:
        tree = _Writer(program, name).visit(copy.deepcopy(program.trees[name]))
        text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        declared = "\n".join(_declarations(program, name, text))
        head = _HEAD + _NUMBERS_HEAD * ("array_of_c" in declared)
        found[name] = Copy(text, f"{head}{declared}\n")
    return found


class _Writer(ast.NodeTransformer):
    """Rewrites a module into its copy."""

    def __init__(self, program: Program, module: str) -> None:
        self._program = program
        self._module = module
        self._modules = {
            here: source for source, there, here in program.imported(module) if not there
        }
        self._base: str | None = None
        self._class: str | None = None
        self._kinds: Mapping[str, str] = {}
        self.imports: dict[str, ast.stmt] = {}

    def visit_Module(self, node: ast.Module) -> ast.AST:
        """Add the imports that are needed behind the docstring, and what makes objects."""
        self.generic_visit(node)
        node.body[1:1] = self.imports.values()
        for found in self._program.classes.values():
            if found.module == self._module and self._program.is_made_in_c(found):
                node.body.append(_making(found))
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.AST] | None:
        """Import the copies; what is declared in C needs no import in Python."""
        program = self._program
        if node.module == "math":
            node.names = [one for one in node.names if one.name not in _OF_C]
            return node if node.names else None
        if node.module in program.packages:
            node.names = [
                one for one in node.names if f"{node.module}.{one.name}" not in program.by_full_name
            ]
            return node if node.names else None
        if node.module not in program.by_full_name:
            return node
        source = program.by_full_name[node.module]
        node.names = [
            one
            for one in node.names
            if one.name not in program.classes
            and not program.is_callable(source, one.name)
            and one.name not in program.constants[source]
        ]
        node.module, node.level = source, 1
        return node if node.names else None

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Write a constant as its number."""
        value = self._program.constants[self._module].get(node.id)
        if value is None or not isinstance(node.ctx, ast.Load):
            return node
        return self._number(value)

    def _number(self, value: int) -> ast.expr:
        """Return a constant; Cython takes one beyond 32 bits for an object unless it is told."""
        if value.bit_length() < 32:
            return ast.Constant(value)
        self.imports["cython"] = _CYTHON
        return _of_cython("cast", ast.Name("int64_t", ast.Load()), ast.Constant(value))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Write what another module holds by its own name, and a property as a call."""
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            source = self._modules[node.value.id]
            value = self._program.constants[source].get(node.attr)
            if value is not None:
                return self._number(value)
            if node.attr in self._program.classes:
                return ast.Name(node.attr, node.ctx)
            alias = f"{node.value.id}__{node.attr}"
            if not self._program.is_callable(source, node.attr):
                wanted = ast.ImportFrom(source, [ast.alias(node.attr, alias)], 1)
                self.imports[alias] = wanted
            return ast.Name(alias, node.ctx)
        of = self._program.item(node.value, self._kinds, self._module)
        self.generic_visit(node)
        if of is not None:  # otherwise Cython would look for the attribute in Python's way
            node.value = _of_cython("cast", ast.Name(of, ast.Load()), node.value)
            node.value.keywords.append(ast.keyword("typecheck", ast.Constant(value=True)))
            self.imports["cython"] = _CYTHON
        if node.attr in self._program.properties and isinstance(node.ctx, ast.Load):
            read = ast.Attribute(node.value, f"read_{node.attr}", ast.Load())
            return ast.Call(read, [], [])
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Read an item of an array as C does."""
        in_c = isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Slice)
        in_c = in_c and self._program.kind(node.value, self._kinds, self._module) == NUMBERS
        self.generic_visit(node)
        if not in_c:
            return node
        return ast.Call(ast.Name("number_at", ast.Load()), [node.value, node.slice], [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Give arguments by position, since C has no keywords; and make objects in C."""
        if name_of(node.func) == "round" and len(node.args) == 1:
            kind = self._program.kind(node.args[0], self._kinds, self._module)
            if kind == "float":
                node.func = ast.Name(_ROUND, ast.Load())
        made = self._program.made(self._module, node.func)
        if made is not None:
            begin = made.methods["__init__"]
            _by_position(node, places(begin)[1:])
            node.func = ast.Name(maker(made.node.name), ast.Load())
        elif ast.unparse(node.func) == "super().__init__":
            assert self._base is not None, ast.unparse(node)
            node.func = ast.Attribute(ast.Name("self", ast.Load()), beginning(self._base))
        elif node.keywords:
            function = self._program.function(self._module, node.func)
            method = self._program.only_method(node) if function is None else None
            if function is not None and callable_from_c(function):
                _by_position(node, places(function))
            elif method is not None and callable_from_c(method):
                _by_position(node, places(method)[1:])
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Add a method for each property; an extension type has its slots in C."""
        found = self._program.classes.get(node.name)
        self._base = None if found is None else found.base
        self._class = None if found is None else node.name
        self.generic_visit(node)
        self._class = None
        if found is None or found.module != self._module:
            return node
        body: list[ast.stmt] = []
        made_in_c = self._program.is_made_in_c(found)
        for part in node.body:
            if isinstance(part, ast.Assign) and name_of(part.targets[0]) == "__slots__":
                continue
            if isinstance(part, ast.FunctionDef) and part.name in self._program.properties:
                read = copy.deepcopy(part)
                read.name, read.decorator_list = f"read_{part.name}", []
                body.append(read)
                call = ast.Attribute(ast.Name("self", ast.Load()), read.name, ast.Load())
                part.body = [ast.Return(ast.Call(call, [], []))]
            if isinstance(part, ast.FunctionDef) and part.name == "__init__" and made_in_c:
                begin = copy.deepcopy(part)
                _let_have_places(begin)
                begin.name = beginning(node.name)
                body.append(begin)
                call = ast.Attribute(ast.Name("self", ast.Load()), begin.name, ast.Load())
                part.body = [ast.Expr(ast.Call(call, _as_names(places(begin)[1:]), []))]
            body.append(part)
        node.body = body
        if found.base is None and made_in_c:
            words = f"cython.freelist({_KEPT_MOST})", "cython.cclass"
            node.decorator_list = [ast.parse(word, mode="eval").body for word in words]
            self.imports["cython"] = _CYTHON
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Take annotations off, which the declarations have, and let all arguments have places."""
        outer = self._kinds
        self._kinds = self._program.kinds(node, self._module, self._class)
        self.generic_visit(node)
        self._kinds = outer
        if node.args.kwonlyargs and callable_from_c(node):
            _let_have_places(node)
        for argument in (*node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
        node.returns = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Take an annotation off that is inside a function, or that the declarations have."""
        self.generic_visit(node)
        declared = name_of(node.target) in self._program.variables[self._module]
        if (declared or isinstance(node.target, ast.Attribute)) and node.value is not None:
            return ast.Assign([node.target], node.value)
        return node


_CYTHON: Final = ast.Import([ast.alias("cython")])


def _of_cython(name: str, *arguments: ast.expr) -> ast.Call:
    """Return a call of one of Cython's own functions."""
    function = ast.Attribute(ast.Name("cython", ast.Load()), name, ast.Load())
    return ast.Call(function, list(arguments), [])


def _let_have_places(function: ast.FunctionDef) -> None:
    """Let arguments by keyword alone have places, as C needs them."""
    ordered = places(function)
    function.args.args = [argument for argument, _ in ordered]
    function.args.defaults = [one for _, one in ordered if one is not None]
    function.args.kwonlyargs, function.args.kw_defaults = [], []


def _as_names(arguments: Sequence[tuple[ast.arg, ast.expr | None]]) -> list[ast.expr]:
    return [ast.Name(one.arg, ast.Load()) for one, _ in arguments]


def _making(found: DeclaredClass) -> ast.FunctionDef:
    """Return the function that makes an object of a class without a tuple of its arguments."""
    name, begin = found.node.name, found.methods["__init__"]
    arguments = places(begin)[1:]
    text = (
        f"def {maker(name)}({', '.join(one.arg for one, _ in arguments)}):\n"
        f"    made = {name}.__new__({name})\n"
        f"    made.{beginning(name)}({', '.join(one.arg for one, _ in arguments)})\n"
        f"    return made\n"
    )
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    function.args.defaults = [copy.deepcopy(one) for _, one in arguments if one is not None]
    return function


def _declarations(program: Program, name: str, text: str) -> Iterator[str]:
    """Yield the declarations of a module, and first what they and its text need of others."""
    own = [f"cdef {program.c_type(kind)} {one}" for one, kind in program.variables[name].items()]
    for found in program.classes.values():
        if found.module == name:
            own += _type(program, found)
            if program.is_made_in_c(found):
                kind, begin = found.node.name, found.methods["__init__"]
                words = ", ".join(_words(program, places(begin)[1:]))
                own += [f"@cython.locals(made={kind})", f"cdef {kind} {maker(kind)}({words})"]
    for function in program.functions[name].values():
        if callable_from_c(function):
            own += _signature(program, function, name, None)
    used = set(re.findall(r"\w+", text)) | set(re.findall(r"\w+", "\n".join(own)))
    for one in sorted((_OF_C & program.math(name)) | ({_ROUND} & used)):
        yield f"from libc.math cimport {one}"
    for kind, found in program.classes.items():
        if kind in used and found.module != name:
            yield f"from .{found.module} cimport {kind}"
        if maker(kind) in used and found.module != name:
            yield f"from .{found.module} cimport {maker(kind)}"
    for source, there, here in program.imported(name):
        for called in (there,) if there else program.functions[source]:
            alias = here if there else f"{here}__{called}"
            if program.is_callable(source, called) and alias in used:
                yield f"from .{source} cimport {called} as {alias}"
    yield from own


def _type(program: Program, found: DeclaredClass) -> Iterator[str]:
    name = found.node.name
    made_in_c = program.is_made_in_c(found)
    base = program.classes.get(found.base or "")
    overrides = base is not None and base.methods.keys() & found.methods.keys() - {"__init__"}
    if not overrides and not any(one.base == name for one in program.classes.values()):
        yield "@cython.final"  # Cython has none that overrides a method
    yield f"cdef class {name}({found.base}):" if found.base else f"cdef class {name}:"
    for field, kind in found.fields.items():
        if found.base is None or program.field(found.base, field) is None:
            public = "" if field.startswith("_") else "public "
            yield f"    cdef {public}{program.c_type(kind, field)} {field}"
    begin = [_renamed(found.methods["__init__"], beginning(name))] if made_in_c else []
    for method in (*begin, *found.methods.values()):
        if callable_from_c(method):
            for line in _signature(program, method, found.module, name):
                yield f"    {line}"
    for method in found.properties.values():
        if method.name not in program.properties:
            continue
        read = _renamed(method, f"read_{method.name}")
        for line in _signature(program, read, found.module, name):
            yield f"    {line}"
    yield "    pass"


def _signature(
    program: Program, function: ast.FunctionDef, module: str, owner: str | None
) -> Iterator[str]:
    inner = program.locals(function, module, owner)
    if inner:
        yield f"@cython.locals({', '.join(f'{name}={kind}' for name, kind in inner.items())})"
    words = _words(program, places(function))
    result = program.c_type(returned(function))
    caught = {"int64_t": " except? -1", "bint": " except -1", "double": " except? -1"}
    shown = "" if result == "object" else f"{result} "
    seen = "cdef" if program.is_hidden(function, owner) else "cpdef"
    yield f"{seen} {shown}{function.name}({', '.join(words)}){caught.get(result, '')}"


def _words(program: Program, arguments: Sequence[tuple[ast.arg, ast.expr | None]]) -> Iterator[str]:
    """Yield the arguments of a function with their types of C."""
    for argument, default in arguments:
        if argument.arg == "self":
            yield "self"
            continue
        kind = None if argument.annotation is None else written(argument.annotation)
        mark = "" if default is None else "=*"
        yield f"{program.c_type(kind, argument.arg)} {argument.arg}{mark}"


def _renamed(function: ast.FunctionDef, name: str) -> ast.FunctionDef:
    found = copy.copy(function)
    found.name = name
    return found


def _by_position(call: ast.Call, order: Sequence[tuple[ast.arg, ast.expr | None]]) -> None:
    """Turn the keywords of a call into positions; what is left out between them is a default."""
    given = {one.arg: one.value for one in call.keywords}
    for argument, default in order[len(call.args) :]:
        if not given:
            break
        value = given.pop(argument.arg, default)
        assert value is not None, f"{ast.unparse(call)}: no {argument.arg}"
        call.args.append(value)
    call.keywords = []
