"""What syntax trees say by themselves, for those that make copies for C of modules."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

NUMBER_KINDS: Final = frozenset({"int", "bool", "float"})
_CLOSURES: Final = (ast.Lambda, ast.GeneratorExp, ast.FunctionDef, ast.Yield, ast.YieldFrom)


def places(function: ast.FunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    """Return the arguments of a function in the order that they have in C, with their defaults.

    Those that Python takes by keyword alone come last, and of these first what has no default.
    """
    every = function.args.args
    defaults: list[ast.expr | None] = [None] * (len(every) - len(function.args.defaults))
    defaults += function.args.defaults
    named = list(zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True))
    named.sort(key=lambda one: one[1] is not None)
    return [*zip(every, defaults, strict=True), *named]


def values_used(tree: ast.AST) -> set[str]:
    """Return the names of attributes that are used otherwise than in a call: of methods, say."""
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return {
        node.attr for node in nodes if isinstance(node, ast.Attribute) and id(node) not in called
    }


def not_of_self(tree: ast.AST) -> set[str]:
    """Return the names of attributes that are used of something else than ``self``."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and name_of(node.value) != "self"
    }


def functions_called(tree: ast.AST) -> set[str]:
    """Return the names of functions that are called, with or without that of their module."""
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {one.attr if isinstance(one, ast.Attribute) else name_of(one) for one in called}


def names_used(tree: ast.AST) -> set[str]:
    """Return the names that are used otherwise than in a call: of functions, say."""
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    plain = {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in called}
    return plain | values_used(tree)


def maker(kind: str) -> str:
    """Return the name of the function of C that makes an object of a class."""
    return f"new_{kind}"


def beginning(kind: str) -> str:
    """Return the name of the method that does in C what the init of a class does."""
    return f"_begin_{kind}"


def callable_from_c(function: ast.FunctionDef) -> bool:
    """Whether C can call a function: it has no decorator, no closure and no free number of args."""
    return not (
        function.decorator_list
        or function.args.vararg
        or function.args.kwarg
        or re.fullmatch("__.*__", function.name)
        or has_closure(function)
    )


def has_closure(function: ast.FunctionDef) -> bool:
    """Whether there is a function or a generator inside a function."""
    inner = (node for part in function.body for node in ast.walk(part))
    return any(isinstance(node, _CLOSURES) for node in inner)


def is_plain(node: ast.ClassDef) -> bool:
    """Whether a class has slots and nothing that an extension type could not have."""
    slots = any(
        isinstance(part, ast.Assign) and name_of(part.targets[0]) == "__slots__"
        for part in node.body
    )
    return slots and not node.decorator_list and len(node.bases) <= 1


def annotations_of(function: ast.FunctionDef) -> dict[str, str]:
    """Return the annotations of a function's arguments."""
    return {
        one.arg: written(one.annotation)
        for one in (*function.args.args, *function.args.kwonlyargs)
        if one.annotation is not None
    }


def returned(function: ast.FunctionDef) -> str | None:
    """Return the annotation of what a function returns; ``None`` without one."""
    return None if function.returns is None else written(function.returns)


def written(annotation: ast.expr) -> str:
    """Return the text of an annotation, without quotes around it."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def merged(kinds: set[str | None]) -> str | None:
    """Return the annotation that fits all of some others; ``None`` where there is none."""
    if len(kinds) > 1 and None not in kinds:
        bare = {str(kind).removesuffix(" | None") for kind in kinds} - {"None"}
        return f"{bare.pop()} | None" if len(bare) == 1 else None
    return next(iter(kinds)) if len(kinds) == 1 else None


def combined(operator: ast.operator, sides: set[str | None]) -> str | None:
    """Return the annotation of what an operator gives of two numbers; ``None`` where unknown."""
    if sides == {"bool"} and isinstance(operator, ast.BitAnd | ast.BitOr | ast.BitXor):
        return "bool"
    if isinstance(operator, ast.Pow) or not sides <= NUMBER_KINDS:
        return None
    if "float" in sides:
        return "float"
    return None if isinstance(operator, ast.Div) else "int"


def unpacked(target: ast.expr, kind: str | None) -> list[tuple[ast.expr, str | None]]:
    """Return each name of a target with its annotation, where the value has the one of ``kind``."""
    if not isinstance(target, ast.Tuple):
        return [(target, kind)]
    parts: Sequence[str | None] = ()
    if kind is not None and kind.startswith("tuple["):
        inner = ast.parse(kind, mode="eval").body
        assert isinstance(inner, ast.Subscript)
        listed = inner.slice.elts if isinstance(inner.slice, ast.Tuple) else [inner.slice]
        parts = [ast.unparse(one) for one in listed]
    if len(parts) != len(target.elts) or "..." in parts:
        parts = [None] * len(target.elts)
    return [
        found for one, of in zip(target.elts, parts, strict=True) for found in unpacked(one, of)
    ]


def item_of(kind: str | None) -> str | None:
    """Return what is in a list, a deque or an array, by its annotation."""
    found = re.fullmatch(r"(?:list|deque|array|Sequence)\[(.*)\]", kind or "")
    return found[1] if found else None


def name_of(node: ast.expr) -> str:
    """Return the name that an expression is; empty where it is something else."""
    return node.id if isinstance(node, ast.Name) else ""


def number_of(node: ast.expr, known: Mapping[str, int]) -> int | None:
    """Return the value of a constant expression of whole numbers; ``None`` where it is not one."""
    allowed = (ast.Constant, ast.Name, ast.Load, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    parts = list(ast.walk(node))
    if not all(isinstance(part, allowed) for part in parts):
        return None
    if any(isinstance(part, ast.Name) and part.id not in known for part in parts):
        return None
    value = eval(compile(ast.Expression(node), "", "eval"), {"__builtins__": {}}, dict(known))  # noqa: S307
    return value if type(value) is int else None


def numbers_declared(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield what only a module itself uses and annotates as ``Final[int]``, say, with its kind."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and name_of(node.target).startswith("_"):
            found = re.fullmatch(r"Final\[(int|float|bool)\]", ast.unparse(node.annotation))
            if found is not None:
                yield name_of(node.target), found[1]


def numbers_of(target: ast.Tuple, value: ast.expr, known: Mapping[str, int]) -> dict[str, int]:
    """Return the constants of ``A, B = range(2)`` or ``A, B = 1, 2``."""
    values: list[int | None]
    if isinstance(value, ast.Call) and name_of(value.func) == "range" and len(value.args) == 1:
        values = list(range(number_of(value.args[0], known) or 0))
    elif isinstance(value, ast.Tuple):
        values = [number_of(one, known) for one in value.elts]
    else:
        return {}
    return {
        name_of(one): number
        for one, number in zip(target.elts, values, strict=True)
        if number is not None and name_of(one).isupper()
    }
