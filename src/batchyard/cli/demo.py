"""``batchyard demo``: a server of its own, six stages of jobs over real input, a picture, nothing left behind.

All that it does with jobs it does through the public API, as any client could.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from batchyard.cli import demo_stages, follow, render, timeline
from batchyard.cli.client import REGION, Client, Problem, Unreachable, written_place
from batchyard.cli.demo_stages import STAGES
from batchyard.cli.logs import print_log
from batchyard.cli.run import tell_failures
from batchyard.relief import folder

START_WAIT_S, STALL_WAIT_S, STOP_WAIT_S = 30.0, 60.0, 20.0
PREVIEW_COLUMNS = 64


@click.command()
@click.option(
    "--output", default="demo-output", show_default=True, metavar="DIR", help="Where the picture is written to."
)
@click.option("--keep", is_flag=True, help="Keep the data directory, and say where it is.")
def demo(output: str, keep: bool) -> None:
    """Start a throw-away server, draw a map with six stages of jobs, show how they ran.

    The server has a data directory and a port of its own; at the end, or at Ctrl-C, it is stopped and its data removed.
    The elevations are real ones, of the Jacksboro fault in Tennessee (SRTM, public domain).
    """
    made = Path(output).absolute()
    _check_writable(made)
    base = Path(tempfile.mkdtemp(prefix="batchyard-demo-"))
    base.chmod(0o711)
    try:
        with follow.interruptible(), _server(base / "data", base / "serve.log") as client:
            _show(client, base / "work", made)
    except follow.Interrupted as interrupted:
        click.echo("batchyard: interrupted; the demo's server and jobs were stopped", err=True)
        sys.exit(128 + interrupted.signum)
    finally:
        if keep:
            click.echo(f"\nKept: {base}   (batchyard serve --data {base / 'data'} goes on from there)")
        else:
            shutil.rmtree(base, ignore_errors=True)


@contextmanager
def _server(data: Path, log: Path) -> Iterator[Client]:
    """A server on `data` and a free port, while the block runs; a client for it."""
    # Nothing of the user's own settings: no BATCHYARD_ variables, no TOML file.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BATCHYARD_")}
    flags = ["--config", os.devnull, "--data", str(data), "--port", "0", "--stop-grace-s", "2"]
    flags += ["--executor", "process", "--quit-runner"]  # no engine need be tried: its jobs are of this machine
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "batchyard", "serve", *flags],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environ,
            start_new_session=True,  # Ctrl-C is ours; the server is ended in order
        )
    try:
        yield _first_answer(process, data)
    except Problem as problem:
        problem.message += f" The server said:\n{log.read_text(errors='replace')[-3000:].rstrip()}"
        raise
    finally:
        with follow.deferred():
            process.terminate()
            try:
                process.wait(STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _first_answer(process: subprocess.Popen, data: Path) -> Client:
    """A client, once the server answers it."""
    deadline = time.monotonic() + START_WAIT_S

    while time.monotonic() < deadline and process.poll() is None:
        try:
            client = Client(lambda: written_place(data))
            client.get("/x/health")
            return client
        except Unreachable:
            time.sleep(0.01)
    how = (
        f"ended with {process.poll()}" if process.poll() is not None else f"did not answer within {START_WAIT_S:.0f} s"
    )
    raise Problem(f"The demo's server {how}.", "batchyard doctor looks at what this machine can do.")


def _show(client: Client, work: Path, output: Path) -> None:
    """Submit the jobs, show how they go, print what they made."""
    work.mkdir()
    work.chmod(0o1777)  # jobs may run as another user than this one
    columns = shutil.get_terminal_size((100, 24)).columns
    _say(f"A Batchyard of its own answers at {client.endpoint} (region {REGION}).")
    _say("\nSix stages draw a map from measured elevations, all submitted at once:\n")
    click.echo(demo_stages.explained(columns) + "\n")
    definitions = demo_stages.register(client)
    began_ms = int(time.time() * 1000)
    ids = demo_stages.submit(client, definitions, work)
    jobs = _watch(client, ids)
    if any(job["status"] == "FAILED" for job in jobs.values()):
        _tell_failure(client, jobs)
        sys.exit(1)
    written = _deliver(work / folder.PICTURE, output)
    _preview(work / folder.PREVIEW)
    click.echo()
    for line in follow.LogReader(client, follow.log_places(jobs["F"])).lines():
        _say(_bars_coloured(line.message))
    _tell_times(client, jobs, began_ms, columns)
    click.echo(f"\nThe picture: {click.style(str(written), bold=True) if render.coloured() else written}")
    _tell_next()


def _watch(client: Client, ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Show the progress of all stages until they have ended; returns their jobs as they then are, by letter.

    Problem if for STALL_WAIT_S no job has ended or changed its state: each of them takes a second at most.
    """
    pace, known, news_s = follow.Pace(), None, time.monotonic()
    with render.progress(sys.stdout) as shown:
        for stage in STAGES:
            shown.add(stage.letter, stage.name, stage.size)
        while True:
            found = {job["jobId"]: job for job in client.call("DescribeJobs", jobs=list(ids.values()))["jobs"]}
            jobs = {letter: found[job_id] for letter, job_id in ids.items()}
            state = {letter: _counts(job) for letter, job in jobs.items()}
            news_s = news_s if state == known else time.monotonic()
            if time.monotonic() - news_s > STALL_WAIT_S:
                raise Problem(
                    f"For {STALL_WAIT_S:.0f} s nothing has happened. The jobs are {_told(state)}.",
                    "Is the machine very busy? Try again; batchyard doctor looks at what it can do.",
                )
            for letter, counts in state.items():
                shown.update(letter, *(counts.get(name, 0) for name in ("SUCCEEDED", "FAILED", "RUNNING")))
            if all(job["status"] in follow.TERMINAL for job in jobs.values()):
                return jobs
            pace.wait(state != known)
            known = state


