from pathlib import Path

import pytest

from gatewright.base.check import Faults
from gatewright.base.source import SecretSource, SourceFault, reveal
from gatewright.settings import Loaded, Settings, every_setting, load, networks, value_of, weaknesses
from tools import settings_reference


def faults(text: str, folder: Path, environ: dict[str, str] | None = None) -> list[str]:
    file = folder / "gatewright.toml"
    file.write_text(text)
    with pytest.raises(Faults) as caught:
        load(environ or {}, file=file)
    return [str(fault) for fault in caught.value.faults]


def loaded(text: str, folder: Path, environ: dict[str, str] | None = None, **options: object) -> Loaded:
    file = folder / "gatewright.toml"
    file.write_text(text)
    return load(environ or {}, file=file, options={name.replace("__", "."): value for name, value in options.items()})


def test_defaults_suffice_to_begin_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load({})
    assert found.settings.listen.host == "127.0.0.1"
    assert found.data == tmp_path / "gatewright-data"
    assert found.key_file == tmp_path / "gatewright-data" / "root.key"
    assert found.store_url == f"sqlite://{tmp_path}/gatewright-data/gatewright.sqlite3"
    assert set(found.origins.values()) == {"default"}
    assert weaknesses(found.settings) == ()


def test_a_later_source_wins_and_each_value_knows_where_it_came_from(tmp_path: Path) -> None:
    text = "[listen]\nport = 1\nworkers = 2\nhost = 'a'\n"
    found = loaded(text, tmp_path, {"GATEWRIGHT_LISTEN_PORT": "3", "GATEWRIGHT_LISTEN_WORKERS": "4"}, listen__port=5)
    assert (found.settings.listen.host, found.settings.listen.workers, found.settings.listen.port) == ("a", 4, 5)
    assert found.origins["listen.host"].endswith("gatewright.toml, line 4")
    assert found.origins["listen.workers"] == "environment variable GATEWRIGHT_LISTEN_WORKERS"
    assert found.origins["listen.port"] == "option of the command"
    assert found.origins["log.level"] == "default"


def test_names_of_files_count_from_the_settings_file(tmp_path: Path) -> None:
    found = loaded("data = 'here'\nkey_file = 'k'\n[store]\nurl = 'sqlite:db'\n", tmp_path)
    assert (found.data, found.key_file, found.store_url) == (tmp_path / "here", tmp_path / "k", f"sqlite://{tmp_path}/db")


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[listen]\nport = 7\n")
    assert load({"GATEWRIGHT_SETTINGS": str(tmp_path / "other.toml")}).settings.listen.port == 7


def test_a_root_key_in_the_environment_needs_no_file(tmp_path: Path) -> None:
    assert loaded("", tmp_path, {"GATEWRIGHT_KEY": "x"}).key_file is None


def test_unknown_keys_name_the_nearest_one_with_their_line(tmp_path: Path) -> None:
    assert faults("\n[listen]\nprot = 1\n[lsiten]\n", tmp_path) == [
        'line 3: listen.prot: this key is not known; did you mean "port"?',
        'line 4: lsiten: this key is not known; did you mean "listen"?',
    ]


def test_an_unknown_variable_names_the_nearest_one(tmp_path: Path) -> None:
    assert faults("", tmp_path, {"GATEWRIGHT_LISTEN_PROT": "1"}) == [
        'GATEWRIGHT_LISTEN_PROT: this environment variable is not known; did you mean "GATEWRIGHT_LISTEN_PORT"?'
    ]


