"""Slurm's own daemons on this machine, as root, for the length of a test."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

REAPER = Path(__file__).parent / "reaper.py"
DAEMONS = ("munged", "slurmctld", "slurmd")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=n0 NodeHostname={host} NodeAddr=127.0.0.1 Port={node} CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not():
    """Return why Slurm cannot run here, or an empty text."""
    missing = [name for name in DAEMONS if shutil.which(name, path=PATH) is None]
    if missing:
        return f"apt-get install slurm-wlm munge ({', '.join(missing)} missing)"
    return "" if os.geteuid() == 0 else "needs root"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def slurm_cluster(folder):
    """Start munged, slurmctld and one slurmd of four (pretended) cores; yield SLURM_CONF."""
    host = socket.gethostname().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(
        _CONF.format(host=host, folder=folder, controller=free_port(), node=free_port())
    )
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    # munged trusts no folder that others may write to.
    folder.chmod(0o755)
    environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": PATH}
    names = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munge.pid"}
    names |= {"log-file": folder / "munge.log", "seed-file": folder / "munge.seed"}
    daemons = []

    def start(*command):
        # Steps of jobs leave their daemon's process tree and outlive it; the reaper ends them
        # with it, even if these tests are killed.
        with (folder / f"{command[0]}.out").open("wb") as log:
            daemons.append(
                subprocess.Popen(
                    [sys.executable, REAPER, *command],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    start_new_session=True,
                )
            )

    try:
        start("munged", "--foreground", "--force", *(f"--{k}={v}" for k, v in names.items()))
        _wait_for(lambda: (folder / "munge.socket").exists(), "munged", folder)
        start("slurmctld", "-D", "-f", str(conf))
        start("slurmd", "-D", "-N", "n0", "-f", str(conf))
        idle = ["sinfo", "--noheader", "--format=%T"]
        _wait_for(
            lambda: (
                "idle"
                in subprocess.run(
                    idle, env=environment, capture_output=True, text=True
                ).stdout.split()
            ),
            "the node",
            folder,
        )
        yield conf
    finally:
        for daemon in reversed(daemons):
            daemon.stdin.close()
        for daemon in reversed(daemons):
            daemon.wait(timeout=60)


def _wait_for(condition, what, folder):
    deadline = time.monotonic() + 60
    while not condition():
        logs = {p.name: p.read_text()[-800:] for p in folder.glob("*.log")}
        assert time.monotonic() < deadline, f"{what} did not come: {logs}"
        time.sleep(0.2)
