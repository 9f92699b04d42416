"""What a job cannot reach, as the strongest user that jobs run as."""

from __future__ import annotations

import os

import pytest

DOCKER_LESS_MKNOD = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31))


def said(yard, script: str, **more) -> str:
    attempt = yard.sh(script, **more)
    yard.ended(attempt)
    return yard.output(attempt)


@pytest.fixture
def secrets(isolated):
    """A yard with something to steal, and the words that would give the theft away."""
    (isolated.data / "access-key").write_text("ID:THE-SECRET\n")
    (isolated.data / "state.db").write_text("THE-SECRET")
    return isolated


def test_the_data_directory_is_out_of_sight(secrets):
    data = secrets.data
    attempt = secrets.sh(
        f"cat {data}/access-key {data}/state.db; ls {data}/runner; ls {data}; ls {data}/work; ls ..; ls ../.."
    )
    secrets.ended(attempt)
    output = secrets.output(attempt)
    assert "THE-SECRET" not in output
    names = [line for line in output.splitlines() if "No such file" not in line]
    assert names == ["work", attempt, attempt, "work"]


def test_nor_is_it_reached_by_ways_around(secrets):
    data = secrets.data
    output = said(
        secrets,
        f"umount -l {data} 2>&1; for pid in 1 $PPID; do cat /proc/$pid/root{data}/access-key;"
        f" ls -l /proc/$pid/fd; cat /proc/$pid/environ; done;"
        f" unshare -m sh -c 'umount -l {data}; cat {data}/access-key';"
        f" unshare -Urm sh -c 'umount -l {data}; cat {data}/access-key'; "
        f" nsenter -t 1 -m cat {data}/access-key; echo end",
    )
    assert "THE-SECRET" not in output and "RUNNER_SECRET" not in output
    assert str(data / "runner") not in output, "no descriptor of the slot is seen"
    assert output.endswith("end\n")


def test_a_job_sees_no_process_but_its_own(isolated):
    pids = said(isolated, "ls /proc").split()
    assert len([pid for pid in pids if pid.isdigit()]) <= 3


@pytest.mark.skipif(os.geteuid() != 0, reason="ordinary users have none")
def test_capabilities_are_at_most_dockers(isolated):
    attempt = isolated.sh("grep -E 'CapEff|CapPrm|CapBnd|CapInh|CapAmb' /proc/self/status | cut -f2")
    isolated.ended(attempt)
    for line in isolated.output(attempt).split():
        assert int(line, 16) & ~DOCKER_LESS_MKNOD == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="root's jobs could; others never can")
def test_root_reaches_neither_disks_nor_kernel_settings(isolated):
    output = said(
        isolated,
        "for path in /dev/* ; do test -b $path && echo block $path; done; test -e /dev/mem && echo memory;"
        " (: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo pattern;"  # opened and not written: the setting
        " (: >> /sys/kernel/profiling) 2>/dev/null && echo sys;"  # of the machine must survive a sandbox that fails
        " mknod disk b 254 0 2>/dev/null && echo made; echo end",
    )
    assert output == "end\n"


def test_devices_that_programs_expect_are_there(isolated):
    output = said(
        isolated,
        "head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null;"
        " echo out > /dev/stdout; echo err > /dev/stderr;"  # as programs do, with truncation
        " touch /dev/shm/mine && rm /dev/shm/mine && echo shared",
    )
    assert output == "4\n4\nout\nerr\nshared\n"


def test_nothing_is_found_of_the_job_before(isolated):
    """One slot at a time: what a job leaves in shared memory is gone for the next."""
    assert isolated.run("echo left > /dev/shm/left; ipcmk -M 1024 > /dev/null; exit 0").ending.exit_code == 0
    assert said(isolated, "cat /dev/shm/left; ipcs -m | grep -c 0x").splitlines()[-1] == "0"


def test_an_exit_record_cannot_be_forged(isolated):
    attempt = isolated.sh(
        'name=$(basename "$HOME"); echo \'{"exit_code": 0}\' > "$HOME/../../runner/exits/$name";'
        ' mkdir -p "$HOME/../../runner/exits" && echo forged > "$HOME/../../runner/exits/$name"; exit 7'
    )
    assert isolated.ended(attempt).ending.exit_code == 7
    assert isolated.run("exit 3").ending.exit_code == 3
