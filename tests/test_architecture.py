"""Holds the map of the rooms: which may know which, and where heavy libraries may be imported."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tflite_models

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edgepack"

# What a room may import besides itself. A room that is not here does not exist.
BASE = {"errors", "records"}
LEAVES = BASE | {"files", "tomlfile", "builtin"}
READERS = {"savedmodel", "tflite"}
STAGES = (
    LEAVES
    | READERS
    | {"bundle", "cache", "compat", "config", "contract", "datasets", "delegates", "edgetpu"}
    | {"engines", "foresight", "formats"}
    | {
        "gate",
        "inspection",
        "measure",
        "metadata",
        "quantize",
        "repair",
        "report",
        "stats",
        "targets",
    }
    | {"micro", "provenance", "runtimes", "vectors", "workers"}
)
MAY_SEE: dict[str, set[str]] = {
    "errors": set(),
    "records": {"errors"},
    "files": BASE,
    "tomlfile": BASE,
    "builtin": BASE | {"files"},
    "labels": {"errors"},
    "compat": BASE | {"tomlfile"},
    "delegates": BASE | {"tflite", "tomlfile"},
    "edgetpu": BASE | {"delegates", "files", "tflite", "workers"},
    "runtimes": BASE | {"tflite", "workers"},
    "micro": BASE | {"runtimes", "tflite", "tomlfile", "workers"},
    "config": LEAVES | READERS | {"targets"},
    "schemas": LEAVES | {"config", "datasets", "targets"},
    "targets": LEAVES | {"delegates", "runtimes", "tflite"},
    "datasets": LEAVES,
    "savedmodel": BASE | {"files"},
    "tflite": BASE | {"files"},
    "foresight": {"records"},
    "formats": BASE | {"savedmodel"},
    "repair": BASE | {"files", "savedmodel"},
    "contract": BASE | {"files", "tomlfile"},
    "metadata": BASE | {"labels", "tflite"},
    "quantize": {"records"},
    "stats": BASE,
    "gate": BASE | {"compat", "contract", "stats"},  # how many samples would decide a check
    "report": BASE,
    "workers": BASE | {"files"},
    "cache": BASE | {"files"},
    "engines": BASE | READERS | {"files"},
    "measure": BASE | {"datasets", "engines", "files", "stats", "workers"},
    "vectors": BASE | {"engines", "files"},
    "bundle": BASE | {"files", "labels", "tflite"},
    "consumers": BASE | {"files"},
    "provenance": BASE | {"files"},
    "difference": BASE | {"bundle", "contract", "report", "tflite"},
    "inspection": BASE
    | READERS
    | {"bundle", "compat", "files", "foresight", "formats", "metadata"},
    "pipeline": STAGES,
    "api": STAGES | {"consumers", "difference", "pipeline", "schemas"},
    "__init__": BASE | {"api"},
    "cli": STAGES | {"api", "difference", "pipeline", "schemas"},
    "__main__": {"cli"},
}

# Where a library may be imported: when a room's modules are loaded, or only inside its functions.
LOADED: dict[str, set[str]] = {
    "typer": {"cli"},
    "rich": {"cli", "report"},
    "numpy": {"engines"},
    "packaging": {"compat", "difference", "runtimes", "targets"},
}
IN_FUNCTIONS: dict[str, set[str]] = {
    **LOADED,
    "numpy": {"datasets", "engines", "measure", "stats", "vectors"},
    "PIL": {"datasets"},
    "cryptography": {"bundle"},
    "packaging": {"compat", "config", "difference", "runtimes", "targets"},
    "scipy": {"datasets", "measure", "stats"},
    "sklearn": {"measure", "stats"},
    "tensorflow": {"engines"},
    "ai_edge_litert": {"engines"},
    "tflite_runtime": {"engines"},
    "litert_quantizer": {"engines"},
}
# Modules beyond their room's rule: loaded by workers only.
LOADED_BY_MODULE: dict[str, set[str]] = (
    {
        f"edgepack.measure.{name}": {"numpy"}
        for name in (
            "accuracy",
            "agreement",
            "diagnosis",
            "layers",
            "metrics",
            "odd_samples",
            "predictions",
            "timing",
            "trials",
        )
    }
    | {
        f"edgepack.datasets.{name}": {"numpy"}
        for name in ("arrays", "audio", "decode", "decoders", "preprocess", "strings")
    }
    | {
        f"edgepack.vectors.{name}": {"numpy"}
        for name in ("codec", "comparison", "recording", "selection")
    }
    | {"edgepack.datasets.images": {"numpy", "PIL"}}
    | {f"edgepack.{name}.remote": {"numpy"} for name in ("micro", "runtimes")}  # other Pythons run
)
BANNED = {"click", "flatbuffers", "keras", "tf_keras", "pandas"}
PRINTS = {"cli"}
PROGRAMS = {"edgepack.micro.remote", "edgepack.runtimes.remote"}  # of their own
LIGHT_COMMANDS = (["--help"], ["--version"], ["verify", "--help"], ["targets"])


@dataclass(frozen=True)
class Import:
    """One import statement of one module: `where` is loaded, function or typing."""

    module: str
    line: int
    target: str
    where: str

    @property
    def room(self) -> str:
        return room_of(self.module)

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target} ({self.where})"


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in FILES.items()}


def is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def statements(node: ast.AST, where: str = "loaded") -> Iterator[tuple[ast.stmt, str]]:
    for child in ast.iter_child_nodes(node):
        inner = where
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = "function"
        elif is_typing_block(child):
            inner = "typing"
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, where
        yield from statements(child, inner)


def targets_of(node: ast.stmt, module: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert isinstance(node, ast.ImportFrom)
    assert node.level == 0, f"{module}:{node.lineno} imports relatively"
    base = node.module or ""
    names = [f"{base}.{alias.name}" for alias in node.names]
    return [name if name in FILES else base for name in names]


IMPORTS = [
    Import(module, node.lineno, target, where)
    for module, tree in TREES.items()
    for node, where in statements(tree)
    for target in dict.fromkeys(targets_of(node, module))
]
OWN = [i for i in IMPORTS if i.target.split(".")[0] == "edgepack"]
FOREIGN = [i for i in IMPORTS if i not in OWN]


def allowed(found: Import) -> bool:
    library = found.target.split(".")[0]
    rule = LOADED if found.where == "loaded" else IN_FUNCTIONS
    if library not in LOADED | IN_FUNCTIONS or found.where == "typing":
        return True
    own = LOADED_BY_MODULE.get(found.module, set()) if found.where == "loaded" else set()
    return found.room in rule.get(library, set()) or library in own


def test_every_room_is_on_the_map():
    assert {room_of(module) for module in FILES} <= MAY_SEE.keys()


def test_map_has_no_cycles():
    graph = {room: seen - {room} for room, seen in MAY_SEE.items()}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("room", sorted(MAY_SEE))
def test_room_sees_only_what_the_map_allows(room):
    seen = MAY_SEE[room] | {room}
    wrong = [str(i) for i in OWN if i.room == room and room_of(i.target) not in seen]
    assert not wrong


def test_modules_import_modules_and_never_the_package_root():
    assert not [str(i) for i in OWN if i.target == "edgepack"]


def test_modules_have_no_import_cycles():
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for found in OWN:
        if found.where != "typing" and found.target != found.module:
            graph[found.module].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"cycle: {' -> '.join(error.args[1])}")


def test_libraries_are_imported_only_in_their_rooms():
    assert not [str(i) for i in FOREIGN if not allowed(i)]


def test_banned_libraries_are_not_imported():
    assert not [str(i) for i in FOREIGN if i.target.split(".")[0] in BANNED]


def test_only_the_command_line_prints():
    calls = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"print", "sys.stdout.write", "sys.stderr.write", "pprint"}
        and room_of(module) not in PRINTS
        and module not in PROGRAMS
    ]
    assert not calls


def test_tables_name_only_rooms_of_the_map():
    named = set().union(*MAY_SEE.values(), *LOADED.values(), *IN_FUNCTIONS.values())
    assert named <= MAY_SEE.keys()


def test_the_walk_sees_every_kind_of_import():
    tree = ast.parse(
        "import numpy\nif TYPE_CHECKING:\n    import PIL\n"
        "class A:\n    def f(self):\n        from scipy import stats\n"
        "try:\n    import rich\nexcept ImportError:\n    pass\n"
    )
    assert [(ast.unparse(node), where) for node, where in statements(tree)] == [
        ("import numpy", "loaded"),
        ("import PIL", "typing"),
        ("from scipy import stats", "function"),
        ("import rich", "loaded"),
    ]


def loaded_by(arguments: list[str], env: dict[str, str], cwd: Path) -> set[str]:
    """Top-level modules in memory when the command line has run with `arguments`."""
    code = (
        "import json, sys\n"
        "from edgepack.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", LIGHT_COMMANDS, ids=" ".join)
def test_light_commands_import_no_heavy_library(arguments, plain_env, tmp_path):
    heavy = IN_FUNCTIONS.keys() - LOADED.keys() | {"numpy"} | BANNED
    assert not loaded_by(arguments, plain_env, tmp_path) & heavy


def test_inspecting_a_saved_model_imports_no_heavy_library(plain_env, tmp_path):
    model = ROOT / "calibration" / "digits" / "saved_model"
    heavy = IN_FUNCTIONS.keys() - LOADED.keys() | {"numpy"} | BANNED
    assert not loaded_by(["inspect", str(model)], plain_env, tmp_path) & heavy


def test_holding_a_file_against_targets_imports_no_heavy_library(plain_env, tmp_path):
    (tmp_path / "model.tflite").write_bytes(tflite_models.PLAIN)
    heavy = IN_FUNCTIONS.keys() - LOADED.keys() | {"numpy"} | BANNED
    assert not loaded_by(["targets", "check", "model.tflite"], plain_env, tmp_path) & heavy
