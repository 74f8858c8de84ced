"""The marketplace from the terminal."""

import json

import msgspec

from tests.cli.conftest import Shell

MANIFEST = {
    "name": "Report",
    "description": "Reports weekly",
    "version": "1.0.0",
    "auth": {"redirect_uri": "https://report.example/installed", "scopes": ["read:a"]},
}


def written(shell: Shell, **changed: object) -> str:
    return shell.write(json.dumps(MANIFEST | changed), "report.json")


def test_an_app_is_checked_published_and_published_again(shell: Shell) -> None:
    shell.settled()
    assert "report.json is good: Report 1.0.0" in shell.must("apps", "validate", written(shell))
    made = shell.json("apps", "publish", "report", "report.json", "--developer", "u@acme.test")
    assert made["client_secret"].startswith("gws_")
    assert "report 1.0.0 is published" in shell.must("apps", "publish", "report", "report.json"), "the same again is nothing new"
    shell.must("apps", "publish", "report", written(shell, version="1.1.0", auth={**MANIFEST["auth"], "scopes": ["read:b"]}))  # type: ignore[dict-item]  # a document
    listed = shell.json("apps", "list")[0]
    assert (listed["app"], listed["version"], listed["status"], listed["developer"]) == ("report", "1.1.0", "offered", "u@acme.test")
    assert listed["scopes"] == ["read:b"]
    assert listed["weaknesses"] == ["pkce_optional", "token_until_revoked"]


def test_ten_faults_of_a_manifest_are_ten_lines_and_nothing_is_changed(shell: Shell) -> None:
    shell.settled()
    faulty = {
        "name": "",
        "descripton": "x",
        "version": " ",
        "auth": {"redirect_uri": "", "scopes": [{"scop": "read:a"}, 3]},
        "event_url": 7,
    }
    shell.write(json.dumps(faulty), "bad.json")
    said = shell.refused("apps", "publish", "report", "bad.json").splitlines()
    assert said[-1] == "Error: 9 faults; nothing was changed"
    assert 'descripton: this key is not known; did you mean "description"?' in said
    assert shell.json("apps", "list") == []
    assert len(msgspec.json.decode(_failed(shell, "apps", "validate", "bad.json", "--json"))["faults"]) == 9
    assert 'there is no scope "read:c"' in shell.refused(
        "apps", "validate", written(shell, auth={"redirect_uri": "https://r.example/", "scopes": ["read:c"]})
    )


def _failed(shell: Shell, *words: str) -> str:
    assert shell.gatewright(*words) == 1
    return shell.out


def test_another_manifest_needs_another_version(shell: Shell) -> None:
    shell.settled()
    shell.must("apps", "publish", "report", written(shell))
    assert "give this one another version" in shell.refused("apps", "publish", "report", written(shell, name="Other"))
    assert "give this one another version" in shell.refused("apps", "validate", "--for", "report", "report.json")
    better = written(shell, version="9.0.0")
    assert "hits nobody: installs keep what they have" in shell.must("apps", "validate", "--for", "report", better)
    assert msgspec.json.decode(shell.must("apps", "validate", "--for", "report", better, "--json"))["asked_again"] == 0


def test_an_app_is_withdrawn_and_offered_blocked_and_let_in(shell: Shell) -> None:
    shell.settled()
    shell.must("apps", "publish", "report", written(shell))
    for act, said, again in (
        ("withdraw", "withdrawn; what is installed goes on", "withdrawn already"),
        ("offer", "offered again", "offered already"),
        ("block", "blocked; all that it was given has ended", "blocked already"),
        ("unblock", "may be installed again", "was not blocked"),
    ):
        assert said in shell.must("apps", act, "report")
        assert again in shell.must("apps", act, "report")
    assert "there is no app nothing" in shell.refused("apps", "block", "nothing")


def test_what_is_not_there_is_a_sentence(shell: Shell) -> None:
    shell.settled()
    assert "there is none" in shell.must("installs", "list")
    assert "is no install's id" in shell.refused("installs", "end", "x", "--yes")
    assert "there is no live install" in shell.refused("installs", "end", "in_0000000000001", "--yes")
    assert "there is no live install" in shell.refused("installs", "hand-over", "in_0000000000001", "--user", "u@acme.test")
    assert "there is no account" in shell.refused("account-apps", "list", "nowhere")
    assert "are the server's own" in shell.refused("apps", "publish", "oauth", written(shell))
    assert "there is a client web already" in shell.refused("apps", "publish", "web", "report.json")
    assert msgspec.json.decode(shell.must("apps", "schema"))["title"] == "App manifest"
