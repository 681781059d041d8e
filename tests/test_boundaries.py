"""The walls of the house: who may import whom, and what must never be loaded."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "datasets", "pandas", "matplotlib", "pyarrow", "kronfluence")

ROOMS = {
    "pipeline": (
        "contract",
        "contract.settings",
        "contract.run",
        "contract.results",
        "libraries",
        "contract.damage",
        "memory",
        "sharing",
        "batches",
        "pretrained",
        "model",
        "generation",
        "corpus",
        "influence",
        "training",
        "evaluation",
        "validation",
        "ask",
        "verbatim",
        "rehearsal",
        "report",
        "planning",
        "curation",
        "requirements",
        "worker",
        "stages",
        "training.rank",
        "supervisor",
        "__main__",
    ),
    "tui": (
        "runs_folder",
        "themes",
        "terminal",
        "keys",
        "person",
        "readers",
        "drafts",
        "content",
        "export",
        "processes",
        "printed",
        "doctor",
        "serve",
        "widgets",
        "screens.breakpoints",
        "screens.once",
        "screens.dialogs",
        "screens.mixins",
        "screens.pages",
        "screens",
        "commands",
        "key_queue",
        "collector",
        "app",
        "dashboard",
        "verbs",
        "cli",
        "container",
        "__main__",
    ),
}
"""From the lowest to the highest: a module imports from its own room and from those before it.
A room is a folder without the rooms in it, or a single module."""

ROOM = "pipeline/contract/results"
OTHER_KEYS = {
    "pipeline/ask/projection.py": "Kronfluence's names of its factors",
    "pipeline/ask/store.py": "store.json, which no one else reads",
    "pipeline/contract/run/replies.py": "what the worker and who asks it say to each other",
    "pipeline/contract/run/new_run.py": "sections of settings.toml",
    "pipeline/contract/settings/messages.py": "keys of messages, as chat templates read them",
    "pipeline/evaluation/benchmarks": "rows of public benchmarks, checked by their layouts",
    "tui/widgets/ranking_table.py": "columns of the list on the screen",
    "bench/bergson_rankings.py": "Bergson's summary",
    "bench/beside_bergson.py": "Bergson's summary, and names of timings",
    "bench/beside_dattri.py": "dattri-llm's summary",
    "bench/gpu.py": "its own file",
    "bench/on_gpu": "figures of bench/gpu.py's file, and peers' summaries",
    "bench/influence.py": "posts of a data set",
    "bench/infini_gram_spans.py": "infini-gram's spans",
    "bench/trace.py": "infini-gram's summary, and names of timings",
    "bench/validate.py": "sections of settings.toml",
    "bench/kronfluence_tests.py": "attributes of a test report's XML",
}
"""File or folder → what its keys are of that are called as those of artefacts are."""

CHILDREN = "pipeline/contract/children.py"
STARTING = re.compile("exec|spawn|posix_spawn|fork|popen|system$")
OTHER_STARTS = {
    ("pipeline/contract/run/new_run.py", "subprocess.run"): "git",
    ("pipeline/evaluation/confined.py", "os.fork"): "a copy of an isolated Python",
    ("pipeline/evaluation/sandbox.py", "subprocess.Popen"): "an isolated Python, nothing inherited",
    ("tui/doctor.py", "sys.executable"): "printed",
    ("tui/processes/slurm.py", "subprocess.run"): "commands of Slurm",
}
"""File and what it does → why no Python process comes of it that imports from anywhere."""


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str) -> list[tuple[Path, str]]:
    return [(file, name) for file in (ROOT / package).rglob("*.py") for name in imports(file)]


def test_the_pipeline_knows_no_screen() -> None:
    wrong = [(f, n) for f, n in importers("pipeline") if n.split(".")[0] in ("tui", "textual")]
    assert not wrong


def test_the_screen_meets_the_pipeline_in_the_contract_only() -> None:
    wrong = [
        (f, n)
        for f, n in importers("tui")
        if n.split(".")[0] == "pipeline" and n.split(".")[1] != "contract"
    ]
    assert not wrong


def test_the_screen_never_imports_torch() -> None:
    assert not [(f, n) for f, n in importers("tui") if n.split(".")[0] in ("torch", "transformers")]


def test_deepeval_is_imported_in_one_room_which_quiets_it_first() -> None:
    room = ROOT / "pipeline/evaluation/benchmarks"
    wrong = [
        (file, name)
        for package in ("pipeline", "tui")
        for file, name in importers(package)
        if name.split(".")[0] == "deepeval" and room not in file.parents
    ]
    assert not wrong


def test_what_loads_a_model_leaves_its_code_and_kernels_to_no_default() -> None:
    files = sorted((ROOT / "pipeline").rglob("*.py"))
    assert not [f"{file.name}:{line}" for file in files for line in lenient_loaders(file)]


def lenient_loaders(file: Path) -> Iterator[int]:
    """Lines with a loader of transformers that is not told to run nothing of the model's."""
    tree = ast.parse(file.read_text())
    strict = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        words = {ast.unparse(word) for word in call.keywords}
        whole = not ast.unparse(call.func).startswith(("AutoConfig.", "AutoTokenizer."))
        if {"trust_remote_code=False", *(["**OWN_KERNELS"] if whole else [])} <= words:
            strict.add(call.func)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="from_pretrained" | "from_config") if node not in strict:
                yield node.lineno


