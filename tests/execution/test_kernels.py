"""Compiled kernels of one instruction set are never another's."""

import os

import pytest
from guidance_study.execution import kernels


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in (kernels.VARIABLE, *kernels.LIMITS):
        monkeypatch.setenv(name, "")  # what the test sets goes with it
    monkeypatch.setattr(kernels, "processor_flags", lambda: {"avx", "avx2"})


def test_each_instruction_set_has_a_folder_of_its_own(monkeypatch):
    found = {kernels.set_kernel_cache()}
    for name, value in (("ATEN_CPU_CAPABILITY", "default"), ("ONEDNN_MAX_CPU_ISA", "SSE41")):
        monkeypatch.setenv(name, value)
        found.add(kernels.set_kernel_cache())
    monkeypatch.setattr(kernels, "processor_flags", lambda: {"avx", "avx2", "avx512f"})
    found.add(kernels.set_kernel_cache())
    assert len(found) == 4
    assert len({folder.parent for folder in found}) == 1


def test_the_same_one_keeps_its_folder_in_a_process_and_its_children():
    assert kernels.set_kernel_cache() == kernels.set_kernel_cache()
    assert os.environ[kernels.VARIABLE] == str(kernels.set_kernel_cache())


@pytest.mark.parametrize("name", ["kernels", "isa-mine", "isa-0123456789abcdef"])
def test_a_users_own_folder_holds_them(monkeypatch, tmp_path, name):
    monkeypatch.setenv(kernels.VARIABLE, str(tmp_path / name))
    assert kernels.set_kernel_cache().parent == tmp_path / name


def test_another_kind_of_machine_has_another(monkeypatch):
    monkeypatch.setattr(kernels, "processor_flags", set)
    found = set()
    for machine in ("aarch64", "arm64"):
        monkeypatch.setattr(kernels.platform, "machine", lambda m=machine: m)
        found.add(kernels.set_kernel_cache())
    assert len(found) == 2
