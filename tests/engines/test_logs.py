"""What a container writes is our log, on engines that are killed, that begin their files anew, and that tell by API."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batchyard.executors.runner.containers import reading
from batchyard.executors.runner.containers.reading import Files, Reading, log_config, source_of
from batchyard.executors.runner.wire import EngineAbout

PATIENCE_S = 60
LOG_BYTES = 4 << 20
NUMBERS = "i=0; while [ $i -lt {} ]; do i=$((i+1)); echo $i some text; {}; done"


class Followed:
    """A container that runs, and the reading of its log."""

    def __init__(self, engine, client, container: str, directory: Path, files: bool):
        self.engine, self.client, self.container, self.directory = engine, client, container, directory
        self._files = files
        self.reading = self._begun()

    def _begun(self) -> Reading:
        reading = Reading(
            lambda suffix, flags: os.open(self.directory / f"a.{suffix}", os.O_RDWR | os.O_CREAT | flags, 0o600),
            lambda suffix: os.unlink(self.directory / f"a.{suffix}"),
            LOG_BYTES,
            time.time_ns() // 1_000_000,
        )
        api = self.client.api
        about = EngineAbout(self.engine.name, "", str(self.engine.socket), False, 1, self._files, api.api_version, [])
        source = source_of(api.inspect_container(self.container), about)
        assert isinstance(source, Files) == self._files
        reading.attach(source)
        return reading

    def again(self) -> None:
        """As a slot does that takes the place of one that was killed."""
        self.reading = self._begun()

    @property
    def log(self) -> bytes:
        return (self.directory / "a.log").read_bytes()

    def runs(self) -> bool:
        return self.client.api.inspect_container(self.container)["State"]["Running"]

    def tick(self) -> None:
        self.reading.take(time.time_ns() // 1_000_000)
        time.sleep(0 if self.reading.more else 0.05)

    def until(self, holds) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"it says {self.log[-200:]!r}"
            self.tick()

    def ended(self) -> bytes:
        self.until(lambda: not self.runs())
        self.reading.finish(time.time_ns() // 1_000_000)
        assert {path.name for path in self.directory.iterdir()} == {"a.log", "a.idx"}
        return self.log

    def times_ms(self) -> list[int]:
        return [int(line.split()[0]) for line in (self.directory / "a.idx").read_text().splitlines()]


@pytest.fixture
def follow(container_engine, tmp_path):
    """Run a script in a container and follow it; `files` = False: by the API alone."""

    @contextmanager
    def follow(script: str, image: str = "busybox", files: bool = True) -> Iterator[Followed]:
        with container_engine.client() as client:
            host = client.api.create_host_config(
                network_mode="none", log_config=log_config(container_engine.name, LOG_BYTES)
            )
            command = ["sh", "-c", script]
            made = client.api.create_container(container_engine.image(image), command, host_config=host)["Id"]
            try:
                client.api.start(made)
                yield Followed(container_engine, client, made, tmp_path, files)
            finally:
                client.api.remove_container(made, force=True)

    return follow


@pytest.fixture(params=[True, False], ids=["files", "api"])
def files(request):
    return request.param


def test_it_is_followed_live_and_whole_at_the_end(follow, files):
    script = "echo begun; echo wrong >&2; sleep 1; printf half; sleep 1; echo ' a line'; printf end"
    with follow(script, files=files) as job:
        job.until(lambda: job.log.startswith((b"begun\nwrong\n", b"wrong\nbegun\n")))
        assert job.runs()
        log = job.ended()
    assert log in (b"begun\nwrong\nhalf a line\nend", b"wrong\nbegun\nhalf a line\nend")


def test_bytes_that_are_no_text_are_kept(follow, files):
    with follow("printf '\\377\\000\\200\\n\\n\\r\\t'; sleep 0.3; head -c 40000 /dev/zero", files=files) as job:
        log = job.ended()
    assert log == b"\xff\0\x80\n\n\r\t" + bytes(40000)


def test_each_line_has_the_engine_s_time(follow):
    with follow("sleep 0.3; echo one; sleep 0.5; echo two; sleep 0.3") as job:
        job.ended()
        told = job.client.api.logs(job.container, timestamps=True).decode().split()[::2]
        begun, one, two, ended = job.times_ms()
        assert begun < one < two < ended and 490 <= two - one < 5000
        if job.engine.name == "docker":  # Podman tells seconds
            assert [f"{moment % 1000:03}" for moment in (one, two)] == [text[20:23] for text in told]


def test_nothing_is_missed_when_the_engine_is_killed(follow, files):
    with follow(NUMBERS.format(300, "sleep 0.01"), files=files) as job:
        job.until(lambda: b"\n50 " in job.log)
        job.engine.kill()
        for _ in range(6):
            job.tick()
        job.engine.start()
        assert job.ended().decode() == "".join(f"{number} some text\n" for number in range(1, 301))


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_missed_or_told_twice_when_slots_die(follow, files, seed):
    chance = random.Random(seed)
    with follow(NUMBERS.format(20_000, "[ $((i % 500)) = 0 ] && sleep 0.05"), files=files) as job:
        deaths = 0
        while job.runs():
            job.tick()
            if chance.random() < 0.3:
                job.again()
                deaths += 1
        assert job.ended().decode() == "".join(f"{number} some text\n" for number in range(1, 20_001)), seed
        assert deaths


def test_an_engine_that_begins_its_files_anew_loses_nothing_of_it(follow, monkeypatch):
    monkeypatch.setattr(reading, "LEAST_BYTES", 1 << 16)
    monkeypatch.setattr(f"{__name__}.LOG_BYTES", 1)
    with follow(NUMBERS.format(60_000, "[ $((i % 1000)) = 0 ] && sleep 0.1")) as job:
        assert job.ended().decode() == "".join(f"{number} some text\n" for number in range(1, 60_001))


@pytest.mark.long
def test_a_container_that_writes_for_ever_fills_no_disk(follow, container_engine):
    with follow("while true; do head -c 1000000 /dev/zero | tr '\\0' x | fold -w 100; done") as job:
        began = time.monotonic()
        kept = Path(job.reading._source._path).parent
        while time.monotonic() - began < 12:
            job.tick()
        engine_bytes = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
        job.client.api.kill(job.container)
        log = job.ended()
    assert engine_bytes < (4 if container_engine.name == "docker" else 5) * 16 << 20
    assert len(log) <= LOG_BYTES + 200
    cut = re.search(rb"\n\[batchyard: (\d+) bytes of output were cut here\]\n", log)
    assert cut and int(cut[1]) > 10 << 20
