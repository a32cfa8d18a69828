"""The project's files, each read and parsed once for all rules."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
ATTRIBUTE = -1
"""The scope of an attribute: that of its object, wherever it is assigned."""
Binding = tuple[int, str]
"""A line number and the name bound there."""


@dataclass(frozen=True)
class Module:
    """One file of Python: `path` from the root, and what stands in it."""

    path: Path

    @property
    def part(self) -> str:
        """The second-level package (`service/store`, its rooms included); `service` at the top."""
        return "/".join(self.path.parts[:-1][:2])

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return [node for node, _ in self.scoped]

    @cached_property
    def scoped(self) -> list[tuple[ast.AST, int]]:
        """Every node with the line of the function it stands in; 0 outside of all."""
        stack: list[tuple[ast.AST, int]] = [(self.tree, 0)]
        every = []
        while stack:
            pair = node, scope = stack.pop()
            every.append(pair)
            inner = node.lineno if isinstance(node, FUNCTIONS) else scope
            for field in node._fields:
                value = getattr(node, field, None)
                children = value if isinstance(value, list) else (value,)
                stack += [(c, inner) for c in children if isinstance(c, ast.AST) and c._fields]
        return every

    @cached_property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in self.nodes if isinstance(node, FUNCTIONS)]

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        return [node for node in self.nodes if isinstance(node, ast.ClassDef)]

    @cached_property
    def variables(self) -> list[tuple[int, str, int]]:
        """Line, name and scope of what is assigned: variables, parameters, attributes."""
        return [
            (*pair, ATTRIBUTE if isinstance(node, ast.Attribute) else scope)
            for node, scope in self.scoped
            for pair in _variables(node)
        ]

    @cached_property
    def flags(self) -> set[tuple[int, str]]:
        """Scope and name of what an annotation declares to be a boolean."""
        declarations = [(n, s) for n, s in self.scoped if isinstance(n, ast.arg | ast.AnnAssign)]
        return {
            (scope, node.arg if isinstance(node, ast.arg) else _last_name(node.target))
            for node, scope in declarations
            if node.annotation is not None
            and any(getattr(part, "id", "") == "bool" for part in ast.walk(node.annotation))
        }

    @cached_property
    def definitions(self) -> list[Binding]:
        """Every name that the file gives to something: variables, functions, classes, aliases."""
        things = [(node.lineno, node.name) for node in [*self.functions, *self.classes]]
        aliases = [
            (node.lineno, alias.asname)
            for node in self.nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if alias.asname
        ]
        values = [(line, name) for line, name, _ in self.variables]
        return sorted([*values, *things, *aliases])

    @cached_property
    def strings(self) -> list[Binding]:
        """Every text in quotes with the line it begins on, docstrings included."""
        return [
            (node.lineno, node.value)
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]

    @cached_property
    def docstrings(self) -> list[Binding]:
        """Every text that stands alone: of a module, a class, a function, or under an attribute."""
        alone = [node.value for node in self.nodes if isinstance(node, ast.Expr)]
        return [
            (node.lineno, node.value)
            for node in alone
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]

    @cached_property
    def comments(self) -> list[Binding]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]


def _last_name(target: ast.expr) -> str:
    return ast.unparse(target).rpartition(".")[2]


def _variables(node: ast.AST) -> Iterator[Binding]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield node.lineno, name
        case ast.arg(arg=name):
            yield node.lineno, name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield node.lineno, name
        case ast.ExceptHandler(name=str(name)):
            yield node.lineno, name
        case _:
            pass


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, those not yet committed included."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        return tuple(
            path for line in listing.stdout.splitlines() if (path := ROOT / line).is_file()
        )
    roots = ("service", "workers", "tests")
    return tuple(p for r in roots for p in (ROOT / r).rglob("*") if p.suffix in {".py", ".md"})


@cache
def _modules() -> tuple[Module, ...]:
    paths = sorted(path.relative_to(ROOT) for path in files() if path.suffix == ".py")
    return tuple(Module(path) for path in paths)


def modules(*tops: str) -> list[Module]:
    """Return the files of Python below these top folders; migrations are history, not rules'."""
    every = [module for module in _modules() if module.path.parts[0] in tops]
    return [module for module in every if "migrations" not in module.path.parts]


def parts(*tops: str) -> dict[str, list[Module]]:
    """Return the same by second-level package."""
    by_part: dict[str, list[Module]] = {}
    for module in modules(*tops):
        by_part.setdefault(module.part, []).append(module)
    return by_part


@cache
def words(name: str) -> tuple[str, ...]:
    """Split an identifier at its underscores and humps, in lower case."""
    return tuple(word.lower() for piece in name.split("_") if piece for word in _HUMP.split(piece))


def listed(text: str) -> frozenset[str]:
    """Return the words of a list that reads better without quotes and commas."""
    return frozenset(text.split())


def report(*breaches: str) -> str:
    """Return a message that names everything that breaks a rule, one a line."""
    return "\n".join(["", *breaches])
