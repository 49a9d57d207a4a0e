"""Imports run one way through the package, and in no circle."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "deepgen_fast"
#: A module imports modules of its own layer and of those below it.
LAYERS = (
    ("cli",),
    ("runs",),
    ("systems",),
    ("training",),
    ("metrics", "analysis"),
    ("models",),
    ("objectives",),
    ("nn",),
    ("config", "data"),
    ("ops",),
)
#: What stands beside the packages, such as backends and random, is below them but for these.
ABOVE = {"diagnosis": "nn", "explanation": "nn", "__init__": "nn"}


def modules() -> dict[str, Path]:
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return names


def imports(path: Path, known: dict[str, Path], *, deferred: bool) -> set[str]:
    """Modules of the package that a module imports: when it is imported itself, or with ``deferred`` at any time."""
    found = set()
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if deferred else _at_import(tree)
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "deepgen_fast":
            base = node.module.removeprefix("deepgen_fast").lstrip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                found.add(name if name in known else base)
    return found - {""}


def _at_import(tree: ast.Module) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            nodes += ast.walk(node)
    return nodes


def layer(module: str) -> int:
    head = ABOVE.get(module, module.split(".")[0])
    return next((index for index, names in enumerate(LAYERS) if head in names), len(LAYERS))


def test_imports_go_down() -> None:
    known = modules()
    up = {
        f"{module} imports {other}"
        for module, path in known.items()
        for other in imports(path, known, deferred=True)
        if layer(other) < layer(module)
    }
    assert not up, sorted(up)


def test_no_circles() -> None:
    """Among imports at import time, which Python itself would trip over in some order."""
    known = modules()
    graph = {module: imports(path, known, deferred=False) - {module} for module, path in known.items()}
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module not in done:
            for other in sorted(graph.get(module, ())):
                walk(other, (*way, module))
            done.add(module)

    for module in sorted(graph):
        walk(module, ())


def test_no_source_is_ignored() -> None:
    """A package that .gitignore matches works where it was written and is missing from every clone."""
    root = PACKAGE.parent
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("not a git checkout")
    listed = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", "*.py", "*.cpp", "*.h", "*.cu"]
    ignored = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    folders = ("deepgen_fast", "tests", "benchmarks", "reproductions", "build_support", "csrc", "scripts", "examples")
    assert not [path for path in ignored if path.split("/")[0] in folders]
