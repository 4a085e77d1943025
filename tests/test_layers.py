"""The house stands as drawn: floors, sizes, a light start, every import declared. Read off the source, not promised."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "latexocr"
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [path for folder in ("tests", "benchmarks", "examples", ".ci") for path in (ROOT / folder).rglob("*.py")]
FLOORS = {"errors": -1, "provenance": 0, "wording": 0, "records": 0, "latex": 0, "tex": 0, "data": 1, "reading": 1,
          "scoring": 1, "training": 2, "bench": 2, "model": 3, "cli": 4}
"""Room -> floor; imports point down only. The package's own `__init__` names what the rooms hold, and is above all."""
HEAVY = ("torch", "transformers", "vllm", "unsloth", "trl", "peft", "datasets", "sacrebleu", "scipy", "httpx")
"""What `import latexocr.cli` must not load."""
LONGEST_FILE, LONGEST_FUNCTION = 300, 40
EXCUSE = "# Long: "
"""A comment right above a longer function that argues for it."""


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    """The room of a dotted module name: "latexocr.data.sources" is in "data"; "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def imported(path: Path) -> set[str]:
    """Dotted names of the modules of this package that a file imports, wherever in it; relative imports resolved."""
    name = module_name(path)
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = here.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (package, node.module or "") if part)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "latexocr"}


def uphill(importer: str, target: str) -> bool:
    """Whether an import between two rooms breaks the rule; a name of the package itself is on top of the house."""
    floor = FLOORS.get(room(target), max(FLOORS.values()) + 1)
    return room(importer) != room(target) and floor >= FLOORS[room(importer)]


@pytest.mark.parametrize(("importer", "target", "broken"), [
    ("latexocr.training.lora", "latexocr.data.sources.load", False),
    ("latexocr.training.lora", "latexocr.training.collate", False),
    ("latexocr.latex.tree", "latexocr.errors.UserError", False),
    ("latexocr.data.sources", "latexocr.reading.images", True),
    ("latexocr.scoring.metrics", "latexocr.bench.run", True),
    ("latexocr.records", "latexocr.latex.tokens", True),
    ("latexocr.bench.run", "latexocr.LatexOCRModel", True),
])
def test_the_rule_itself(importer, target, broken):
    assert uphill(importer, target) is broken


def test_every_room_has_a_floor():
    assert {room(module_name(path)) for path in MODULES} - {""} <= FLOORS.keys()


@pytest.mark.parametrize("path", [path for path in MODULES if room(module_name(path))], ids=relative)
def test_imports_point_down(path):
    assert [target for target in sorted(imported(path)) if uphill(module_name(path), target)] == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_what_it_is(path):
    assert ast.get_docstring(parsed(path))


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=relative)
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if path in MODULES:
        assert len(lines) < LONGEST_FILE
    functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {function.name: function.end_lineno - function.lineno + 1 for function in functions
             if not lines[function.lineno - 2].strip().startswith(EXCUSE)}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("module", ["latexocr", "latexocr.cli"])
def test_a_light_start(module):
    """Nothing heavy is loaded, and all of it, Python's own start included, takes under 0.5 s of a processor."""
    code = f"import {module}, sys, time; print(time.process_time(), *(m for m in {HEAVY!r} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, *heavy = run.stdout.split()
    assert heavy == [] and float(seconds) < 0.5


def declared() -> set[str]:
    """Distributions that pyproject.toml names, lower case with '-'."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = itertools.chain(project["dependencies"], *project["optional-dependencies"].values())
    return {re.match(r"[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-") for line in lines}


def third_party(path: Path) -> set[str]:
    """Top-level modules that a file imports and that are neither Python's nor ours."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"latexocr"}


# What a declared package brings and is made of, so that it is there with it.
BROUGHT = {"markupsafe": "jinja2", "huggingface-hub": "transformers", "packaging": "transformers",
           "pyarrow": "datasets"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_what_is_imported_is_declared(path):
    distributions = packages_distributions()
    names = {distributions.get(module, [module])[0].lower().replace("_", "-") for module in third_party(path)}
    assert {BROUGHT.get(name, name) for name in names} - declared() == set()
