"""Which room of the house may import which: the table, and the walk that compares a tree with it.

Data runs one way, so imports do too. Every import counts: inside a function, under TYPE_CHECKING, or by a literal name
given to importlib; a dependency that hides is still one.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OURS = ("router", "channels")

# Each room may import what stands to its right. Rooms that share a place never import one another.
ORDER: tuple[tuple[str, ...], ...] = (
    ("router.__main__",),
    ("router.cli",),
    ("router.app",),
    ("router.settings",),
    ("channels.registry",),
    ("router.desk",),
    ("router.agents", "router.http", "router.archive", "channels.*"),
    ("router.service",),
    ("router.journal",),
    ("router.almanac",),
    ("router.engine",),
    ("router.errors",),
)

# The bare packages hold a version and a sentence. Whoever imports them gets nothing else.
LEAVES = ("router", "channels")

# What would let an input into the engine that is neither state, command nor the time it was given.
SURPRISES = frozenset(
    """
    apsw sqlite3 redis aiohttp websockets socket ssl select selectors os pathlib tempfile logging structlog
    asyncio concurrent multiprocessing subprocess threading
    random secrets time uuid
    """.split()  # noqa: SIM905 - four lines of words read better than a column
)


@dataclass(frozen=True)
class Import:
    path: Path
    line: int
    source: str  # the importing room
    target: str  # the imported room, or the root of a foreign package
    lazy: bool  # inside a function: happens when it is called, not when the module loads

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.source} imports {self.target}"


def room_of(module: str) -> str:
    """`router.engine.decide` -> `router.engine`; of a foreign module its root."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in OURS else parts[0]


def place_of(room: str) -> int | None:
    """How far to the right a room stands, None when it has no place in the order."""
    for index, rooms in enumerate(ORDER):
        if room in rooms:
            return index
    if room.startswith("channels."):
        return next(index for index, rooms in enumerate(ORDER) if "channels.*" in rooms)
    return None


def may_import(source: str, target: str) -> bool:
    if source == target:
        return True
    match source, target:
        case (leaf, _) if leaf in LEAVES:
            return False
        case "router.bench", _:
            return target != "router.__main__"
        case _, "router.bench":
            return source == "router.__main__"
        case "router.observe", _:
            return target == "router.errors"
        case _, "router.observe":
            return source not in ("router.engine", "router.errors")
        case "router.simulate", _:
            return target in ("router.engine", "router.errors", "router")
        case _, "router.simulate":
            return source in ("router.__main__", "router.cli")
        case _, leaf if leaf in LEAVES:
            return source != "router.engine"
    left, right = place_of(source), place_of(target)
    return left is not None and right is not None and left < right


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def literal_import(node: ast.Call) -> str | None:
    """`importlib.import_module("a.b")` -> `a.b`. A computed name can't be judged here and is left to the reader."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0] if node.args else None
    if name in ("import_module", "__import__") and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return None


def names_imported(node: ast.AST, package: str) -> list[str]:
    """Every name a statement may load, absolute. `from a import b` gives `a.b`: b may be a module."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join(filter(None, [*parents[: len(parents) - node.level + 1], base]))
            return [f"{base}.{alias.name}" for alias in node.names]
        case ast.Call():
            name = literal_import(node)
            return [name] if name else []
    return []


def walk(node: ast.AST, lazy: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, lazy
        yield from walk(child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def is_module(name: str, root: Path) -> bool:
    path = root.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def imports_of(path: Path, root: Path) -> Iterator[Import]:
    module = module_name(path, root)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node, lazy in walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        for name in names_imported(node, package):
            # `from router import __version__` names no room; `from router import engine` does.
            if isinstance(node, ast.ImportFrom) and name.count(".") == 1 and not is_module(name, root):
                name = name.partition(".")[0]
            yield Import(path.relative_to(root), getattr(node, "lineno", 0), room_of(module), room_of(name), lazy)


def sources(root: Path) -> list[Path]:
    return sorted(path for package in OURS for path in (root / package).rglob("*.py"))


def violations(root: Path) -> list[str]:
    """One line for each import that the table forbids, empty for a house in order."""
    found = []
    for path in sources(root):
        for seen in imports_of(path, root):
            if seen.target.partition(".")[0] in OURS and not may_import(seen.source, seen.target):
                found.append(f"{seen}, which the order forbids")
            elif seen.target == "router.bench" and seen.source != "router.bench" and not seen.lazy:
                found.append(f"{seen} when it loads; only inside the command that needs it")
            if seen.source == "router.engine" and seen.target.partition(".")[0] in SURPRISES:
                found.append(f"{seen}, but the engine has no I/O, no clock and no chance")
    return found
