"""The modules of the package: which one imports which, also for types, and how long each is."""

import ast
import subprocess
import sys

from support import PACKAGE

MODULES = {
    path.stem: path
    for path in (PACKAGE / "datablock_ctypes").glob("*.py")
    if path.stem != "__init__"
}
LONGEST = 600  # lines


def imported(path):
    """The modules of the package that a module imports anywhere, also under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found.update([node.module] if node.module else [name.name for name in node.names])
    return found & set(MODULES)


def cycle_from(module, graph, path, over):
    if module in path:
        return [*path[path.index(module) :], module]
    if module in over:
        return None
    for other in sorted(graph[module]):
        found = cycle_from(other, graph, [*path, module], over)
        if found:
            return found
    over.add(module)
    return None


def test_an_old_python_is_refused_by_its_version():
    script = (
        "import sys; sys.version_info = (3, 8, 18); sys.version = '3.8.18 (old)'\n"
        "import datablock_ctypes"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.endswith(
        "ImportError: datablock_ctypes needs Python 3.9 or newer, and this is Python 3.8.18\n"
    )


def test_no_module_imports_itself_by_others():
    graph = {module: imported(path) for module, path in MODULES.items()}
    assert any("_participant" in others for others in graph.values())
    over = set()
    cycles = [cycle_from(module, graph, [], over) for module in sorted(graph)]
    assert not any(cycles), [" imports ".join(cycle) for cycle in cycles if cycle]


def test_no_module_is_long():
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}


def test_no_module_takes_private_names_of_another():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                private = [name.name for name in node.names if name.name.startswith("_")]
                assert not private, f"{module} imports {private} from {node.module}"
