"""Each kind of file comes in by one door: nothing else of the package reads files in a way that runs their code."""

import ast

from test_rooms import PACKAGE, modules

# What reads or unpickles -> the modules that may: the doors.
DOORS = {
    "np.load": {"support/reading.py"},
    "np.fromfile": set(),
    "torch.load": {"training/checkpoints.py", "networks/models/foreign.py"},
    "torch.jit.load": {"embeddings/inception.py"},
    "pickle.load": set(),
    "pickle.loads": set(),
    "pickle.Unpickler": {"support/pickles.py"},
    "json.load": set(),
    "json.loads": {
        "support/reading.py",
        "networks/models/weights.py",  # of a safetensors file's metadata
        "plan/code.py",  # a cache, whose digest is checked; it is torn by nothing but a restart of the plan
        "sources/rawfiles.py",  # of an environment variable
    },
    "yaml.load": {"config/loading.py"},
    "yaml.safe_load": set(),
    "load_file": {"networks/models/weights.py"},
    "safe_open": {"networks/models/weights.py"},
    "tarfile.open": {"sources/archives.py", "plan/code.py"},
    "gzip.open": {"sources/archives.py"},
    "Image.open": {"datasets/image_folder.py"},
    "eval": set(),
    "exec": set(),
}


def name_of(node: ast.expr) -> str:
    """Dotted name of what is called; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return ""


def test_files_come_in_by_their_doors_alone():
    found: dict[str, set[str]] = {}
    for path in modules():
        where = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = [node.func] if isinstance(node, ast.Call) else node.bases if isinstance(node, ast.ClassDef) else []
            for name in map(name_of, called):
                if name in DOORS and where not in DOORS[name]:
                    found.setdefault(name, set()).add(where)
    assert not found


def test_pickles_are_never_asked_for():
    """No `allow_pickle=True`, no `weights_only=False` anywhere."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for keyword in node.keywords if isinstance(node, ast.Call) else []:
                value = getattr(keyword.value, "value", None)
                assert (keyword.arg, value) not in (("allow_pickle", True), ("weights_only", False)), path