def test_the_supervisor_needs_only_the_standard_library() -> None:
    code = (
        "import sys, pipeline.supervisor as s; "
        "print([m for m in sys.modules if m.split('.')[0] in ('pydantic', 'numpy', 'torch')])"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize(
    "module",
    ["tui.__main__", "tui.cli", "tui.app", "tui.printed.tables", "pipeline.contract.run.status"],
)
def test_what_a_person_starts_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_the_first_paint_does_not_wait_for_what_reads_a_run() -> None:
    late = [
        "pipeline.contract.run.freshness",
        "pipeline.contract.run.processes",
        "pipeline.contract.run.workers",
        "tui.readers.run_reader",
    ]
    code = f"import sys, tui.app, tui.screens.run; print([m for m in {late} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_verbs_print_through_the_one_place_that_cleans() -> None:
    calls = [
        (file, call.lineno)
        for file in (ROOT / "tui").rglob("*.py")
        if file != ROOT / "tui/printed/output.py"
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("print", "click.echo", "click.secho", "sys.stdout.write")
    ]
    assert not calls


def test_stages_are_files_of_their_names() -> None:
    from pipeline.contract.run.stages import STAGES

    files = {file.stem for file in (ROOT / "pipeline/stages").glob("*.py")} - {"__init__"}
    assert files == set(STAGES)


@pytest.mark.parametrize("package", ROOMS)
def test_no_module_reaches_itself_through_its_imports(package: str) -> None:
    try:
        TopologicalSorter(module_graph(package)).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' imports '.join(reversed(error.args[1]))}")


@pytest.mark.parametrize("package", ROOMS)
def test_no_module_imports_from_a_higher_room(package: str) -> None:
    level = {f"{package}.{name}": number for number, name in enumerate(ROOMS[package])}
    upward = [
        f"{importer} imports {imported}"
        for importer, found in module_graph(package).items()
        for imported in found
        if level[room(importer)] < level[room(imported)]
    ]
    assert not upward


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_of_the_order_is_there(package: str) -> None:
    rooms = {room(module) for module in module_graph(package)}
    assert rooms == {f"{package}.{name}" for name in ROOMS[package]}


@cache
def module_graph(package: str) -> dict[str, set[str]]:
    """Module → the package's modules that it imports, at once or in a function."""
    files = {module_name(file): file for file in (ROOT / package).rglob("*.py")}
    files = {name: file for name, file in files.items() if file.name != "__init__.py"}
    return {
        name: {found for found in imported_at_run_time(file) if found in files}
        for name, file in files.items()
    }


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imported_at_run_time(file: Path) -> Iterator[str]:
    """Names of modules, and of what is taken from modules; without what only types need."""
    nodes: list[ast.AST] = [ast.parse(file.read_text())]
    while nodes:
        match nodes.pop():
            case ast.If(test=ast.Name("TYPE_CHECKING"), orelse=otherwise):
                nodes.extend(otherwise)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)
            case node:
                nodes.extend(ast.iter_child_nodes(node))


