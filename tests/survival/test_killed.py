"""`kill -9` under load: of a worker, of the whole server, of PostgreSQL. What was acknowledged is there afterwards, and is there once."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import httpx

from gatewright.base.digest import b64
from tests.support.postgres import Cluster
from tests.support.running import Deployment, Node, lives
from tests.support.waiting import until
from tests.survival.load import Load, at_work, check
from tests.survival.platform import DESK, PLATFORM, SECRETS


async def kill_a_worker(node: Node, load: Load) -> None:
    """Kill a worker amid the work, and see that another takes its place."""
    before = node.workers
    await load.more(20)
    os.kill(before[0], signal.SIGKILL)
    await load.more(20)
    await asyncio.to_thread(until, lambda: len(node.workers) == len(before) and before[0] not in node.workers, "another worker")


async def test_a_killed_worker_is_replaced_and_takes_nothing_with_it(deployment: Deployment) -> None:
    with deployment.serve(workers=2) as node:
        async with at_work(node) as load:
            for _ in range(3):
                await kill_a_worker(node, load)
            await load.more(20)
            await asyncio.to_thread(until, lambda: node.log.count("worker.started") == 2 + 3, "every successor to be at work")
        await asyncio.to_thread(check, node, load.record)
    assert node.log.count("worker.died") == 3
    assert node.log.count("worker.started") == 2 + 3


async def test_a_killed_server_comes_back_with_everything_that_it_acknowledged(deployment: Deployment) -> None:
    with ExitStack() as stack:
        node = stack.enter_context(deployment.serve(workers=2))
        async with at_work(node) as load:
            await load.more(60)
            await asyncio.to_thread(node.kill)
            stack.enter_context(deployment.serve(workers=2))
            await load.more(60)
        await asyncio.to_thread(check, node, load.record)


async def test_a_killed_postgres_comes_back_with_everything_that_was_acknowledged(tmp_path: Path, cluster: Cluster) -> None:
    deployment = Deployment(tmp_path / "data", store_url=cluster.url, secrets=SECRETS).prepare(PLATFORM)
    with deployment.serve(workers=2) as node:
        node.forgiven = ("job.failed",)
        async with at_work(node) as load:
            for _ in range(2):
                await load.more(30)
                await asyncio.to_thread(cluster.kill)
                await asyncio.to_thread(not_now, node)
                await asyncio.to_thread(cluster.start)
                await load.more(30)
        await asyncio.to_thread(check, node, load.record)


def test_a_worker_that_finds_no_postgres_says_so_and_comes_up_when_there_is_one(tmp_path: Path, cluster: Cluster) -> None:
    deployment = Deployment(tmp_path / "data", store_url=cluster.url, secrets=SECRETS).prepare(PLATFORM)
    with deployment.serve(workers=2) as node:
        node.forgiven = ("job.failed",)
        cluster.kill()
        os.kill(node.workers[0], signal.SIGKILL)
        until(lambda: "store.unavailable" in node.log, "the worker to say what it lacks")
        cluster.start()
        until(node.answers, "the server to answer again")
        until(lambda: len(node.workers) == 2, "every worker")


def test_a_worker_that_finds_another_root_key_says_so_and_comes_up_when_the_right_one_is_back(on_sqlite: Deployment) -> None:
    key = on_sqlite.folder / "root.key"
    right = key.read_bytes()
    with on_sqlite.serve(workers=2) as node:
        key.write_text(b64(bytes(range(1, 33))))
        os.kill(node.workers[0], signal.SIGKILL)
        until(lambda: "root_key.refused" in node.log, "the worker to say what it lacks")
        key.write_bytes(right)
        until(lambda: node.log.count("worker.started") == 3, "every worker")


def not_now(node: Node) -> None:
    """See that an app is told to come again, and a load balancer to go elsewhere."""
    with node.client() as http:
        answer = http.post("/introspect", data={"token": "any"}, auth=DESK)
        asked = http.post("/token", data={"grant_type": "client_credentials"}, auth=("service", "wrong"))
        ready = http.get("/-/ready")
    assert answer.status_code in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE)
    if asked.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        assert asked.json()["error"] == "temporarily_unavailable"
        assert int(asked.headers["retry-after"]) >= 1
    assert ready.status_code == httpx.codes.SERVICE_UNAVAILABLE


def test_workers_leave_when_their_supervisor_was_killed(on_sqlite: Deployment) -> None:
    with on_sqlite.serve(workers=2) as node:
        workers = node.workers
        os.kill(node.process.pid, signal.SIGKILL)
        node.end()
        until(lambda: not any(map(lives, workers)), "the workers to leave")
        with on_sqlite.serve() as again:
            assert again.answers()
