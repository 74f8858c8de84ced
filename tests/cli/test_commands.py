import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gatewright.store.migrate import migrations
from tests.cli.conftest import Shell
from tests.platform.played import SMALL

ROOT = Path(__file__).resolve().parents[2]


def test_help_names_every_command_and_loads_none(shell: Shell) -> None:
    said = shell.must("--help")
    for name in ("init", "serve", "plan", "apply", "users", "clients", "apps", "grants", "keys", "audit", "backup", "restore", "settings"):
        assert f"\n  {name} " in said
    code = "import sys; from gatewright.cli.main import group; group(['--version'], standalone_mode=False); print(sorted(sys.modules))"
    environ = {"PYTHONPATH": "src:guard/src"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    for heavy in ("gatewright.app", "gatewright.store", "asyncpg", "apsw", "cryptography", "msgspec", "asyncio"):
        assert f"'{heavy}'" not in done.stdout


@pytest.mark.parametrize("name", ["init", "serve", "plan", "apply", "report-only", "audit", "backup", "restore", "migrate", "settings"])
def test_each_command_explains_itself(name: str, shell: Shell) -> None:
    assert "Usage: gatewright" in shell.must(name, "--help")


@pytest.mark.parametrize(
    "name",
    [
        *("users list", "users disable", "users enable", "users roles"),
        *("clients list", "clients secret", "clients disable", "clients enable", "clients who-uses"),
        *("apps list", "apps validate", "apps publish", "apps withdraw", "apps offer", "apps block", "apps unblock", "apps schema"),
        *("apis list", "grants list", "grants narrow", "grants end", "keys init", "keys list", "keys rotate", "keys retire"),
    ],
)
def test_each_command_of_a_group_explains_itself(name: str, shell: Shell) -> None:
    assert f"Usage: gatewright {name}" in shell.must(*name.split(), "--help")


def test_an_unknown_command_names_the_nearest(shell: Shell) -> None:
    assert shell.gatewright("aply", "x") == 2
    assert 'there is no command "aply"; did you mean "apply"?' in shell.err


def test_init_makes_everything_once(shell: Shell) -> None:
    said = shell.must("init", "--tenant", "acme", "--name", "Acme", "--email", "boss@acme.test")
    assert "made the tenant acme at http://127.0.0.1:8600" in said
    assert "Sign in at http://127.0.0.1:8600/-/console as boss@acme.test with the password, shown this once:" in said
    key = shell.folder / "gatewright-data" / "root.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert (shell.folder / "gatewright.toml").exists()
    before = key.read_bytes()
    assert "nothing: everything was there already" in shell.must("init", "--tenant", "acme", "--email", "boss@acme.test")
    assert key.read_bytes() == before
    assert [user["email"] for user in shell.json("users", "list")] == ["boss@acme.test"]
    assert shell.json("users", "list")[0]["memberships"] == ["acme: Administrator"]
    held = shell.json("roles", "show", "Administrator")["scopes"]
    assert {"gw:clients:write", "gw:roles:write", "gw:members:write"} <= set(held), "the first administrator may manage everything"


def test_init_says_its_password_to_machines_once(shell: Shell) -> None:
    first = shell.json("init", "--email", "boss@acme.test")
    assert len(first["password"]) == 16
    again = shell.json("init", "--email", "boss@acme.test")
    assert again == {"made": [], "administrator": "boss@acme.test", "password": None}


def test_init_refuses_everything_that_cannot_be_at_once(shell: Shell) -> None:
    said = shell.refused("init", "--tenant", "A B", "--domain", "http://acme.test", "--email", "boss")
    assert said.count("\n") == 4
    assert "nothing was changed" in said


def test_the_settings_file_that_init_writes_is_read(shell: Shell) -> None:
    shell.must("init")
    rows = {row["name"]: row for row in shell.json("settings")}
    assert rows["listen.port"]["from"].endswith("gatewright.toml, line 8")
    assert rows["log.level"]["from"] == "default"


def test_init_listens_where_its_domain_on_this_machine_is(shell: Shell) -> None:
    assert "Sign in at http://127.0.0.1:8790/-/console" in shell.must("init", "--domain", "http://127.0.0.1:8790")
    assert "port = 8790" in (shell.folder / "gatewright.toml").read_text()
    (port,) = [row["value"] for row in shell.json("settings") if row["name"] == "listen.port"]
    assert port == 8790


def test_init_leaves_a_port_that_was_set_and_says_that_it_is_another(shell: Shell) -> None:
    shell.write("[listen]\nport = 8700\n", "gatewright.toml")
    said = shell.must("init", "--domain", "https://id.acme.test", "--domain", "http://localhost:8790")
    assert "! the settings say port 8700: start the server with `gatewright serve --port 8790`" in said
    assert (shell.folder / "gatewright.toml").read_text() == "[listen]\nport = 8700\n"


def test_init_behind_a_proxy_listens_where_it_always_does(shell: Shell) -> None:
    assert "!" not in shell.must("init", "--domain", "https://localhost:8443")
    assert "port = 8600" in (shell.folder / "gatewright.toml").read_text()


def test_init_writes_nothing_when_something_cannot_be(shell: Shell) -> None:
    shell.refused("init", "--domain", "http://acme.test:8790")
    assert list(shell.folder.iterdir()) == []


def test_a_store_is_brought_up_with_a_line_for_each_schema(shell: Shell, capfd: pytest.CaptureFixture[str]) -> None:
    shell.must("keys", "init")
    shell.must("migrate")
    lines = [line for line in (shell.err + capfd.readouterr().err).splitlines() if "store.migrated" in line]
    assert len(lines) >= len(migrations())
    assert len({line.partition("step=")[2] for line in lines}) == len(lines)
    assert sum("statement" in line for line in lines) < 5, "a machine may stand still"


@pytest.mark.parametrize("words", [["settings"], ["settings", "--json"], ["apps", "schema"], ["--help"]], ids=" ".join)
def test_whoever_reads_no_further_hears_no_complaint(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gatewright", *words]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": "src:guard/src"}, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (1, 141)


def test_settings_are_shown_with_their_origin_and_no_password(shell: Shell) -> None:
    shell.environ |= {"GATEWRIGHT_STORE_URL": "postgresql://gw:hunter2@db/gw", "GATEWRIGHT_STORE_SYNCHRONOUS": "normal"}
    said = shell.must("settings")
    assert "postgresql://gw:(hidden)@db/gw  environment variable GATEWRIGHT_STORE_URL" in said
    assert "hunter2" not in said
    assert "! store.synchronous: the last acknowledged writes may be lost" in said


def test_a_faulty_setting_is_a_list_of_sentences(shell: Shell) -> None:
    shell.write("[listen]\nprot = 1\nworkers = 0\n", "gatewright.toml")
    said = shell.refused("settings")
    assert 'line 2: listen.prot: this key is not known; did you mean "port"?' in said
    assert "line 3: listen.workers: at least 1 is expected" in said
    for looks in (["serve"], ["clients", "list"], ["plan", "x.toml"], ["settings"], ["roles", "list"], ["audit"]):
        assert "nothing was changed" not in shell.refused(*looks), looks
    for changes in (["init"], ["migrate"], ["roles", "create", "--name", "X"]):
        assert "nothing was changed" in shell.refused(*changes), changes


def test_a_plan_before_there_is_a_store_makes_none(shell: Shell, example: str) -> None:
    said = shell.must("plan", shell.write(example))
    assert "+ client budget-buddy" in said
    assert "Tenant acme: 46 to make." in said
    assert not (shell.folder / "gatewright-data").exists()


def test_apply_and_plan_tell_the_same_story(shell: Shell, example: str) -> None:
    shell.must("keys", "init")
    file = shell.write(example)
    assert shell.gatewright("plan", file, "--check") == 4
    planned = shell.json("plan", file)
    applied = shell.json("apply", file)
    assert applied["changes"] == planned["changes"]
    assert applied["secrets"] == []
    assert shell.gatewright("plan", file, "--check") == 0
    assert "Tenant acme is as the file says." in shell.out


def test_faults_come_all_at_once_with_their_lines(shell: Shell) -> None:
    file = shell.write(SMALL.replace("name =", "nmae =").replace("redirect_uris", "redirect_urlss"))
    said = shell.refused("plan", file)
    assert 'line 24: clients[0].redirect_urlss: this key is not known; did you mean "redirect_uris"?' in said
    assert said.endswith(" faults\n"), "a plan changes nothing anyhow"
    assert shell.gatewright("plan", file, "--json") == 1
    assert '"path": "clients[0].redirect_urlss"' in shell.out
    shell.must("keys", "init")
    assert shell.refused("apply", file).endswith("faults; nothing was changed\n")


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_logo_that_is_not_there_is_told_and_no_fault(command: str, shell: Shell) -> None:
    shell.must("keys", "init")
    own = '{ origin = "https://id2.acme.test", brand = { logo = "own.png" } }'
    text = re.sub(r"domains *= *\[(.*?)\]", rf'domains = [\1, {own}]\nbrand = {{ logo = "acme.svg" }}', SMALL, count=1)
    assert "own.png" in text
    file, folder = shell.write(text), shell.folder / "gatewright-data" / "logos"
    lines = [line for line in shell.must(command, file).splitlines() if "no page shows the logo" in line]
    assert [line.split(":")[0] for line in lines] == ["! no page shows the logo acme.svg", "! no page shows the logo own.png"]
    assert str(folder) in lines[0]
    folder.mkdir()
    for name, size in (("acme.svg", 10), ("own.png", 256 * 1024 + 1)):
        (folder / name).write_bytes(b"x" * size)
    said = shell.must(command, file)
    assert "acme.svg:" not in said
    assert "! no page shows the logo own.png: there is no such file of at most 256 KiB" in said, "a larger one is not served"
    assert len([one for one in shell.json(command, file)["notices"] if "logo" in one]) == 1


def test_a_made_secret_is_printed_once(shell: Shell) -> None:
    shell.must("keys", "init")
    said = shell.must("apply", shell.write(SMALL))
    assert "The secret of client web; it is shown this once and kept as a digest:\n  gws_" in said
    assert "gws_" not in shell.must("apply", shell.write(SMALL))


def test_taking_away_is_asked_for_and_shows_whom_it_hits(shell: Shell) -> None:
    shell.settled()
    rest = shell.write("prune = true\n" + SMALL.split("[[roles]]")[0], "rest.toml")
    said = shell.refused("apply", rest)
    assert "- client web" in said
    assert "read the list above, then say --yes" in said
    assert shell.json("clients", "list")[0]["status"] == "active"
    shell.must("apply", rest, "--yes")
    assert shell.json("clients", "list")[0]["status"] == "disabled"


def test_users_are_listed_kept_out_and_let_in(shell: Shell) -> None:
    shell.settled()
    assert "u@acme.test  person  active        one: Reader" in shell.must("users", "list")
    assert "all sessions and authorizations have ended" in shell.must("users", "disable", "U@acme.test")
    assert "was disabled already" in shell.must("users", "disable", "u@acme.test")
    assert shell.json("users", "list")[0]["status"] == "disabled"
    assert "is enabled" in shell.must("users", "enable", "u@acme.test")
    assert "was enabled already" in shell.must("users", "enable", "u@acme.test")
    assert "there is no user x@acme.test in the tenant acme" in shell.refused("users", "disable", "x@acme.test")
    assert shell.json("users", "list", "--after", "u@acme.test") == []


def test_roles_are_set_by_name(shell: Shell) -> None:
    shell.settled()
    assert "holds no role in one, from now on" in shell.must("users", "roles", "u@acme.test", "--account", "one")
    assert "holds Reader in one, from now on" in shell.must("users", "roles", "u@acme.test", "--account", "one", "Reader")
    assert "as before" in shell.must("users", "roles", "u@acme.test", "--account", "one", "Reader")
    assert 'did you mean "Reader"?' in shell.refused("users", "roles", "u@acme.test", "--account", "one", "Raeder")
    assert 'there is no account "two"' in shell.refused("users", "roles", "u@acme.test", "--account", "two", "Reader")


def test_clients_are_listed_kept_out_and_let_in(shell: Shell) -> None:
    shell.settled(SMALL + 'pkce = "optional"\n')
    row = shell.json("clients", "list")[0]
    assert (row["client_id"], row["party"], row["secrets"], row["weaknesses"]) == ("web", "third", 1, ["pkce_optional"])
    assert "is disabled" in shell.must("clients", "disable", "web")
    assert "was disabled already" in shell.must("clients", "disable", "web")
    assert "is enabled" in shell.must("clients", "enable", "web")
    assert "there is no client wob" in shell.refused("clients", "disable", "wob")


def test_secrets_are_made_listed_and_ended(shell: Shell) -> None:
    shell.settled()
    made = shell.json("clients", "secret", "web")
    assert made["client_secret"].startswith("gws_")
    kept = shell.json("clients", "secret", "web", "--list")
    assert [row["label"] for row in kept] == ["platform file", "terminal"]
    assert "has ended" in shell.must("clients", "secret", "web", "--end", kept[0]["id"])
    assert "no live secret" in shell.refused("clients", "secret", "web", "--end", kept[0]["id"])
    assert "looks like cs_" in shell.refused("clients", "secret", "web", "--end", "x")
    shell.must("clients", "secret", "web", "--end-others")
    assert len(shell.json("clients", "secret", "web", "--list")) == 1
    assert made["client_secret"] not in shell.must("audit", "--json")


def test_a_client_without_secrets_gets_none(shell: Shell) -> None:
    shell.settled(SMALL.replace('client_name = "Web"', 'client_name = "Web"\ntype = "spa"'))
    assert "proves itself without a secret" in shell.refused("clients", "secret", "web")


def test_apis_are_listed_with_the_id_under_which_they_ask(shell: Shell) -> None:
    shell.settled()
    row = shell.json("apis", "list")[0]
    assert row["id"].startswith("ap_")
    assert (row["audience"], row["tokens"], row["lifetime"], row["scopes"]) == ("https://api.acme.test", "jwt", "15m", ["read:a", "read:b"])


def test_grants_are_listed_by_name_and_ended_by_id(shell: Shell) -> None:
    shell.settled()
    assert "there are no live grants" in shell.must("grants", "list")
    assert "looks like gr_" in shell.refused("grants", "end", "x")
    assert "there is no live grant" in shell.refused("grants", "end", "gr_0000000000001")
    for words in (("end",), ("end", "--dry-run"), ("narrow", "--scope", "read:a"), ("narrow", "--scope", "read:a", "--dry-run")):
        assert "looks like gr_" in shell.refused("grants", *words, "gr_0000000000000")
    assert "there is no client x" in shell.refused("grants", "list", "--client", "x")
    assert "there is no user x" in shell.refused("grants", "list", "--user", "x")
    assert shell.json("grants", "list", "--client", "web", "--user", "u@acme.test") == []


def test_many_grants_are_named_counted_and_asked_for_before_they_go(shell: Shell) -> None:
    shell.settled()
    given = shell.given(5)
    assert "which grants? Name one or more, or --client, --user or --account" in shell.refused("grants", "end", "--yes")
    assert "not both" in shell.refused("grants", "end", given[0], "--client", "web")
    assert "there is no account x" in shell.refused("grants", "list", "--account", "x")
    assert len(shell.json("grants", "list", "--account", "one")) == 5
    assert shell.must("grants", "end", "--client", "web", "--dry-run") == "would end 5 grants of 5 users\n"
    assert 'there is no scope "read:x" in the tenant acme; did you mean "read:' in shell.refused(
        "grants", "narrow", "--client", "web", "--scope", "read:x"
    )
    said = shell.refused("grants", "narrow", "--client", "web", "--scope", "read:a")
    assert "this would narrow 5 grants of 5 users: look with --dry-run, then say --yes" in said
    dry = shell.json("grants", "narrow", "--client", "web", "--scope", "read:a", "--dry-run")
    assert (dry["dry_run"], dry["grants"], dry["users"], dry["kept"]) == (True, 5, 5, 0)
    assert shell.json("grants", "narrow", given[0], "--scope", "read:a") == {"narrowed": 1, "ended": 0, "kept": 0}
    assert shell.must("grants", "narrow", "--client", "web", "--scope", "read:a", "--yes") == "4 grants narrowed\n"
    assert {tuple(grant["scopes"]) for grant in shell.json("grants", "list")} == {("openid", "read:b")}
    assert shell.must("grants", "end", given[0], given[1]) == "2 grants ended, and everything under them\n"
    assert f"there is no live grant {given[0]}" in shell.refused("grants", "end", given[0], given[2])
    assert shell.json("grants", "end", "--account", "one", "--client", "web", "--yes") == {"ended": 3}
    assert shell.json("grants", "list") == []


def test_the_use_of_scopes_is_told_and_what_is_not_used_is_taken(shell: Shell) -> None:
    shell.settled()
    shell.given(2)
    (first, _) = shell.json("grants", "list")
    assert (first["unused"], first["use"][0]) == ([], {"scope": "openid", "use": "unknown", "last_used": None, "since": None})
    assert shell.json("grants", "show", first["id"])["use"] == first["use"]
    nothing = {"grants": 0, "scopes": 0, "whole": 0, "kept": 0, "next": None}
    assert shell.json("grants", "shrink", "--unused", "90d", "--client", "web", "--yes") == nothing
    assert shell.json("grants", "shrink", "--unused", "90d", "--preview")["hits"] == []
    assert "7 to 400 days" in shell.refused("grants", "shrink", "--unused", "1d", "--yes")


def test_whether_an_api_reports_the_use_of_scopes_stands_in_the_file(shell: Shell) -> None:
    shell.settled()
    assert [row["usage"] for row in shell.json("apis", "list")] == [False]
    on = SMALL.replace('name = "API"', 'name = "API"\nusage = true')
    assert "usage: true" in shell.must("plan", shell.write(on)).replace("false → ", "")
    shell.must("apply", "platform.toml")
    assert [row["usage"] for row in shell.json("apis", "list")] == [True]
    shell.must("apply", shell.write(SMALL))
    assert [row["usage"] for row in shell.json("apis", "list")] == [True], "what a file does not name is left alone"
    shell.must("apis", "change", "https://api.acme.test", "--no-usage")
    assert [row["usage"] for row in shell.json("apis", "list")] == [False]


def test_what_a_rule_that_is_tried_out_would_refuse_is_listed(shell: Shell) -> None:
    shell.settled(SMALL + 'report_only = ["pkce", "unknown_scopes"]\n')
    assert "there is no client x" in shell.refused("report-only", "--client", "x")
    rows = shell.json("report-only", "--client", "web")
    assert [(row["rule"], row["would_break"], row["refused"], row["last"]) for row in rows] == [
        ("pkce", False, 0, None),
        ("unknown_scopes", False, 0, None),
    ]
    assert "weakness: client web: pkce_report_only" in shell.must("plan", "platform.toml")
    shell.must("apply", shell.write(SMALL + "report_only = []\n"))
    assert shell.must("report-only") == "no rule is tried out\n"


def test_keys_are_listed_and_rotated(shell: Shell) -> None:
    shell.settled()
    assert "there is a root key already" in shell.must("keys", "init")
    assert "the first token makes one" in shell.must("keys", "list")
    assert "no key is in use" in shell.must("keys", "rotate")
    assert "there is no key x" in shell.refused("keys", "retire", "x", "--yes")
    assert shell.gatewright("keys", "retire", "x") == 1


def test_the_audit_log_is_shown_and_filtered(shell: Shell) -> None:
    shell.settled()
    rows = shell.json("audit", "--act", "client.made")
    assert [(row["subject"], row["detail"]["party"]) for row in rows] == [("web", "third")]
    assert rows[0]["actor"].startswith("os:")
    assert 'there is no act "client.mode"; did you mean "client.made"?' in shell.refused("audit", "--act", "client.mode")
    newest = shell.json("audit", "--count", "1")[0]
    assert shell.json("audit", "--count", "1", "--before", str(newest["number"]))[0]["number"] < newest["number"]


def test_several_tenants_must_be_named(shell: Shell) -> None:
    assert shell.must("keys", "init")
    assert shell.gatewright("users", "list") == 3
    assert "there is no store at" in shell.err
    shell.settled()
    shell.must("apply", shell.write(SMALL.replace("acme", "other"), "other.toml"))
    assert "there are several tenants: name one with --tenant" in shell.refused("users", "list")
    assert shell.json("users", "list", "--tenant", "other")[0]["email"] == "u@other.test"
    assert 'there is no tenant "othr"; did you mean "other"?' in shell.refused("users", "list", "--tenant", "othr")


def test_the_data_folder_may_be_named(shell: Shell) -> None:
    shell.must("init", "--data", "./there", "--email", "boss@acme.test", "--domain", "http://127.0.0.1:8601")
    assert (shell.folder / "there" / "root.key").exists()
    assert shell.json("users", "list")[0]["email"] == "boss@acme.test"


def test_every_command_but_serve_speaks_to_machines() -> None:
    from gatewright.cli.main import group

    def silent(command: click.Command, name: str) -> list[str]:
        if isinstance(command, click.Group):
            with click.Context(command) as context:
                inner = [(one, command.get_command(context, one)) for one in command.list_commands(context)]
            return [found for one, part in inner if part is not None for found in silent(part, f"{name} {one}".strip())]
        return [] if any("--json" in option.opts for option in command.params) else [name]

    # The second has nothing else to say than JSON.
    assert silent(group, "") == ["serve", "apps schema"]


def test_acts_tell_machines_whether_anything_changed(shell: Shell) -> None:
    shell.settled()
    assert shell.json("users", "disable", "u@acme.test") == {"email": "u@acme.test", "status": "disabled", "changed": True}
    assert shell.json("users", "disable", "u@acme.test")["changed"] is False
    assert shell.json("clients", "disable", "web") == {"client_id": "web", "status": "disabled", "changed": True}
    assert shell.json("users", "roles", "u@acme.test", "--account", "one")["roles"] == []
    assert shell.json("migrate") == {"engine": "sqlite", "current": True}