def room(module: str) -> str:
    """The innermost room that the module is in."""
    parts = module.split(".")
    outward = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
    package = parts[0]
    return next(
        (name for name in outward if name.removeprefix(f"{package}.") in ROOMS[package]), ""
    )


def run_python(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout.strip()


def test_no_artefacts_column_or_key_is_spelled_outside_the_room() -> None:
    keys = artefact_keys()
    spelled = [
        f"{name}:{line} {key!r}"
        for package in ("pipeline", "tui", "headwater", "bench")
        for file in (ROOT / package).rglob("*.py")
        if not (name := str(file.relative_to(ROOT))).startswith((ROOM, *OTHER_KEYS))
        for line, key in used_keys(file)
        if key in keys
    ]
    assert not spelled


def test_the_room_has_the_keys_that_the_wall_is_for() -> None:
    assert {"example_id", "duplicate_group", "end", "n_tokens", "default_method"} <= artefact_keys()


def test_every_python_process_is_started_by_the_one_helper() -> None:
    wrong = [
        f"{name}:{line} {what}"
        for package in ("pipeline", "tui", "headwater")
        for file in sorted((ROOT / package).rglob("*.py"))
        if (name := str(file.relative_to(ROOT))) != CHILDREN
        for line, what in own_starts(file)
        if (name, what) not in OTHER_STARTS
    ]
    assert not wrong


@pytest.mark.parametrize(("name", "what"), OTHER_STARTS)
def test_every_exception_to_the_helper_is_needed(name: str, what: str) -> None:
    assert what in {found for _, found in own_starts(ROOT / name)}


def own_starts(file: Path) -> Iterator[tuple[int, str]]:
    """Line and name of what would start a process otherwise than by `children.py`."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Attribute(value=ast.Name("sys"), attr="executable"):
                yield node.lineno, "sys.executable"
            case ast.Attribute(value=ast.Name("os"), attr=name) if STARTING.match(name):
                yield node.lineno, f"os.{name}"
            case ast.Call(func=ast.Attribute(value=ast.Name("subprocess"), attr=name)):
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                if not given.get("env", "").startswith("child_environment("):
                    yield node.lineno, f"subprocess.{name}"
            case ast.Import(names=[ast.alias(name="multiprocessing")]):
                yield node.lineno, "multiprocessing"
            case ast.ImportFrom(module="subprocess" | "multiprocessing" as module):
                yield node.lineno, f"from {module}"
            case ast.ImportFrom(module="sys", names=names):
                if any(alias.name == "executable" for alias in names):
                    yield node.lineno, "sys.executable"


@pytest.mark.parametrize("name", OTHER_KEYS)
def test_every_exception_to_the_wall_is_needed(name: str) -> None:
    path = ROOT / name
    files = [path] if path.is_file() else path.rglob("*.py")
    keys = artefact_keys()
    assert any(key in keys for file in files for _, key in used_keys(file))


@cache
def artefact_keys() -> frozenset[str]:
    """Names of the room's fields and columns. The models' names are none of these: as keys they
    are of the type `ModelName`, which mypy checks."""
    trees = [ast.parse(file.read_text()) for file in (ROOT / ROOM).glob("*.py")]
    keys = {key for tree in trees for node in ast.walk(tree) for key in keys_of(node)}
    return frozenset(keys) - {"base", "trained"}


def keys_of(node: ast.AST) -> Iterator[str]:
    """The fields of a dataclass, or the column of a schema: `("text", pa.string())`."""
    match node:
        case ast.ClassDef(decorator_list=[_, *_], body=body):
            for statement in body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    yield statement.target.id
        case ast.Tuple(elts=[ast.Constant(str(name)), ast.Call()]):
            yield name


def used_keys(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of what is taken by a key: `row["text"]`, `row.get("text")`."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Subscript(slice=ast.Constant(str(key)), lineno=line):
                yield line, key
            case ast.Call(
                func=ast.Attribute(attr="get" | "pop" | "column" | "setdefault"),
                args=[ast.Constant(str(key)), *_],
                lineno=line,
            ):
                yield line, key
