"""The processes that ``serve`` starts: which adapter meets which port in each of them."""

from __future__ import annotations

import gc
import logging
import os
import random
import re
import select
import signal
import socket
import sys
import threading
import time
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchyard.config import Settings
from batchyard.errors import Unavailable
from batchyard.model.environments import Timing
from batchyard.model.needs import Needs

if TYPE_CHECKING:
    from batchyard.access.keys import Key
    from batchyard.api.context import Context
    from batchyard.observe.counting import Counting
    from batchyard.observe.follow import Follower

log = logging.getLogger("batchyard.server")

END_S = 2.0  # in which the counting of metrics ends; it may be killed at any time
PROVIDER, PRETEND = "local", "pretend"  # names of executors; `pretend` serves many providers


def title(text: str) -> None:
    """What `ps` shows."""
    import setproctitle

    setproctitle.setproctitle(text)


def local_room(settings: Settings, gpus: int) -> Needs:
    """What jobs may hold together: as set, else what the machine has, `gpus` among it."""
    vcpus = settings.vcpus or len(os.sched_getaffinity(0))
    memory_mib = settings.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
    return Needs(vcpus * 1000, memory_mib, gpus if settings.gpus < 0 else settings.gpus)


def _spare_long_lived_objects() -> None:
    """Jobs live long and are freed by counting references: a walk of the garbage collector over a million of them takes
    nearly two seconds and finds nothing."""
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, 100_000)


def run_engine(settings: Settings) -> None:
    """The engine process: until the lifeline (standard input) is cut."""
    from batchyard.engine.bell import BellSocket
    from batchyard.engine.chance import Chance
    from batchyard.engine.clock import SteadyClock
    from batchyard.engine.engine import Engine
    from batchyard.executors import gpus
    from batchyard.executors.granting import Granting
    from batchyard.executors.pretend import PretendExecutor
    from batchyard.executors.process import ProcessExecutor
    from batchyard.observe.joblogs import FileLogs
    from batchyard.store.commits import SqliteCommits
    from batchyard.store.retention import DAY_MS, Retention
    from batchyard.store.sqlite import last_ms
    from batchyard.store.tallies import Counted

    data = settings.data_path
    keep = Retention(settings.jobs_keep_days * DAY_MS, settings.jobs_keep_most)
    reserve_bytes = settings.disk_reserve_mib << 20
    commits = SqliteCommits(data, keep, FileLogs(data).remove, reserve_bytes, Counted(data))
    snapshot = commits.load()
    found = gpus.found()
    clock = SteadyClock(last_ms(data))
    executors = {
        PROVIDER: ProcessExecutor(settings, found, Granting(settings, task_key(settings), os.environ)),
        PRETEND: PretendExecutor(data, clock, settings.stop_grace_s),
    }
    rooms = {PROVIDER: local_room(settings, len(found))}
    timing = Timing(
        boot_ms=settings.instance_boot_s * 1000,
        linger_ms=settings.instance_idle_s * 1000,
        blocked_ms=settings.blocked_after_s * 1000,
        full_ms=settings.blocked_without_room_after_s * 1000,
        passing=settings.passing,
        warning_ms=settings.spot_warning_s * 1000,
    )
    chance = Chance(settings.spot_interruptions_per_day, random.SystemRandom())
    engine = Engine(snapshot, commits, executors, rooms, clock, BellSocket(data), timing, chance)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; serve decides
    del snapshot
    _spare_long_lived_objects()
    try:
        engine.run(sys.stdin.fileno())
    except Unavailable as error:  # what was decided last is in no file: serve starts an engine that decides it again
        log.error("%s", error)
        sys.exit(1)


