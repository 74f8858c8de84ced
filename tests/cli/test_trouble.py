"""What an operator meets when something is missing: a sentence that says what to do, and a status for scripts."""

from tests.cli.conftest import Shell
from tests.platform.played import SMALL
from tests.support.postgres import Server


def test_a_missing_file_is_a_sentence(shell: Shell) -> None:
    assert "none.toml cannot be read: no such file or directory" in shell.refused("apply", "none.toml")
    assert shell.gatewright("--settings", "none.toml", "settings") == 1
    assert "the settings file none.toml cannot be read" in shell.err


def test_apply_without_a_root_key_says_how_to_get_one(shell: Shell) -> None:
    assert shell.gatewright("apply", shell.write(SMALL)) == 3
    assert "`gatewright init` makes one" in shell.err


def test_another_root_key_is_refused(shell: Shell) -> None:
    shell.settled()
    key = shell.folder / "gatewright-data" / "root.key"
    key.unlink()
    shell.must("keys", "init")
    assert shell.gatewright("apply", "platform.toml") == 3
    assert "this store was made with another root key" in shell.err


def test_a_key_that_others_can_read_is_refused(shell: Shell) -> None:
    shell.settled()
    (shell.folder / "gatewright-data" / "root.key").chmod(0o644)
    assert shell.gatewright("apply", "platform.toml") == 3
    assert "chmod 600" in shell.err


def test_a_folder_that_cannot_be_made_is_a_sentence(shell: Shell) -> None:
    shell.environ["GATEWRIGHT_DATA"] = "/proc/gatewright-data"
    assert shell.gatewright("init") == 3
    assert shell.err.startswith("Error: /proc/gatewright-data: ")


def test_a_folder_that_is_a_file_is_a_sentence(shell: Shell) -> None:
    shell.write("", "taken")
    shell.environ["GATEWRIGHT_DATA"] = "taken"
    assert shell.gatewright("init") == 3
    assert "taken: file exists" in shell.err


def test_a_store_that_is_something_else_is_a_sentence(shell: Shell) -> None:
    shell.settled()
    (shell.folder / "gatewright-data" / "gatewright.sqlite3").write_bytes(b"this is no database" * 100)
    assert shell.gatewright("users", "list") == 3
    assert shell.err.startswith("Error: ")


def test_a_database_that_does_not_answer_is_a_sentence(shell: Shell) -> None:
    shell.settled()
    shell.environ["GATEWRIGHT_STORE_URL"] = "postgresql://nobody@127.0.0.1:9/none"
    assert shell.gatewright("users", "list") == 3
    assert shell.err.startswith("Error: ")


def test_errors_are_json_for_machines(shell: Shell) -> None:
    assert shell.gatewright("users", "list", "--json") == 3
    assert '"error": "there is no store at ' in shell.out


def test_a_backup_restores_into_an_empty_store(shell: Shell) -> None:
    shell.settled()
    users = shell.json("users", "list")
    said = shell.must("backup", "copy.backup")
    assert "the root key is not in it" in said
    assert (shell.folder / "copy.backup").stat().st_mode & 0o077 == 0
    assert shell.gatewright("restore", "copy.backup") == 3
    assert "not empty" in shell.err
    (shell.folder / "gatewright-data" / "gatewright.sqlite3").unlink()
    assert "restored" in shell.must("restore", "copy.backup")
    assert len(shell.err.splitlines()) < 5, "a small store is there before anybody has read what is done"
    assert shell.json("users", "list") == users
    assert "is as the file says" in shell.must("plan", "platform.toml")


def test_a_backup_of_nothing_and_a_restore_of_nonsense_are_sentences(shell: Shell) -> None:
    assert shell.gatewright("backup", "x") == 3
    assert "there is no store at" in shell.err
    shell.write("nonsense", "bad.backup")
    assert shell.gatewright("restore", "bad.backup") == 3
    assert "no backup of Gatewright's" in shell.err


def test_the_same_commands_work_on_postgresql(shell: Shell, postgres_server: Server, example: str) -> None:
    url = postgres_server.database()
    shell.environ["GATEWRIGHT_STORE_URL"] = url
    shell.must("keys", "init")
    file = shell.write(example)
    assert "46 made" in shell.must("apply", file)
    assert "is as the file says" in shell.must("apply", file)
    assert len(shell.json("users", "list")) == 3
    shell.must("users", "roles", "organizer@acme.test", "--account", "acme-dev", "Participant")
    shell.must("backup", "pg.backup")
    shell.environ.pop("GATEWRIGHT_STORE_URL")
    shell.must("restore", "pg.backup")
    (organizer,) = [user for user in shell.json("users", "list") if user["email"] == "organizer@acme.test"]
    assert organizer["memberships"] == ["acme-dev: Participant", "acme-prod: Participant"]
