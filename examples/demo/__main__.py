"""`./dev demo`: sets up a store, applies the example platform, starts the server and every app of the demo, and stops them all."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import uvicorn

from examples.demo.apis import bank_api, events_api, imaging_api
from examples.demo.budget_buddy import BudgetBuddy
from examples.demo.events_web import EventsWeb
from examples.demo.image_copier import ImageCopier
from examples.demo.layout import BASE_PORT, PLATFORM, SECRETS, Layout
from examples.demo.weekly_report import WeeklyReport, manifest

START_SECONDS = 30
LAST_PORT = 65_500


class Trouble(Exception):
    """What the visitor has to mend; the text is a sentence."""


def main() -> int:
    """Run the demo until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(prog="./dev demo", description="Run Gatewright with a demo platform, on this machine only.")
    parser.add_argument("--data", type=Path, default=Path("demo-data"), help="folder of the store and its key (kept between runs)")
    parser.add_argument("--port", type=int, default=BASE_PORT, help="first port; fifteen from here on are used")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    chosen = parser.parse_args()
    layout = Layout(chosen.port)
    try:
        if not 1024 <= chosen.port <= LAST_PORT:
            raise Trouble(f"--port takes a number from 1024 to {LAST_PORT}.")
        prepare(chosen.data)
        free(layout)
        return run(layout, chosen.data.resolve(), chosen.workers)
    except Trouble as trouble:
        print(f"demo: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def prepare(folder: Path) -> None:
    """Make the data folder."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Trouble(f"cannot write to {folder} ({error.strerror}). Choose another folder with --data.") from None


def free(layout: Layout) -> None:
    """See that every port is free before anything is started."""
    for name, port in layout.ports.items():
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                raise Trouble(f"port {port} ({name}) is in use. Is the demo running already? Choose others with --port.") from None


def environment(layout: Layout, folder: Path) -> dict[str, str]:
    """Return the environment of the server and its commands."""
    return {
        **os.environ,
        **SECRETS,
        "GATEWRIGHT_DATA": str(folder),
        "GATEWRIGHT_LISTEN_HOST": "127.0.0.1",
        "GATEWRIGHT_LISTEN_PORT": str(layout.base),
    }


def command(*words: str, env: dict[str, str]) -> None:
    """Run a command of the server's and pass its sentence on when it fails."""
    done = subprocess.run([sys.executable, "-m", "gatewright", *words], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"'gatewright {words[0]}' failed:\n{(done.stderr or done.stdout).strip()}")


def run(layout: Layout, folder: Path, workers: int) -> int:
    """Set up, start, wait, stop."""
    env = environment(layout, folder)
    logos = folder / "logos"
    logos.mkdir(exist_ok=True)
    shutil.copy(PLATFORM.with_name("acme.svg"), logos)
    platform = folder / "platform.toml"
    platform.write_text(layout.platform(), encoding="utf-8")
    publish_first(layout, folder)
    if not (folder / "root.key").exists():
        if (folder / "gatewright.sqlite3").exists():
            raise Trouble(f"{folder} holds a store without its root.key. Put the key back, or choose another folder with --data.")
        command("keys", "init", env=env)
    command("apply", str(platform), "--yes", env=env)
    server = subprocess.Popen(
        [sys.executable, "-m", "gatewright", "serve", "--workers", str(workers)],
        env=env,
        start_new_session=True,  # Ctrl-C reaches us; we stop the server in order
    )
    try:
        wait(layout, server)
        asyncio.run(apps(layout, folder, env, server))
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        status = server.wait()
    print("\nThe demo has stopped; its data is kept in", folder)
    return 0 if status in (0, -signal.SIGTERM) else 1


def wait(layout: Layout, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    for _ in range(START_SECONDS * 10):
        if server.poll() is not None:
            raise Trouble("the server did not start; it said why above.")
        try:
            with urllib.request.urlopen(f"{layout.issuer}/-/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.1)
    raise Trouble(f"the server did not answer within {START_SECONDS} s.")


def publish_first(layout: Layout, folder: Path) -> None:
    """Lay the app's manifest beside the platform file, unless a later version of it was published in an earlier run."""
    place = folder / "apps"
    place.mkdir(exist_ok=True)
    shutil.copy(PLATFORM.parent / "apps" / "weekly-report.svg", place)
    kept = place / "weekly-report.json"
    if not kept.exists() or kept.read_text(encoding="utf-8") not in (manifest(layout, 1), manifest(layout, 2)):
        kept.write_text(manifest(layout, 1), encoding="utf-8")


async def apps(layout: Layout, folder: Path, env: dict[str, str], server: subprocess.Popen[bytes]) -> None:
    """Serve the apps and APIs in this process until a signal, or until the server is gone."""

    def publish() -> None:
        (folder / "apps" / "weekly-report.json").write_text(manifest(layout, 2), encoding="utf-8")
        command("apply", str(folder / "platform.toml"), "--yes", env=env)

    parts: dict[str, Any] = {
        "Budget Buddy": BudgetBuddy(layout).app(),
        "Acme Events": EventsWeb(layout).app(),
        "Image copier": ImageCopier(layout).app(),
        "Weekly Report": WeeklyReport(layout, folder, publish).app(),
        "bank API": bank_api(layout),
        "events API": events_api(layout),
        "imaging API": imaging_api(layout),
    }
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    running = [Quiet(uvicorn.Config(app, host="127.0.0.1", port=layout.ports[name], log_level="warning")) for name, app in parts.items()]
    tasks = [asyncio.create_task(one.serve()) for one in running]
    gone = loop.run_in_executor(None, server.wait)
    gone.add_done_callback(lambda _: stop.set())
    print(story(layout), flush=True)
    await stop.wait()
    for one in running:
        one.should_exit = True
    await asyncio.gather(*tasks)
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    await gone


class Quiet(uvicorn.Server):
    """A server that leaves the signals to the demo."""

    def install_signal_handlers(self) -> None:
        """Signals are the demo's."""

    def capture_signals(self) -> Any:  # noqa: ANN401 - as its parent says
        """Signals are the demo's."""
        return contextlib.nullcontext()


def story(layout: Layout) -> str:
    """Return what to do first."""
    return f"""
Gatewright is running with a demo platform, on this machine only.

  1. Open   {layout.app("Budget Buddy")}   somebody else's app: press "Connect Acme Bank"
  2. Sign in as organizer@acme.test with the password {SECRETS["ORGANIZER_PASSWORD"]}, pick an account, allow or deny
  3. See the balance, then open {layout.issuer}/-/access and take the access away again
  4. Go back to Budget Buddy: the bank refuses it now, and says why

  Acme Events, the platform's own front end (roles decide)   {layout.app("Acme Events")}
  Image copier, a back-end service without a user            {layout.app("Image copier")}
  Weekly Report, an app of the marketplace to be installed   {layout.app("Weekly Report")}
  Acme demo, a client whose credentials everybody knows      {layout.demo_client}
  The console (manager@acme.test, {SECRETS["MANAGER_PASSWORD"]})              {layout.issuer}/-/console
  The server's metadata                                      {layout.issuer}/.well-known/openid-configuration

Ctrl-C stops everything; the data stays.
"""


if __name__ == "__main__":
    sys.exit(main())
