"""``batchyard demo``: a server of its own, an array job over real input, the result, and nothing left behind.

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from batchyard.cli import demo_job, follow, render
from batchyard.cli.client import REGION, Client, Problem, Unreachable, written_place
from batchyard.cli.logs import print_log
from batchyard.cli.run import QUEUE, ensure_default_queue, ensure_definition, tell_failures

CHILDREN = 16
MEMORY_MIB = 256
START_WAIT_S, STALL_WAIT_S, STOP_WAIT_S = 30.0, 60.0, 20.0
DEFINITION = "batchyard-demo"


@click.command()
@click.option("--keep", is_flag=True, help="Keep the data directory, and say where it is.")
def demo(keep: bool) -> None:
    """Start a throw-away server, run an array job over real input, show the result.

    The server has a data directory and a port of its own; at the end, or at Ctrl-C, it is stopped and its data removed.
    """
    base = Path(tempfile.mkdtemp(prefix="batchyard-demo-"))
    base.chmod(0o711)
    try:
        with follow.interruptible(), _server(base / "data", base / "serve.log") as client:
            _show(client, base / "work")
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
    flags = ["--config", os.devnull, "--data", str(data), "--port", "0", "--stop-grace-s", "2", "--quit-runner"]
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
    raise Problem(f"The demo's server {how}.")


def _show(client: Client, work: Path) -> None:
    """Submit the jobs, show how they go, print what they found."""
    files = demo_job.corpus()
    work.mkdir()
    work.chmod(0o1777)  # jobs may run as another user than this one
    click.echo(f"A Batchyard of its own answers at {client.endpoint} (region {REGION}).")
    click.echo(
        f"An array of {CHILDREN} jobs reads the {len(files)} source files of {files[0].parent}, "
        "then one more job gathers what they found.\n"
    )
    began_ms = int(time.time() * 1000)
    counting, gathering = _submit(client, work)
    array, last = _watch(client, counting, gathering)
    if last["status"] == "FAILED":
        _tell_failure(client, array, last)
        sys.exit(1)
    click.echo()
    for _, line in follow.LogReader(client, last["container"]["logStreamName"]).lines():
        click.echo(_bars_coloured(line))
    _tell_times(client, array, last, began_ms)
    _tell_next()


def _submit(client: Client, work: Path) -> tuple[str, str]:
    """The array, and the job that depends on it; returns both ids."""
    ensure_default_queue(client)
    definition = ensure_definition(client, DEFINITION)

    def submit(step: str, **more: Any) -> str:
        command = [sys.executable, "-I", demo_job.__file__, step, str(work), str(CHILDREN)]
        memory = [{"type": "MEMORY", "value": str(MEMORY_MIB)}]
        return client.call(
            "SubmitJob",
            jobName=step,
            jobQueue=QUEUE,
            jobDefinition=definition,
            containerOverrides={"command": command, "resourceRequirements": memory},
            **more,
        )["jobId"]

    counting = submit("count", arrayProperties={"size": CHILDREN})
    return counting, submit("gather", dependsOn=[{"jobId": counting}])


def _watch(client: Client, counting: str, gathering: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Show both jobs' progress until the second has ended; returns both as they then are.

    Problem if for STALL_WAIT_S no job has ended or changed its state: each of them takes a second at most.
    """
    pace, known, news_s = follow.Pace(), None, time.monotonic()
    with render.progress(sys.stdout) as shown:
        shown.add(counting, "count", CHILDREN)
        shown.add(gathering, "gather", 1)
        while True:
            found = {job["jobId"]: job for job in client.call("DescribeJobs", jobs=[counting, gathering])["jobs"]}
            array, last = found[counting], found[gathering]
            state = (array["arrayProperties"].get("statusSummary"), last["status"])
            news_s = news_s if state == known else time.monotonic()
            if time.monotonic() - news_s > STALL_WAIT_S:
                raise Problem(f"For {STALL_WAIT_S:.0f} s nothing has happened. The jobs are {state[0]}, {state[1]}.")
            shown.update(counting, *follow.ended_children(array))
            shown.update(gathering, int(last["status"] == "SUCCEEDED"), int(last["status"] == "FAILED"))
            if last["status"] in follow.TERMINAL:
                return array, last
            pace.wait(state != known)
            known = state


def _tell_failure(client: Client, array: dict[str, Any], last: dict[str, Any]) -> None:
    """Say what failed, and show the log of the first job that did."""
    failed = last
    if array["status"] == "FAILED":
        tell_failures(client, array)
        children = client.call("ListJobs", arrayJobId=array["jobId"], jobStatus="FAILED", maxResults=1)
        failed = follow.describe(client, children["jobSummaryList"][0]["jobId"])
    click.echo(f"batchyard: job {failed['jobId']} FAILED: {failed.get('statusReason')}. Its log:", err=True)
    try:
        print_log(client, failed)
    except Problem as problem:
        problem.show()


def _bars_coloured(line: str) -> str:
    return re.sub("[█▏▎▍▌▋▊▉]+", lambda found: click.style(found[0], fg="cyan"), line) if render.coloured() else line


def _tell_times(client: Client, array: dict[str, Any], last: dict[str, Any], began_ms: int) -> None:
    """When each job ran, how many at once, how long it all took."""
    ids = [f"{array['jobId']}:{index}" for index in range(CHILDREN)]
    children = sorted(client.call("DescribeJobs", jobs=ids)["jobs"], key=lambda job: job["arrayProperties"]["index"])
    ran = [(f"count {job['arrayProperties']['index']:>2}", job["startedAt"], job["stoppedAt"]) for job in children]
    ran.append(("gather", last["startedAt"], last["stoppedAt"]))
    click.echo("\nWhen each job ran:\n")
    click.echo(_bars_coloured(render.spans(ran, demo_job.BAR_WIDTH)))
    work_ms = sum(stop - start for _, start, stop in ran)
    at_once = render.most_at_once([(start, stop) for _, start, stop in ran])
    took_ms, waited_ms = last["stoppedAt"] - began_ms, min(start for _, start, _ in ran) - began_ms
    click.echo(
        f"\n{len(ran)} jobs, up to {at_once} at once: {render.duration(work_ms)} of running in "
        f"{render.duration(took_ms)}; the first ran {waited_ms} ms after submission."
    )


def _tell_next() -> None:
    command = _own_command()
    click.echo(f"""
Next, a server that stays, and in another terminal work of your own:

  {command} serve
  {command} run -- echo hello
  {command} run --array 8 -- sh -c 'echo child $AWS_BATCH_JOB_ARRAY_INDEX of 8'
  {command} jobs
  eval "$({command} env)"    # from here on aws, boto3 and workflow engines use it""")


def _own_command() -> str:
    """How this very command can be typed again: its name if it is on the PATH, else where it lies."""
    script = Path(sys.executable).parent / "batchyard"
    if not script.exists() or shutil.which("batchyard") == str(script):
        return "batchyard"
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)
