"""What a file of code says, whatever its name, comments and layout: a digest of its syntax tree, and what it imports.

The serialisation is our own: nodes with their fields, no positions, nothing that is empty, so that all versions of
Python give the same. Left out is what does nothing: docstrings, `pass`, blocks for type checkers, descriptions of
configuration keys. Imports from the package stand first in their block, by the name that they bind, if nothing else
binds it there; where from is said apart (`imports`), because a module is known by its code and not by its name. Needs
nothing but the standard library.
"""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

HOME = "guidance_study"
SKIPPED = ("ctx", "kind", "type_comment", "type_ignores")  # follow from the rest, or say nothing to the interpreter

UNUSED = ("__version__", "__all__")  # what a page says of itself to others than the program


@dataclass
class Source:
    """A file's code: the digest of its body, and for each import from the package, in order, [module, name].

    `kinds`: the kinds that its classes declare; `constants`: name -> serialisation of the literals at its top;
    `attributes`: the names that it reads as attributes, of modules perhaps.
    """

    body: str = ""
    imports: list[list[str]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)
    attributes: list[str] = field(default_factory=list)


def parsed(content: bytes) -> Source:
    """What a file with these bytes says. Raises SyntaxError."""
    tree, source = ast.parse(content), Source()
    _leave_out_descriptions(tree)
    source.body = hashlib.sha256(_written(tree, source.imports).encode("utf-8", "surrogatepass")).hexdigest()
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            source.kinds += [kind for part in statement.body for kind in _kinds(part)]
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value and _literal(statement.value):
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                source.constants |= _constants(target, statement.value)
    source.attributes = sorted({node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)})
    return source


def _written(node: Any, imports: list[list[str]]) -> str:
    """A node, a list or a plain value as text; modules of the package go to `imports`, in the order of the text."""
    if isinstance(node, list):
        if node and isinstance(node[0], ast.stmt):
            return _block(node, imports)
        return f"[{','.join(_written(item, imports) for item in node)}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    if isinstance(node, ast.Constant):
        return f"({node.value!a})"
    if isinstance(node, ast.JoinedStr):
        return f"JoinedStr[{','.join(_written(part, imports) for part in _joined(node.values))}]"
    fields = [(name, value) for name, value in ast.iter_fields(node) if name not in SKIPPED]
    texts = [(name, _written(value, imports)) for name, value in fields if value is not None and value != []]
    return f"{type(node).__name__}({','.join(f'{name}={text}' for name, text in texts if text != '[]')})"


def _block(statements: list[ast.stmt], imports: list[list[str]]) -> str:
    """Statements that do something. The package's imports stand first, since their order follows the modules' names.

    One whose name the block binds elsewhere too stays where it is: the later one wins.
    """
    statements = [statement for statement in statements if not _idle(statement)]
    bound = Counter(name for statement in statements for name in _bound(statement))
    first: list[tuple[str, str, str]] = []
    rest: list[ast.stmt | tuple[str, str, str]] = []
    for statement in statements:
        for own in _own(statement):
            (first if bound[own[0]] == 1 and "*" not in bound else rest).append(own)
        if not _idle(statement):
            rest.append(statement)
    texts = []
    for part in [*sorted(first), *rest]:
        if isinstance(part, tuple):
            name, taken, module = part
            imports.append([module, taken])
            texts.append(f"import({taken!a},{name!a})")
        else:
            texts.append(_written(part, imports))
    return f"[{','.join(texts)}]"


def _own(statement: ast.stmt) -> list[tuple[str, str, str]]:
    """(name that is bound, name that is taken, module) of each import from the package; they leave the statement."""
    own = []
    if isinstance(statement, ast.Import):
        own = [(a.asname or HOME, "", a.name) for a in statement.names if a.name.split(".")[0] == HOME]
        statement.names = [a for a in statement.names if a.name.split(".")[0] != HOME]
    elif isinstance(statement, ast.ImportFrom):
        module = "." * statement.level + (statement.module or "")
        if statement.level or module.split(".")[0] == HOME:
            own = [(a.asname or a.name, a.name, module) for a in statement.names]
            statement.names = []
    return own


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds in its own scope."""
    if isinstance(node, ast.alias):
        yield node.asname or node.name.split(".")[0]
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif name := getattr(node, "name", None) or getattr(node, "rest", None):  # of a def, a class, a pattern, an error
        yield name
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _leave_out_descriptions(tree: ast.Module) -> None:
    """Take the descriptions of configuration keys out of a file: those of pydantic's Field, by the name it has here."""
    nodes = list(ast.walk(tree))
    taken = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "pydantic"]
    names = {a.asname or a.name for node in taken for a in node.names if a.name == "Field" and not node.level}
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]


def _idle(statement: ast.stmt) -> bool:
    """Whether a statement does nothing when the program runs."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return not statement.names
    if isinstance(statement, ast.If):
        return _name(statement.test) == "TYPE_CHECKING" and not statement.orelse
    if isinstance(statement, ast.Assign):
        return isinstance(statement.targets[0], ast.Name) and statement.targets[0].id in UNUSED
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Parts of an f-string, neighbouring texts as one: versions of Python divide them differently."""
    found: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and found and isinstance(found[-1], ast.Constant):
            found[-1] = ast.Constant(str(found[-1].value) + str(value.value))
        else:
            found.append(value)
    return [part for part in found if not isinstance(part, ast.Constant) or part.value]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):  # {[1]: 2} has the form of one
        return False
    return True


def _constants(target: ast.expr, value: ast.expr) -> dict[str, str]:
    """Name -> what says its value, of the names that a literal is assigned to: of several at once, all of the line."""
    if isinstance(target, ast.Name):
        return {target.id: _written(value, [])}
    if isinstance(target, ast.Tuple | ast.List):
        line = f"{_written(target, [])}={_written(value, [])}"
        return {node.id: line for node in ast.walk(target) if isinstance(node, ast.Name)}
    return {}


def _kinds(part: ast.stmt) -> list[str]:
    """The kinds that a line `kind: Literal["..."]` of a class declares."""
    if isinstance(part, ast.AnnAssign) and _name(part.target) == "kind" and isinstance(part.annotation, ast.Subscript):
        return [str(node.value) for node in ast.walk(part.annotation.slice) if isinstance(node, ast.Constant)]
    return []
