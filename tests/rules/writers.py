"""Who writes which attribute: found by reading the source, without running it.

An object's class is inferred from annotations, calls and loops. Containers are seen through:
`for lease in channel.leases.values()` is a lease. Where nothing says what an object is, every class
of the package with an attribute of that name counts.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tests.rules.source import FUNCTIONS, Module, listed

IN_PLACE = listed(
    "add append appendleft clear difference_update discard extend extendleft insert "
    "intersection_update pop popitem popleft remove reverse rotate setdefault sort "
    "symmetric_difference_update update"
)
FIRST_ARGUMENT = listed("heappush heappop heapify heapreplace shuffle")
Kinds = frozenset[str]
NOTHING: Kinds = frozenset()


@dataclass
class Class:
    """One class of the package: its attributes and methods with the annotations they have."""

    name: str
    module: str
    bases: list[str]
    attributes: dict[str, ast.expr | None] = field(default_factory=dict)
    returns: dict[str, ast.expr | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Write:
    """One place where an attribute of a class is written."""

    owner: str
    attribute: str
    module: str
    line: int


def read_class(node: ast.ClassDef, module: str) -> Class:
    kind = Class(node.name, module, [ast.unparse(base) for base in node.bases])
    for inner in node.body:
        match inner:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                kind.attributes[name] = annotation
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                _read_method(inner, kind)
            case _:
                pass
    return kind


def _read_method(method: ast.FunctionDef | ast.AsyncFunctionDef, kind: Class) -> None:
    kind.returns[method.name] = method.returns
    parameters = {arg.arg: arg.annotation for arg in method.args.args}
    for node in ast.walk(method):
        match node:
            case ast.AnnAssign(
                target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=annotation
            ):
                kind.attributes.setdefault(name, annotation)
            case ast.Assign(targets=targets, value=value):
                annotation = parameters.get(value.id) if isinstance(value, ast.Name) else value
                for name in _own_attributes(targets):
                    kind.attributes.setdefault(name, annotation)
            case _:
                pass


def _own_attributes(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        for node in ast.walk(target):
            match node:
                case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                    yield name
                case _:
                    pass


class Package:
    """The classes and functions of a package, and what is written where."""

    def __init__(self, inside: Iterable[Module], outside: Iterable[Module] = ()) -> None:
        self.inside, self.outside = list(inside), list(outside)
        self.classes = {
            node.name: read_class(node, str(module.path))
            for module in self.inside
            for node in module.classes
        }
        self.functions = {
            node.name: node.returns for module in self.inside for node in module.functions
        }

    @cached_property
    def writes(self) -> list[Write]:
        every = [*((m, True) for m in self.inside), *((m, False) for m in self.outside)]
        return [
            write
            for module, guess in every
            for function, owner in _functions(module.tree)
            for write in Reading(self, module, owner, guess=guess).writes(function)
        ]

    def mentioned(self, annotation: ast.AST | None) -> Kinds:
        """Return the package's classes that an annotation, or a value, speaks of."""
        if annotation is None:
            return NOTHING
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = ast.parse(annotation.value, mode="eval")
        names = (n.id for n in ast.walk(annotation) if isinstance(n, ast.Name))
        return frozenset(name for name in names if name in self.classes)

    def declaring(self, kind: str, attribute: str) -> str | None:
        """Return the class that brings the attribute: `kind` or the one it inherits it from."""
        for base in self.classes[kind].bases:
            if base in self.classes and (above := self.declaring(base, attribute)):
                return above
        return kind if attribute in self.classes[kind].attributes else None

    def is_container(self, owner: str, attribute: str) -> bool:
        """Whether a call on the attribute changes it in place: it is no object of the package."""
        annotation = self.classes[owner].attributes[attribute]
        outer = annotation.left if isinstance(annotation, ast.BinOp) else annotation
        if isinstance(outer, ast.Call):
            outer = outer.func
        return not (isinstance(outer, ast.Name) and outer.id in self.classes)


