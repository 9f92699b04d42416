"""What happens on a machine whose user runs the service, told to a systemd of its own. Run by test_service.py in
namespaces that are thrown away: ``python inside.py DIRECTORY``. Prints ``ok`` last, or fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BATCHYARD = str(Path(sys.executable).parent / "batchyard")
UNIT = "batchyard.service"


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (words, done.stdout, done.stderr, shown())
    return done.stdout.strip()


def shown() -> str:
    return subprocess.run(["systemctl", "--user", "status", UNIT], capture_output=True, text=True).stdout


def batchyard(*words: str) -> str:
    done = subprocess.run([BATCHYARD, *words], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def wait_for(condition, what: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}\n{shown()}"
        time.sleep(0.05)


def status(job: str) -> str:
    return json.loads(batchyard("jobs", "--json", job))["status"]


def started(*command: str) -> str:
    job = batchyard("run", "--detach", "--memory", "64", "--", *command).strip()
    wait_for(lambda: status(job) == "RUNNING", f"{command} runs")
    return job


def boot(base: Path) -> subprocess.Popen:
    """Start the user's manager; its processes end with this one's PID namespace."""
    os.environ |= {"HOME": str(base / "home"), "XDG_RUNTIME_DIR": "/run/user/0", "SYSTEMD_LOG_TARGET": "console"}
    for name in [name for name in os.environ if name.startswith(("BATCHYARD_", "XDG_DATA", "XDG_CONFIG", "DBUS_"))]:
        del os.environ[name]
    for script in ("mount -t tmpfs none /run", "mkdir -p /run/systemd/system /run/user/0", "mount -t proc proc /proc"):
        subprocess.run(script.split(), check=True)
    commands = base / "home" / ".local" / "bin"
    commands.mkdir(parents=True)
    (commands / "batchyard").symlink_to(BATCHYARD)
    settings = base / "home" / ".config" / "batchyard"
    settings.mkdir(parents=True)
    (settings / "config.toml").write_text('port = 0\ndata = "../../data"\n')
    os.environ["BATCHYARD_DATA"] = str(base / "home" / "data")
    manager = subprocess.Popen(["/lib/systemd/systemd", "--user"], env=os.environ)
    ask = ["systemctl", "--user", "is-system-running"]
    said = lambda: subprocess.run(ask, capture_output=True, text=True).stdout.strip()  # noqa: E731
    wait_for(lambda: said() in ("running", "degraded"), "systemd runs")
    del os.environ["BATCHYARD_DATA"]  # for the commands it stands in config.toml
    return manager


def type_page() -> None:
    """What docs/how-to/install-as-a-service.md says: mkdir -p, cp deploy/batchyard-user.service to its place, and
    systemctl --user enable --now."""
    page = (ROOT / "docs" / "how-to" / "install-as-a-service.md").read_text()
    (script,) = re.findall(r"<!-- test: run by tests/deploy/inside.py -->\n```sh\n(.*?)```", page, re.S)
    done = subprocess.run(["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (script, done.stderr, shown())


def main(base: Path) -> None:
    manager = boot(base)
    type_page()  # returns when the server answers: the unit is of type notify
    batchyard("jobs")
    assert "Answers at http://127.0.0.1:" in systemctl("show", "-P", "StatusText", UNIT)
    survives = started("sh", "-c", "sleep 4; echo done")
    first = systemctl("show", "-P", "MainPID", UNIT)

    systemctl("restart", UNIT)
    assert systemctl("show", "-P", "MainPID", UNIT) != first
    assert status(survives) == "RUNNING", "a restart ends no job"
    wait_for(lambda: status(survives) == "SUCCEEDED", "it goes on to its end")
    assert batchyard("logs", survives) == "done\n"

    goes_on = started("sh", "-c", "sleep 3; echo on >" + str(base / "went-on"))
    systemctl("stop", UNIT)
    assert systemctl("show", "-P", "ActiveState", UNIT) == "inactive"
    wait_for(lambda: (base / "went-on").exists(), "it goes on without a server")
    systemctl("start", UNIT)
    wait_for(lambda: status(goes_on) == "SUCCEEDED", "the next server finds its end")

    lives = started("sleep", "60")
    os.kill(int(systemctl("show", "-P", "MainPID", UNIT)), 9)
    wait_for(lambda: systemctl("show", "-P", "NRestarts", UNIT) == "1", "it is started again by itself")
    wait_for(lambda: systemctl("show", "-P", "ActiveState", UNIT) == "active", "it is up")
    assert status(lives) == "RUNNING"

    settings = base / "home" / ".config" / "batchyard" / "config.toml"
    settings.write_text(settings.read_text() + "prot = 1\n")
    subprocess.run(["systemctl", "--user", "restart", UNIT], capture_output=True)
    wait_for(lambda: systemctl("show", "-P", "ActiveState", UNIT) == "failed", "a wrong setting is not tried again")
    assert systemctl("show", "-P", "ExecMainStatus", UNIT) == "2"
    settings.write_text('port = 0\ndata = "../../data"\nquit_runner = true\n')
    systemctl("reset-failed", UNIT)
    systemctl("start", UNIT)
    assert status(lives) == "RUNNING"
    systemctl("stop", UNIT)
    left = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True).stdout
    assert "sleep 60" not in left and "batchyard" not in left.replace("inside.py", ""), left
    manager.terminate()
    manager.wait(20)
    print("ok")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