def api_context(settings: Settings) -> Context:
    """The api's adapters: requests.db to write, both files to read, logs, keys and clocks."""
    from batchyard.access import keys
    from batchyard.api.context import Context
    from batchyard.catalogue.keeper import Keeper
    from batchyard.engine.bell import BellRope
    from batchyard.engine.clock import SteadyClock
    from batchyard.executors import gpus
    from batchyard.grants.desk import Desk
    from batchyard.observe.joblogs import FileLogs
    from batchyard.store.intake import SqliteIntake
    from batchyard.store.journal import SqliteFollowers
    from batchyard.store.reader import SqliteReader
    from batchyard.store.retention import DAY_MS, Retention
    from batchyard.store.sqlite import last_ms
    from batchyard.store.upkeep import SqliteUpkeep

    data = settings.data_path
    catalogue = Keeper(data)
    room = local_room(settings, len(gpus.found()))
    keep = Retention(settings.jobs_keep_days * DAY_MS, settings.jobs_keep_most)
    reserve_bytes = settings.disk_reserve_mib << 20
    clock = SteadyClock(last_ms(data))
    return Context(
        settings=replace(settings, vcpus=room.cpu_milli // 1000, memory=room.memory_mib, gpus=room.gpus),
        intake=SqliteIntake(data, BellRope(data).ring, reserve_bytes, keep),
        reader=SqliteReader(data),
        past=SqliteReader(data),
        logs=FileLogs(data),
        directory=keys.Keyring(known_keys(settings)),
        clock=clock,
        wall_s=time.time,
        mint=lambda: str(uuid.uuid4()),
        upkeep=SqliteUpkeep(data, clock.now_ms, reserve_bytes),
        metrics_token=metrics_token(settings),
        task_key=task_key(settings),
        grants=Desk(settings, os.environ, partial(endpoint, data)),
        followers=SqliteFollowers(data),
        machines=catalogue.current,
        catalogue=catalogue,
    )


def followers(settings: Settings) -> list[Follower]:
    """Who follows the journal, as set."""
    if not (settings.event_file or settings.event_webhooks or settings.eventbridge_url or settings.on_event):
        return []
    from batchyard.describe.names import Names
    from batchyard.observe.sinks import sinks
    from batchyard.observe.state_changes import Teller
    from batchyard.store.past import SqlitePast
    from batchyard.store.reader import SqliteReader

    data = settings.data_path

    def open_teller() -> Teller:
        return Teller(SqlitePast(data), Names(SqliteReader(data)), settings.account)

    return list(sinks(settings, os.environ, sign_for_event_bus, open_teller))


def sign_for_event_bus(path: str, query: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    """Headers that sign a POST to EventBridge with the credentials in our environment, as AWS's tools name them."""
    from batchyard.access import sigv4
    from batchyard.observe.follow import Failed

    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        raise Failed("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment of the server")
    host = re.fullmatch(r"events\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?(:[0-9]+)?", headers["Host"])
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    region = host[1] if host else named or "us-east-1"
    token = os.environ.get("AWS_SESSION_TOKEN")
    more = {"X-Amz-Security-Token": token} if token else {}
    amz_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    signed = sigv4.sign("POST", path, query, headers | more, body, key_id, secret, region, "events", amz_date)
    return more | signed


def enrol_followers(settings: Settings) -> None:
    """New followers begin with what happens from here on, those that are set no more are forgotten."""
    from batchyard.store import journal

    journal.enrol(settings.data_path, [follower.name for follower in followers(settings)], [])


def run_observe(settings: Settings) -> None:
    """The observe process: until the lifeline (standard input) is cut."""
    from batchyard.observe.counting import keep_counting
    from batchyard.observe.follow import Observer
    from batchyard.store.journal import SqliteCursors, SqliteJournal

    data = settings.data_path
    observer = Observer(followers(settings), lambda: SqliteJournal(data), SqliteCursors(data))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    counter = threading.Thread(
        target=keep_counting, args=(lambda: counting(settings), stop), name="metrics", daemon=True
    )
    try:
        observer.start()
        counter.start()
        select.select([sys.stdin], [], [])
    finally:
        stop.set()
        observer.end()
        counter.join(END_S)


def counting(settings: Settings) -> Counting:
    """Who counts the journal for the metrics."""
    from batchyard import __version__
    from batchyard.observe.counting import Counting
    from batchyard.observe.page import Publisher
    from batchyard.store.figures import SqliteFigures
    from batchyard.store.tallies import SqliteTallies

    data = settings.data_path
    elsewhere = Path(settings.metrics_file) if settings.metrics_file else None
    return Counting(SqliteFigures(data), SqliteTallies(data), Publisher(data, elsewhere, __version__).publish)


def known_keys(settings: Settings) -> list[Key]:
    """The keys that may sign: the environment's, and the file's (made at the first start if none is named)."""
    from batchyard.access import keys

    found = [keys.from_environment(os.environ)]
    if settings.access_key_file:
        found.append(keys.read(settings.access_key_file))
    else:
        found.append(keys.ensure(settings.data_path / "access-key"))
    return [key for key in found if key is not None]


def metrics_token(settings: Settings) -> str:
    """What lets read the metrics without signing; made at the first start."""
    from batchyard.access import tokens

    return tokens.ensure(settings.data_path / "metrics-token")


def task_key(settings: Settings) -> bytes:
    """What the tokens of tasks are made from; made at the first start."""
    from batchyard.access import task_key

    return task_key.ensure(settings.data_path / task_key.FILE)


def endpoint(data: Path) -> str:
    """Where this server answers; '' as long as it is not up."""
    try:
        return (data / "endpoint").read_text().strip()
    except OSError:
        return ""


def run_api(settings: Settings, listener: int) -> None:
    """The api process: uvicorn on the inherited socket, until SIGTERM or the lifeline is cut."""
    import asyncio

    import uvicorn
    import uvloop

    from batchyard.api.app import build_app
    from batchyard.api.connection import Door, connections_max
    from batchyard.store.retention import keep_removing

    async def main() -> None:
        context = api_context(settings)
        app = build_app(context)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=Door(connections_max()),
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=2,
            )
        )

        def cut() -> None:
            server.should_exit = True
            asyncio.get_running_loop().remove_reader(0)

        asyncio.get_running_loop().add_reader(0, cut)
        intake, clock = context.intake, context.clock
        removing = [
            asyncio.create_task(keep_removing(intake.remove_retired)),
            asyncio.create_task(keep_removing(lambda: intake.remove_leftovers(clock.now_ms()))),
        ]
        with socket.socket(fileno=listener) as sock:
            await server.serve(sockets=[sock])
        for each in removing:
            each.cancel()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(main())