def test_a_bad_value_names_the_variable_that_it_came_from(tmp_path: Path) -> None:
    said = faults("", tmp_path, {"GATEWRIGHT_LISTEN_PORT": "http"})[0]
    assert said.startswith("listen.port (environment variable GATEWRIGHT_LISTEN_PORT): a whole number is expected, not a text")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = "[listen]\nport = 70000\nworkers = 'two'\n[log]\nstyle = 'xml'\n[store]\nsynchronous = 'off'\n"
    assert len(faults(text, tmp_path, {"GATEWRIGHT_WHAT": "1"})) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = ", "this is not TOML"),
        ("[listen]\ntrusted_proxies = ['10.0.0.1/8']", '"10.0.0.1/8" is no network'),
        ("[store]\nurl = 'mysql://x'", 'begins with "sqlite:" or "postgresql://"'),
        ("[store]\nurl = 'postgresql://u:pw@h/d'", "a password may not stand in a settings file"),
        ("[store]\npassword = 'x'", "a table is expected, not a text"),
        ("[listen]\ndrain = '30 seconds'", 'a duration is expected: a number and s, m, h or d; for example "90s"'),
    ],
)
def test_a_refused_setting_says_why(text: str, said: str, tmp_path: Path) -> None:
    assert said in faults(text, tmp_path)[0]


def test_a_missing_settings_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Faults, match=r"none\.toml cannot be read: no such file or directory"):
        load({}, file=tmp_path / "none.toml")


def test_lists_come_from_the_environment_with_commas(tmp_path: Path) -> None:
    found = loaded("", tmp_path, {"GATEWRIGHT_LISTEN_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128"})
    assert [str(network) for network in networks(found.settings.listen.trusted_proxies)] == ["10.0.0.0/8", "::1/128"]


def test_a_password_in_the_address_is_allowed_from_the_environment_alone(tmp_path: Path) -> None:
    found = loaded("", tmp_path, {"GATEWRIGHT_STORE_URL": "postgresql://u:pw@h/d"})
    assert found.store_url == "postgresql://u:pw@h/d"


def test_the_store_password_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret\n")
    for environ in ({"GATEWRIGHT_STORE_PASSWORD": "s3cret"}, {"GATEWRIGHT_STORE_PASSWORD_FILE": str(tmp_path / "pw")}):
        password = loaded("", tmp_path, environ).store_password(environ)
        assert password is not None
        assert password.reveal() == "s3cret"
    assert loaded("", tmp_path).store_password({}) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xff", "is not UTF-8 text"),
        (b"a\nb", "line break"),
        (b"x" * 70_000, "larger than any secret"),
        (None, "no such file"),
    ],
)
def test_a_secret_that_is_not_there_is_a_sentence(content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "s").write_bytes(content)
    with pytest.raises(SourceFault, match=said):
        reveal(SecretSource(file="s"), {}, tmp_path)


def test_an_unset_variable_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceFault, match="NOPE is not set"):
        reveal(SecretSource(env="NOPE"), {}, tmp_path)


def test_what_weakens_a_deployment_is_named(tmp_path: Path) -> None:
    found = loaded("[store]\nsynchronous = 'normal'\n[fetch]\nprivate_networks = ['10.0.0.0/8']\n", tmp_path)
    assert [name for name, _ in weaknesses(found.settings)] == ["store.synchronous", "fetch.private_networks"]


def test_every_setting_says_what_it_is_and_why_it_is_there() -> None:
    assert [setting.name for setting in every_setting() if not setting.description.endswith(".") or not setting.because] == []


def test_every_setting_has_a_value_and_a_variable_of_its_own() -> None:
    settings = Settings()
    assert all(value_of(settings, setting.name) == setting.default for setting in every_setting())
    assert len({setting.variable for setting in every_setting()}) == len(every_setting())


def test_every_setting_is_read_by_something() -> None:
    source = Path(settings_reference.PAGE).parents[2] / "src" / "gatewright"
    code = "\n".join(file.read_text() for file in source.rglob("*.py") if file.name != "settings.py")
    own = (source / "settings.py").read_text().split("def every_setting")[0].split("class Loaded")[1]
    unread = [one.name for one in every_setting() if f".{one.name.rpartition('.')[2]}" not in code + own]
    assert unread == []


def test_the_reference_page_is_current() -> None:
    assert settings_reference.PAGE.read_text() == settings_reference.page(), "run tools/settings_reference.py"
