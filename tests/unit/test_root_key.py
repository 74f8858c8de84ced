"""The root key: how it is read and made, and that what is derived from it says nothing of it."""

import os
from pathlib import Path

import pytest

from gatewright.base.digest import b64
from gatewright.base.moment import SystemDice
from gatewright.keys.root import KeyFault, RootKey, make_key_file, read_root_key

RAW = bytes(range(32))


def a_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "root.key"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_key_that_was_made_is_the_key_that_is_read(tmp_path: Path) -> None:
    made = make_key_file(tmp_path / "root.key", SystemDice())
    assert read_root_key(tmp_path / "root.key", None).fingerprint == made.fingerprint


def test_a_key_file_is_made_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_key_file(tmp_path / "root.key", SystemDice())
    finally:
        os.umask(before)
    assert (tmp_path / "root.key").stat().st_mode & 0o777 == 0o600


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    file = a_file(tmp_path, b64(RAW))
    with pytest.raises(KeyFault, match="exists already"):
        make_key_file(file, SystemDice())
    assert file.read_text() == b64(RAW)


def test_a_key_file_in_no_folder_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeyFault, match="cannot be made"):
        make_key_file(tmp_path / "absent" / "root.key", SystemDice())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFault, match="chmod 600"):
        read_root_key(a_file(tmp_path, b64(RAW), mode), None)


@pytest.mark.parametrize("text", ["", "short", b64(RAW[:31]), b64(RAW) + "AA", "é" * 43, b64(RAW)[:-1] + "9"])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyFault, match="43 characters"):
        read_root_key(a_file(tmp_path, text), None)


def test_an_absent_file_and_an_absent_key_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeyFault, match="does not exist"):
        read_root_key(tmp_path / "root.key", None)
    with pytest.raises(KeyFault, match="there is no root key"):
        read_root_key(None, None)
    with pytest.raises(KeyFault, match="cannot be read"):
        read_root_key(tmp_path, None)


def test_a_file_comes_before_the_variable(tmp_path: Path) -> None:
    other = RootKey(RAW[::-1])
    assert read_root_key(a_file(tmp_path, b64(RAW) + "\n"), b64(RAW[::-1])).fingerprint == RootKey(RAW).fingerprint
    assert read_root_key(None, b64(RAW[::-1])).fingerprint == other.fingerprint


def test_derived_keys_differ_by_purpose_tenant_and_period() -> None:
    root = RootKey(RAW)
    keys = {
        root.derive("access"),
        root.derive("signing key"),
        root.derive("access", tenant=1),
        root.derive("access", tenant=1, period=1),
        root.derive("access", period=1),
        root.derive("access", tenant=11),
        RootKey(RAW[::-1]).derive("access"),
    }
    assert len(keys) == 7
    assert {len(key) for key in keys} == {32}
    assert root.derive("access") == RootKey(RAW).derive("access")


def test_a_derived_key_is_the_one_of_the_standard() -> None:
    # RFC 5869 §2.3 by hand: T(1) = HMAC(PRK, info | 0x01).
    import hmac

    assert RootKey(RAW).derive("access", tenant=7, period=20_000) == hmac.digest(RAW, b"gw1|access|7|20000\x01", "sha256")


def test_a_root_key_never_prints_itself() -> None:
    root = RootKey(RAW)
    assert "hidden" in f"{root!r}{root}"
    assert b64(RAW) not in f"{root!r}{root}"
