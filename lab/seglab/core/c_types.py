"""What modules declare by their annotations, in the types of C.

``Program`` reads the modules that are compiled together. It knows their classes with the types of
all attributes, their functions and their constants, and so which type an expression has. What
becomes of that is in ``seglab.core.c_copies``.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from seglab.core.c_trees import (
    NUMBER_KINDS,
    annotations_of,
    callable_from_c,
    combined,
    functions_called,
    has_closure,
    is_plain,
    item_of,
    merged,
    name_of,
    names_used,
    not_of_self,
    number_of,
    numbers_declared,
    numbers_of,
    places,
    returned,
    unpacked,
    values_used,
)

NUMBERS: Final = "array[int]"
"""The annotation of an array of numbers of 64 bits."""

_C_TYPES: Final = {
    "int": "int64_t",
    "bool": "bint",
    "float": "double",
    "bytes": "bytes",
    NUMBERS: "array_of_c",
}
_CONSTANTS: Final = {int: "int", bool: "bool", float: "float", type(None): "None"}
_BUILTINS: Final = {
    "len": "int", "bool": "bool", "range": "Sequence[int]", "min": "", "max": "", "enumerate": ""
}  # fmt: skip
_OBJECTS: Final = frozenset({"seed"})
"""Names of numbers that may need more than 63 bits."""


class DeclaredClass(NamedTuple):
    """A class that becomes an extension type."""

    module: str
    node: ast.ClassDef
    base: str | None
    fields: dict[str, str]
    methods: dict[str, ast.FunctionDef]
    properties: dict[str, ast.FunctionDef]


class Program:
    """All modules, and what is declared in them."""

    def __init__(self, sources: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.trees = {name: ast.parse(text) for name, text in sources.items()}
        self.by_full_name = {full: name for name, full in names.items()}
        self.packages = {full.rpartition(".")[0] for full in names.values()}
        self.constants: dict[str, dict[str, int]] = {}
        self.variables = {name: dict(numbers_declared(tree)) for name, tree in self.trees.items()}
        self.functions: dict[str, dict[str, ast.FunctionDef]] = {}
        self.classes: dict[str, DeclaredClass] = {}
        for name, tree in self.trees.items():
            self.functions[name] = {
                node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)
            }
        waiting = list(self.trees)
        while waiting:  # a module's constants may need those of others
            name = waiting.pop(0)
            needed = {source for source, _, _ in self.imported(name)} & set(waiting)
            if needed - {name}:
                waiting.append(name)
            else:
                self.constants[name] = self._constants(name)
        self.values = set[str]().union(*map(values_used, self.trees.values()))
        self._elsewhere = set[str]().union(*map(not_of_self, self.trees.values()))
        self._by_call = set[str]().union(*map(functions_called, self.trees.values()))
        self._held = set[str]().union(*map(names_used, self.trees.values()))
        for name, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and is_plain(node):
                    self._declare(name, node)
        for found in self.classes.values():
            self._find_fields(found)
        fields = {name for one in self.classes.values() for name in one.fields}
        self.properties = {
            name for one in self.classes.values() for name in one.properties if name not in fields
        }

    def imported(self, name: str) -> Iterator[tuple[str, str, str]]:
        """Yield what a module imports from the others: module, name there, name here."""
        for node in self.trees[name].body:
            if isinstance(node, ast.ImportFrom) and node.module in self.by_full_name:
                for alias in node.names:
                    source = self.by_full_name[node.module]
                    yield source, alias.name, alias.asname or alias.name
            elif isinstance(node, ast.ImportFrom) and node.module in self.packages:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    if full in self.by_full_name:
                        yield self.by_full_name[full], "", alias.asname or alias.name

    def math(self, name: str) -> set[str]:
        """Return the functions of ``math`` that a module imports by their names."""
        return {
            alias.name
            for node in self.trees[name].body
            if isinstance(node, ast.ImportFrom) and node.module == "math"
            for alias in node.names
        }

    def _constants(self, name: str) -> dict[str, int]:
        known = {
            here: self.constants[source][there]
            for source, there, here in self.imported(name)
            if there in self.constants.get(source, {})
        }
        for node in self.trees[name].body:
            targets: list[ast.expr] = []
            if isinstance(node, ast.AnnAssign) and "Final" in ast.unparse(node.annotation):
                targets = [node.target]
            elif isinstance(node, ast.Assign):
                targets = node.targets
            for target in targets:
                value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
                if isinstance(target, ast.Name) and target.id.isupper() and value is not None:
                    number = number_of(value, known)
                    if number is not None:
                        known[target.id] = number
                elif isinstance(target, ast.Tuple) and value is not None:
                    known |= numbers_of(target, value, known)
        return known

    def _declare(self, module: str, node: ast.ClassDef) -> None:
        base = node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else None
        methods, properties = {}, {}
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                words = [ast.unparse(one) for one in part.decorator_list]
                if words == ["property"]:
                    properties[part.name] = part
                elif not words and part.name not in self.values:
                    methods[part.name] = part
        self.classes[node.name] = DeclaredClass(module, node, base, {}, methods, properties)

    def _find_fields(self, found: DeclaredClass) -> None:
        begin = found.methods.get("__init__")
        if begin is None:
            return
        known = annotations_of(begin)
        for node in ast.walk(begin):
            targets: list[ast.expr] = []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            elif isinstance(node, ast.Assign):
                targets = node.targets
            for target in targets:
                if not (isinstance(target, ast.Attribute) and name_of(target.value) == "self"):
                    continue
                if isinstance(node, ast.AnnAssign):
                    kind = ast.unparse(node.annotation)
                else:
                    assert isinstance(node, ast.Assign)
                    kind = self.kind(node.value, known, found.module) or "object"
                found.fields[target.attr] = kind

    def is_made_in_c(self, found: DeclaredClass) -> bool:
        """Whether C alone can make objects of a class: a function of C does what its init does."""
        begin = found.methods.get("__init__")
        base = None if found.base is None else self.classes.get(found.base)
        return (
            begin is not None
            and begin.args.vararg is None
            and begin.args.kwarg is None
            and not has_closure(begin)
            and (found.base is None or (base is not None and self.is_made_in_c(base)))
        )

    def made(self, module: str, called: ast.expr) -> DeclaredClass | None:
        """Return the class of which a call makes an object in C; ``None`` where it does not."""
        found = None
        if isinstance(called, ast.Name):
            found = self.classes.get(called.id)
            seen = {here for _, there, here in self.imported(module) if there}
            if found is not None and called.id not in seen and found.module != module:
                return None
        elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            modules = {here for _, there, here in self.imported(module) if not there}
            found = self.classes.get(called.attr) if called.value.id in modules else None
        return found if found is not None and self.is_made_in_c(found) else None

    # Types ---------------------------------------------------------------------------------------

    def c_type(self, kind: str | None, name: str = "") -> str:
        """Return a type of C for an annotation."""
        if kind is None or name in _OBJECTS:
            return "object"
        if kind.removesuffix(" | None") in self.classes:
            return kind.removesuffix(" | None")
        if (found := re.match(r"(list|tuple|dict)\[", kind)) is not None:
            return found[1]
        return _C_TYPES.get(kind, "object")

    def field(self, kind: str, name: str) -> str | None:
        """Return the annotation of an attribute of a class."""
        found = self.classes.get(kind.removesuffix(" | None"))
        while found is not None:
            if name in found.fields:
                return found.fields[name]
            if name in found.properties:
                return returned(found.properties[name])
            found = self.classes.get(found.base or "")
        return None

    def method(self, kind: str, name: str) -> ast.FunctionDef | None:
        """Return a method of a class."""
        found = self.classes.get(kind.removesuffix(" | None"))
        while found is not None:
            if name in found.methods:
                return found.methods[name]
            found = self.classes.get(found.base or "")
        return None

    def only_method(self, call: ast.Call) -> ast.FunctionDef | None:
        """Return the method that is called, where one class alone has one that fits."""
        if not isinstance(call.func, ast.Attribute):
            return None
        name, keywords = call.func.attr, {one.arg for one in call.keywords}
        found = [one.methods[name] for one in self.classes.values() if name in one.methods]
        fitting = len(found) == 1 and keywords <= {one.arg for one, _ in places(found[0])}
        return found[0] if fitting else None

    def function(self, module: str, call: ast.expr) -> ast.FunctionDef | None:
        """Return the function of the modules that an expression names."""
        if isinstance(call, ast.Name):
            if call.id in self.functions[module]:
                return self.functions[module][call.id]
            for source, there, here in self.imported(module):
                if here == call.id and there:
                    return self.functions[source].get(there)
        if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name):
            for source, there, here in self.imported(module):
                if here == call.value.id and not there:
                    return self.functions[source].get(call.attr)
        return None

    def kind(self, node: ast.expr, known: Mapping[str, str], module: str) -> str | None:  # noqa: PLR0911
        """Return the annotation that an expression would have; ``None`` where that is not seen."""
        if isinstance(node, ast.Constant):
            return _CONSTANTS.get(type(node.value))
        if isinstance(node, ast.Name):
            constant = "int" if node.id in self.constants[module] else None
            return known.get(node.id, constant or self.variables[module].get(node.id))
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.Not):
                return "bool"
            return self.kind(node.operand, known, module)
        if isinstance(node, ast.BinOp):
            return combined(
                node.op, {self.kind(one, known, module) for one in (node.left, node.right)}
            )
        if isinstance(node, ast.Compare):
            return "bool"
        if isinstance(node, ast.IfExp):
            return self._common((node.body, node.orelse), known, module)
        if isinstance(node, ast.BoolOp):
            return self._common(node.values, known, module)
        if isinstance(node, ast.Attribute):
            of = self.kind(node.value, known, module)
            return None if of is None else self.field(of, node.attr)
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            return item_of(self.kind(node.value, known, module))
        if isinstance(node, ast.Call):
            return self._called(node, known, module)
        return None

    def _common(
        self, nodes: Iterable[ast.expr], known: Mapping[str, str], module: str
    ) -> str | None:
        """Return the annotation that all of some expressions have; ``None`` where they differ."""
        return merged({self.kind(one, known, module) for one in nodes})

    def _called(self, node: ast.Call, known: Mapping[str, str], module: str) -> str | None:
        if name_of(node.func) in self.classes:
            return name_of(node.func)
        if name_of(node.func) in _BUILTINS:
            return self._built_in(node, known, module)
        function = self.function(module, node.func)
        if function is not None:
            return returned(function)
        if isinstance(node.func, ast.Attribute):
            of = self.kind(node.func.value, known, module)
            if node.func.attr in {"pop", "popleft"}:
                return item_of(of)
            method = None if of is None else self.method(of, node.func.attr)
            return None if method is None else returned(method)
        return None

    def _built_in(self, node: ast.Call, known: Mapping[str, str], module: str) -> str | None:
        """Return what a call of one of Python's functions gives, as an annotation."""
        name = name_of(node.func)
        if name in {"min", "max"}:
            plain = len(node.args) > 1 and not node.keywords
            return self._common(node.args, known, module) if plain else None
        if name == "enumerate":
            of = item_of(self.kind(node.args[0], known, module)) if len(node.args) == 1 else None
            return f"Sequence[tuple[int, {of or 'Any'}]]"
        return _BUILTINS[name]

    def item(self, node: ast.expr, known: Mapping[str, str], module: str) -> str | None:
        """Return the class of what is taken out of a list of its objects; ``None`` otherwise."""
        taken = isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice)
        taken |= isinstance(node, ast.Call) and name_of(node.func) == ""
        kind = self.kind(node, known, module) if taken else None
        return kind if kind in self.classes else None

    def kinds(self, function: ast.FunctionDef, module: str, owner: str | None) -> dict[str, str]:
        """Return the annotations of a function's arguments and local variables, as far as seen."""
        known = annotations_of(function)
        if owner is not None:
            known["self"] = owner
        arguments = set(known)
        while fresh := {  # a variable may come from one that is found later, or from itself
            name: kind
            for name, kinds in self._bound(function, known, module).items()
            if name not in known and (kind := merged(kinds - {None})) is not None
        }:
            known |= fresh
        while wrong := {
            name: f"{known[name]} | None" if kind == f"{known[name]} | None" else None
            for name, kinds in self._bound(function, known, module).items()
            if name in known and name not in arguments and (kind := merged(kinds)) != known[name]
        }:
            known = {
                name: kind
                for name, before in known.items()
                if (kind := wrong.get(name, before)) is not None
            }
        return known

    def locals(self, function: ast.FunctionDef, module: str, owner: str | None) -> dict[str, str]:
        """Return the types of C of local variables.

        They are the types of those whose every value is of the same class, or a number of the same
        kind, and what those are annotated with that have an annotation of their own.
        """
        known = self.kinds(function, module, owner)
        arguments = {"self", *annotations_of(function)}
        typed = {
            name_of(node.target): self.c_type(ast.unparse(node.annotation), name_of(node.target))
            for node in ast.walk(function)
            if isinstance(node, ast.AnnAssign) and name_of(node.target)
        }
        typed = {name: kind for name, kind in typed.items() if kind != "object"}
        return typed | {
            name: self.c_type(kind, name)
            for name, kind in known.items()
            if name not in arguments
            and (kind in NUMBER_KINDS or kind.removesuffix(" | None") in self.classes)
            and self.c_type(kind, name) != "object"
        }

    def _bound(
        self, function: ast.FunctionDef, known: Mapping[str, str], module: str
    ) -> dict[str, set[str | None]]:
        """Return for each local variable what its values would be annotated with."""
        found: dict[str, set[str | None]] = {}
        for target, kind in self._bindings(function, known, module):
            found.setdefault(target, set()).add(kind)
        return found

    def _bindings(
        self, function: ast.FunctionDef, known: Mapping[str, str], module: str
    ) -> Iterator[tuple[str, str | None]]:
        for node in ast.walk(function):
            pairs: list[tuple[ast.expr, str | None]] = []
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        values = zip(target.elts, node.value.elts, strict=True)
                        pairs += [(one, self.kind(v, known, module)) for one, v in values]
                    else:
                        pairs += unpacked(target, self.kind(node.value, known, module))
            elif isinstance(node, ast.AnnAssign):
                pairs = [(node.target, ast.unparse(node.annotation))]
            elif isinstance(node, ast.AugAssign):  # what it was before is another binding
                both = ast.BinOp(node.value, node.op, node.value)
                pairs = [(node.target, self.kind(both, known, module))]
            elif isinstance(node, ast.NamedExpr):
                pairs = [(node.target, self.kind(node.value, known, module))]
            elif isinstance(node, ast.For | ast.comprehension):
                pairs = unpacked(node.target, item_of(self.kind(node.iter, known, module)))
            for target, kind in pairs:
                if isinstance(target, ast.Name):
                    yield target.id, kind

    def is_hidden(self, function: ast.FunctionDef, owner: str | None) -> bool:
        """Whether Python need not see a function, since C code alone calls it.

        That holds for a function that these modules call and do not hold as a value, and for a
        method with a name of its own that only its class calls, on itself.
        """
        if owner is None:
            return function.name in self._by_call and function.name not in self._held
        return function.name.startswith("_") and function.name not in self._elsewhere

    def is_callable(self, module: str, name: str) -> bool:
        """Whether a name of a module is a function that C can call."""
        function = self.functions[module].get(name)
        return function is not None and callable_from_c(function)
