"""Both back ends: SQLite is a file, PostgreSQL a server that the tests start for themselves."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import study_world


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL of our own, on a socket in a temporary folder; only as a plain user."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    programs = found[-1].parent
    folder = tempfile.mkdtemp(prefix="pg")
    data = f"{folder}/data"
    as_user = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if not shutil.which("setpriv"):
            pytest.skip("no setpriv to leave root with")
        shutil.chown(folder, "nobody", "nogroup")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    subprocess.run(
        [*as_user, f"{programs}/initdb", "-D", data, "-U", "game", "-A", "trust"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    control = [*as_user, f"{programs}/pg_ctl", "-D", data, "-w"]
    subprocess.run(
        [*control, "-o", options, "-l", f"{folder}/log", "start"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    yield f"postgresql://game@/postgres?host={folder}"
    subprocess.run([*control, "-m", "immediate", "stop"], capture_output=True, cwd=folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server):
    """The address of an empty database there."""
    return study_world.emptied(postgres_server)