def _functions(tree: ast.Module) -> Iterator[tuple[ast.AST, str | None]]:
    """Yield every function that stands in no other, with the class it is a method of."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS):
            yield node, None
        elif isinstance(node, ast.ClassDef):
            yield from ((inner, node.name) for inner in node.body if isinstance(inner, FUNCTIONS))


class Reading:
    """One function, read for what its names stand for and for what it writes."""

    def __init__(self, package: Package, module: Module, owner: str | None, *, guess: bool):
        self.package, self.module, self.guess = package, module, guess
        self.names: dict[str, Kinds] = {}
        self.aliases: dict[str, ast.Attribute] = {}
        if owner in package.classes:
            self.names["self"] = self.names["cls"] = frozenset([owner])

    def writes(self, function: ast.AST) -> list[Write]:
        nodes = list(ast.walk(function))
        for _ in range(2):  # a name may be used above the line that says what it is
            for node in nodes:
                self._learn(node)
        every = [target for node in nodes for target in self._written(node)]
        return [write for target, in_place in every for write in self._of(target, in_place)]

    def _learn(self, node: ast.AST) -> None:
        match node:
            case ast.arg(arg=name, annotation=annotation) if annotation is not None:
                self.names[name] = self.package.mentioned(annotation)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                self.names[name] = self.package.mentioned(annotation)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                self._bind(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._bind(target, value)
            case ast.withitem(context_expr=value, optional_vars=target) if target is not None:
                self._bind(target, value)
            case _:
                pass

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=False):
                self._bind(one, its)
            return
        kinds = self.kinds(value)
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.names[node.id] = self.names.get(node.id, NOTHING) | kinds
        if isinstance(target, ast.Name) and isinstance(value, ast.Attribute):
            self.aliases[target.id] = value

    def kinds(self, value: ast.expr) -> Kinds:
        """Return the classes an expression may hold an object of."""
        match value:
            case ast.Name(id=name):
                return self.names.get(name, NOTHING)
            case ast.Attribute(value=inner, attr=name):
                return self._member(self.kinds(inner), name)
            case ast.Call(func=ast.Name(id=name)) if name in self.package.classes:
                return frozenset([name])
            case ast.Call(func=ast.Name(id=name)) if name in self.package.functions:
                return self.package.mentioned(self.package.functions[name])
            case ast.Call(func=ast.Attribute(value=inner, attr=name)):
                kinds = self.kinds(inner)
                return self._member(kinds, name) or kinds
            case _:
                inner = (n for n in ast.iter_child_nodes(value) if isinstance(n, ast.expr))
                return NOTHING.union(*(self.kinds(one) for one in inner))

    def _member(self, kinds: Kinds, name: str) -> Kinds:
        speaking = NOTHING
        for kind in kinds:
            member_of = self.package.classes[kind]
            annotation = member_of.attributes.get(name) or member_of.returns.get(name)
            speaking |= self.package.mentioned(annotation)
        return speaking

    def _written(self, node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield node, False
            case ast.Subscript(value=inner, ctx=ast.Store() | ast.Del()):
                yield self._behind(inner), True
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in IN_PLACE:
                yield self._behind(inner), True
            case ast.Call(func=ast.Attribute(attr=name), args=[first, *_]):
                if name in FIRST_ARGUMENT:
                    yield self._behind(first), True
            case ast.AugAssign(target=ast.Name(id=name)) if name in self.aliases:
                yield self.aliases[name], True
            case _:
                pass

    def _behind(self, inner: ast.AST) -> ast.AST:
        """See through subscripts and through names that stand for an attribute."""
        while isinstance(inner, ast.Subscript):
            inner = inner.value
        if isinstance(inner, ast.Name):
            return self.aliases.get(inner.id, inner)
        return inner

    def _of(self, target: ast.AST, in_place: bool) -> Iterator[Write]:  # noqa: FBT001 - a pair's half
        if not isinstance(target, ast.Attribute):
            return
        owners = self._declaring(self.kinds(target.value), target.attr)
        if not owners and self.guess:
            owners = self._declaring(self.package.classes, target.attr)
        for owner in sorted(owners):
            if not in_place or self.package.is_container(owner, target.attr):
                yield Write(owner, target.attr, str(self.module.path), target.lineno)

    def _declaring(self, kinds: Iterable[str], attribute: str) -> set[str]:
        return {self.package.declaring(kind, attribute) for kind in kinds} - {None}


def written_twice(package: Package) -> list[str]:
    """Return what is written from more than one module, with every place that writes it."""
    by_attribute: dict[tuple[str, str], list[Write]] = {}
    for write in package.writes:
        by_attribute.setdefault((write.owner, write.attribute), []).append(write)
    return [
        f"{package.classes[owner].module} {owner}.{name} is written in "
        + ", ".join(sorted({f"{write.module}:{write.line}" for write in writes}))
        for (owner, name), writes in sorted(by_attribute.items())
        if len({write.module for write in writes}) > 1
    ]
