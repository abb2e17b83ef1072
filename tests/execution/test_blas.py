"""The OpenBLAS core follows from the processor's flags, and is in force once faiss is loaded."""

import itertools
import json
import os
import random
import subprocess
import sys

import pytest
from guidance_study.execution import blas

AVX = {"ssse3", "sse4_1", "sse4_2", "popcnt", "avx"}
AVX2 = AVX | {"avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe"}
AVX512 = AVX2 | {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}

REPORT = """
import json, os
from guidance_study.execution import blas
in_force = blas.set_core()
import faiss, threadpoolctl
libraries = [lib for lib in threadpoolctl.threadpool_info() if lib["internal_api"] == "openblas"]
cores = [lib["architecture"] for lib in libraries]
print(json.dumps({"in_force": in_force, "cores": cores, "line": blas.cores_in_use()}))
"""


@pytest.mark.parametrize(
    ("flags", "core"),
    [
        (set(), None),
        ({"sse2", "sse4_2"}, None),
        (AVX, "Sandybridge"),
        (AVX2 - {"fma"}, "Sandybridge"),  # AVX2 without FMA: Haswell's kernels would stop the process
        (AVX2, "Haswell"),
        (AVX2 | {"avx512f", "avx512cd"}, "Haswell"),  # Knights Landing: AVX-512 without the needed subsets
        (AVX512 - {"avx512vl"}, "Haswell"),
        (AVX512, "SkylakeX"),
        (AVX512 | {"sse4a", "amx_tile", "avx512_bf16"}, "SkylakeX"),  # newer, of either maker
        ({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}, None),  # a mask that hides AVX2
    ],
)
def test_core_of_flags(flags, core):
    assert blas.choose_core(flags) == core


def test_core_needs_no_missing_flag():
    needs = {"SkylakeX": AVX512, "Haswell": AVX2, "Sandybridge": AVX, None: set()}
    draw = random.Random(0)
    flags = sorted(AVX512)
    subsets = [set(flags) - set(gone) for gone in itertools.combinations(flags, 2)]
    subsets += [{flag for flag in flags if draw.random() < 0.8} for _ in range(2000)]
    for have in subsets:
        assert needs[blas.choose_core(have)] <= have


def test_flags_are_those_of_all_processors(tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: avx avx2 fma\nvmx flags\t: ept\n\nflags\t\t: avx fma\nbugs\t\t: none\n")
    monkeypatch.setattr(blas.platform, "machine", lambda: "x86_64")
    assert blas.processor_flags(cpuinfo) == {"avx", "fma"}
    assert blas.processor_flags(tmp_path / "missing") == set()
    monkeypatch.setattr(blas.platform, "machine", lambda: "arm64")
    assert blas.processor_flags(cpuinfo) == set()


def test_unknown_processor_is_left_to_openblas(monkeypatch):
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    monkeypatch.setattr(blas, "processor_flags", set)
    assert blas.set_core() is None
    assert blas.VARIABLE not in os.environ


def test_set_core_sets_the_chosen_one(monkeypatch):
    monkeypatch.setenv(blas.VARIABLE, "")  # so that the test's own change is undone
    monkeypatch.delenv(blas.VARIABLE)
    monkeypatch.setattr(blas, "processor_flags", lambda: AVX2)
    assert blas.set_core() == "Haswell" == os.environ[blas.VARIABLE]


def test_the_users_own_setting_wins(monkeypatch):
    monkeypatch.setenv(blas.VARIABLE, "Nehalem")
    monkeypatch.setattr(blas, "processor_flags", lambda: AVX512)
    assert blas.set_core() == "Nehalem" == os.environ[blas.VARIABLE]


def fresh_process(code: str, **environment: str) -> str:
    """The output of `code` in a Python that has imported nothing yet and inherits no choice of core."""
    inherited = {name: value for name, value in os.environ.items() if name != blas.VARIABLE}
    inherited["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_import_loads_no_blas():
    heavy = fresh_process(
        "import sys; from guidance_study.execution import blas; print({'numpy', 'faiss'} & set(sys.modules))"
    )
    assert heavy.strip() == "set()"


@pytest.mark.skipif(blas.choose_core() is None, reason="no core is chosen on this processor (not x86, or no AVX)")
@pytest.mark.parametrize("own", [None, "Prescott"])
def test_faiss_runs_on_the_core_in_force(own):
    report = json.loads(fresh_process(REPORT, **({} if own is None else {blas.VARIABLE: own})))
    if not report["cores"]:
        pytest.skip("this faiss and this numpy use another BLAS than OpenBLAS")
    expected = own or blas.choose_core()
    assert report["in_force"] == expected
    assert expected in report["cores"]  # a build without some cores, as numpy's, takes its nearest one
    assert all(core in report["line"] for core in report["cores"])
