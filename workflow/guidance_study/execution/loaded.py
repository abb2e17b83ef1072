"""The code that this process runs beside the code of a recipe: a file may change between the plan and a job.

Python loads modules when they are first needed, so their bytes are noted as they are found.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from guidance_study.config import seams
from guidance_study.plan.code import Code
from guidance_study.plan.syntax import HOME
from guidance_study.support.errors import StudyError

_bytes: dict[str, bytes] = {}  # module, named below the package -> its file when it was loaded


class _Noting(MetaPathFinder):
    """Finds the package's modules as they are found anyway, and notes the bytes of their files."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(f"{HOME}."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            _note(name, spec.origin)
        return spec


def _note(name: str, file: str) -> None:
    _bytes[name.removeprefix(f"{HOME}.")] = Path(file).read_bytes()


for _name, _module in list(sys.modules.items()):
    if _name.startswith(f"{HOME}.") and (_file := getattr(_module, "__file__", None)):
        _note(_name, _file)  # loaded a moment ago
sys.meta_path.insert(0, _Noting())


@contextmanager
def as_planned(units: dict[str, str]) -> Iterator[None]:
    """Work with units of code (unit -> revision) that a plan named. Raises StudyError if a module differs from them.

    Before the work: one that is loaded, or the file of one that may be. After it: one that the work loaded.
    """
    code = Code(loaded=_bytes)
    seams.parsed.clear()
    reached: set[str] = set()
    for unit, revision in units.items():
        if (home := code.module(unit)) is None or code.revision(unit) != revision:
            raise StudyError(f"the code of '{unit}' changed after this run was planned; run again")
        reached |= code.closure(home)
    modules = sorted(reached)
    planned = {module: code.contents[module] for module in modules}
    yield
    if unnamed := sorted(seams.parsed - units.keys()):
        raise StudyError(f"'{unnamed[0]}' ran, but no recipe of the job or its inputs names it, so no address holds it")
    for module, content in planned.items():
        if _bytes.get(module, content) != content:
            raise StudyError(f"'{code.paths[module]}' changed after this run was planned; run again")
