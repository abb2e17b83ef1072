"""A private Slurm on this machine for tests: munged, slurmctld and slurmd below one folder, ended by their ids.

Nothing outside the folder is written or needed: no file in /etc, no service, no port that is known beforehand.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

REQUIRED = "GUIDANCE_STUDY_REQUIRE_SLURM"  # set: a test that cannot start Slurm fails; unset: it is skipped
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
CONF = """\
ClusterName=test
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=batch_sched_delay=1,sched_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
GresTypes=gpu
NodeName=localhost CPUs=2 RealMemory=256000 Gres=gpu:1
PartitionName=cpu Nodes=localhost Default=YES MaxTime=1-00:00:00
PartitionName=gpu Nodes=localhost MaxTime=2-00:00:00
"""


def missing() -> str | None:
    """Why no Slurm can be started here; None where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=SYSTEM) is None]
    return f"Slurm cannot be started: no {', '.join(absent)} (apt-get install slurm-wlm munge)" if absent else None


class Slurm:
    """A running Slurm; `env` is what its commands need."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.env = {"SLURM_CONF": str(self.conf), "PATH": f"{folder}/bin:{os.environ['PATH']}"}

    def call(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        return subprocess.run(command, env=os.environ | self.env, check=True, capture_output=True, text=True).stdout

    def jobs(self) -> dict[str, dict]:
        """Job -> {state, partition, memory, gpus, comment}, for all jobs that the controller remembers.

        `comment` says rule and artefact; `gpus` what --gpus and what --gres asked for.
        """
        fields = ("JobID", "State", "Partition", "MinMemory", "tres-per-job", "tres-per-node", "Comment")
        wanted = ",".join(f"{name}:{200 if name == 'Comment' else 20}" for name in fields)
        found = {}
        for line in self.call("squeue", "--states=all", "--noheader", "--Format", wanted).splitlines():
            job, state, partition, memory, gpus, gres, comment = line.split()
            found[job] = {"state": state, "partition": partition, "memory": memory, "gpus": (gpus, gres)}
            found[job]["comment"] = comment
        return found


@contextlib.contextmanager
def private(folder: Path) -> Iterator[Slurm]:
    """Start Slurm below `folder`, and end its daemons and its jobs' steps at the end. RuntimeError if it stays down."""
    for name in ("bin", "state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)  # munged refuses a socket below a folder that others cannot enter
    slurm, daemons = Slurm(folder), []
    _configure(slurm)
    try:
        key, munge = folder / "munge.key", ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket"]
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        daemons.append(_start(slurm, *munge, *files))
        _wait(lambda: (folder / "munge.socket").exists(), "munged", slurm)
        daemons.append(_start(slurm, "slurmctld", "-D", "-c", "-f", str(slurm.conf)))
        daemons.append(_start(slurm, "slurmd", "-D", "-N", "localhost", "-f", str(slurm.conf)))
        _wait(lambda: "idle" in slurm.call("sinfo", "--noheader", "--format=%T"), "slurmctld or slurmd", slurm)
        yield slurm
        with contextlib.suppress(subprocess.CalledProcessError):
            slurm.call("scancel", "--user", str(os.getuid()))
            _wait(lambda: not slurm.call("squeue", "--noheader"), "the end of all jobs", slurm)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()


def _configure(slurm: Slurm) -> None:
    """slurm.conf, gres.conf, and an srun that finds them: a job's steps keep PATH but lose SLURM_CONF."""
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    slurm.conf.write_text(CONF.format(user=user, folder=slurm.folder, ports=_free_ports(2)))
    (slurm.folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")  # counted, never opened
    wrapper = slurm.folder / "bin" / "srun"
    wrapper.write_text(f'#!/bin/sh\nexec env SLURM_CONF={slurm.conf} {shutil.which("srun", path=SYSTEM)} "$@"\n')
    wrapper.chmod(0o755)


def _start(slurm: Slurm, program: str, *arguments: str) -> subprocess.Popen:
    with (slurm.folder / f"{program}.out").open("w") as out:
        command = [shutil.which(program, path=SYSTEM), *arguments]
        return subprocess.Popen(command, env=os.environ | slurm.env, stdout=out, stderr=out, start_new_session=True)


def _wait(ready, what: str, slurm: Slurm, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(subprocess.CalledProcessError):
            if ready():
                return
        if time.monotonic() > deadline:
            said = "".join(path.read_text()[-800:] for path in sorted(slurm.folder.glob("*.out")))
            raise RuntimeError(f"no {what} after {seconds:.0f} s: {said}")
        time.sleep(0.2)


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
