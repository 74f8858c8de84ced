"""Whatever two files say, one after the other: each is true after its apply, and a second apply of it finds nothing to do."""

import random

import pytest

from tests.platform.played import Played

HEAD = '[tenant]\nslug = "acme"\nname = "Acme"\ndomains = ["https://id.acme.test"]\n'
SCOPES = ["a:1", "a:2", "b:1", "b:2"]
ROLES = ["One", "Two"]
ACCOUNTS = ["x", "y"]


def some(dice: random.Random, names: list[str]) -> list[str]:
    return sorted(name for name in names if dice.random() < 0.5)


def an_api(dice: random.Random, letter: str, scopes: list[str]) -> str:
    token = dice.choice(["", 'token = { format = "opaque", lifetime = "until_revoked" }\n', 'token = { lifetime = "5m", alg = "EdDSA" }\n'])
    lines = [
        f'"{name}" = ' + dice.choice([f'"{name}"', f'{{ text = "{name}", risk = "high" }}', f'{{ text = "{name}", reach = "tenant" }}'])
        for name in scopes
    ]
    return f'[[apis]]\naudience = "https://{letter}.acme.test"\nname = "{letter}"\n{token}[apis.scopes]\n' + "\n".join(lines) + "\n"


def a_client(dice: random.Random, number: int) -> str:
    lines = [f'client_id = "client-{number}"', f'client_name = "Client {dice.randint(0, 9)}"', 'redirect_uris = ["https://c.example/cb"]']
    lines += [f"scopes = {['openid', *some(dice, SCOPES)]}"]
    extras = [
        'consent = "always"',
        'pkce = "optional"',
        'allowed_ips = ["10.0.0.0/8"]',
        'refresh = { idle = "2d" }',
        f"roles = {some(dice, ROLES)}",
    ]
    return "[[clients]]\n" + "\n".join([*lines, *some(dice, extras)]) + "\n"


def a_platform(dice: random.Random) -> str:
    """A file in which every scope is named, and of everything else something."""
    parts = [HEAD, an_api(dice, "a", SCOPES[:2]), an_api(dice, "b", SCOPES[2:])]
    parts += [f'[[roles]]\nname = "{name}"\nscopes = {some(dice, SCOPES)}\n' for name in ROLES]
    parts += [f'[[accounts]]\nslug = "{slug}"\nname = "{dice.choice("PQ")}"\n' for slug in ACCOUNTS]
    for number in range(dice.randint(0, 3)):
        held = ", ".join(f'{{ account = "{slug}", roles = {some(dice, ROLES)} }}' for slug in some(dice, ACCOUNTS))
        parts.append(f'[[users]]\nemail = "u{number}@acme.test"\nname = "{dice.choice("AB")}"\nmemberships = [{held}]\n')
    parts += [a_client(dice, number) for number in range(dice.randint(0, 3))]
    return dice.choice(["", "prune = true\n"]) + "".join(parts)


@pytest.mark.parametrize("seed", range(6))
async def test_a_second_apply_of_any_file_finds_nothing_to_do(seed: int, played: Played) -> None:
    dice = random.Random(seed)
    for _ in range(6):
        text = a_platform(dice)
        await played.apply(text)
        again = await played.apply(text)
        assert again.plan.changes == (), text
        assert again.secrets == ()