def _counts(job: dict[str, Any]) -> dict[str, int]:
    """How many are in which state: children of an array, or the one job."""
    if not follow.array_size(job):
        return {job["status"]: 1}
    counts = job["arrayProperties"].get("statusSummary") or {}
    return {name: count for name, count in counts.items() if count}


def _told(state: dict[str, dict[str, int]]) -> str:
    return "; ".join(
        f"{letter}: " + ", ".join(f"{count} {name}" for name, count in counts.items())
        for letter, counts in state.items()
    )


def _tell_failure(client: Client, jobs: dict[str, dict[str, Any]]) -> None:
    """Say what failed first, and show the log of the first job that did; what waited for it failed with it."""
    failed = next(job for letter, job in jobs.items() if job["status"] == "FAILED")
    if follow.array_size(failed):
        tell_failures(client, failed)
        children = client.call("ListJobs", arrayJobId=failed["jobId"], jobStatus="FAILED", maxResults=1)
        failed = follow.describe(client, children["jobSummaryList"][0]["jobId"])
    click.echo(f"batchyard: job {failed['jobId']} FAILED: {failed.get('statusReason')}. Its log:", err=True)
    try:
        print_log(client, failed)
    except Problem as problem:
        problem.show()


def _deliver(made: Path, output: Path) -> Path:
    """Put the picture where it stays; returns its path."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        unfinished = output / f".{made.name}.part"
        shutil.copyfile(made, unfinished)
        return unfinished.replace(output / made.name)
    except OSError as error:
        raise _unwritable(output, error.strerror) from None


def _unwritable(output: Path, why: str | None) -> Problem:
    return Problem(f"The picture cannot be written to {output}: {why}.", "Name another directory: --output DIR.")


def _check_writable(output: Path) -> None:
    """Problem at once rather than after the work."""
    nearest = next(path for path in (output, *output.parents) if path.exists())
    if not nearest.is_dir():
        raise _unwritable(output, f"{nearest} is no directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise _unwritable(output, f"{nearest} is not writable")


def _preview(small: Path) -> None:
    """The map in coloured half blocks, where the terminal says that it has all colours and there is room."""
    if render.coloured() and os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        drawn = render.half_blocks(small.read_bytes())
        terminal = shutil.get_terminal_size()
        if terminal.lines > len(drawn) and terminal.columns > PREVIEW_COLUMNS:
            click.echo("\n" + "\n".join("  " + line for line in drawn))


def _say(text: str) -> None:
    """Print lines of prose, in a terminal broken between words where it ends; what is indented is printed as it is."""
    columns = shutil.get_terminal_size().columns
    for line in text.split("\n"):
        fits = len(line) <= columns or line.startswith(" ") or not sys.stdout.isatty()
        click.echo(line if fits else click.wrap_text(line, columns))


def _bars_coloured(line: str) -> str:
    return re.sub("[█▏▎▍▌▋▊▉]+", lambda found: click.style(found[0], fg="cyan"), line) if render.coloured() else line


def _tell_times(client: Client, jobs: dict[str, dict[str, Any]], began_ms: int, columns: int) -> None:
    """What ran where and when, how many at once, how long it all took and why not shorter."""
    described = list(_each(client, jobs))
    ran = [job for job, _ in described]
    _say("\nWhen they ran (the height of a block is how many jobs ran, on average):\n")
    names = [stage.name for stage in STAGES]
    for name, figures, blocks in timeline.chart(names, ran, max(12, min(60, columns - 32))):
        click.echo(
            f"  {name:<9}  {figures}  {click.style(blocks, fg='cyan') if render.coloured() else blocks}".rstrip()
        )
    for place, many in Counter(place for _, place in described).items():
        _say(f"\n{many} jobs ran on this machine, container instance {place}.")
    work_ms, took_ms = sum(job.took for job in ran), max(job.stop for job in ran) - began_ms
    waited_ms = min(job.start for job in ran) - began_ms
    _say(
        f"{len(ran)} jobs, up to {timeline.most_at_once(ran)} at once: {render.duration(work_ms)} of running in "
        f"{render.duration(took_ms)}; the first ran {waited_ms} ms after submission."
    )
    chain = timeline.longest_chain(ran, lambda job: demo_stages.waits_for(job, ran))
    chain_ms = render.duration(sum(job.took for job in chain))
    _say(f"The longest chain of jobs that wait for one another: {', '.join(map(str, chain))}: {chain_ms}.")


def _each(client: Client, jobs: dict[str, dict[str, Any]]) -> Iterator[tuple[timeline.Ran, str]]:
    """Every job and child as it ran, and the container instance that it ran on."""
    for stage in STAGES:
        parent = jobs[stage.letter]
        ids = [f"{parent['jobId']}:{index}" for index in range(stage.size)] if stage.is_array else [parent["jobId"]]
        for job in client.call("DescribeJobs", jobs=ids)["jobs"]:
            index = job["arrayProperties"]["index"] if stage.is_array else None
            place = job["container"].get("containerInstanceArn", "unknown").rpartition("/")[2]
            yield timeline.Ran(stage.name, index, job["startedAt"], job["stoppedAt"]), place


def _tell_next() -> None:
    command = _own_command()
    click.echo(f"""
Next, a server that stays, and in another terminal work of your own:

  {command} serve
  {command} run --array 8 -- sh -c 'echo child $AWS_BATCH_JOB_ARRAY_INDEX of 8'
  {command} jobs""")


def _own_command() -> str:
    """How this very command can be typed again: its name if it is on the PATH, else where it lies."""
    script = Path(sys.executable).parent / "batchyard"
    if not script.exists() or shutil.which("batchyard") == str(script):
        return "batchyard"
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)
