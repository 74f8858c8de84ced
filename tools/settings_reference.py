"""Writes docs/reference/settings.md from the settings themselves; `--check` only tells whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from gatewright.base.source import SecretSource
from gatewright.settings import DEFAULT_FILE, Setting, every_setting

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"

_HEAD: Final = f"""# Settings

What the operator sets before the server starts. Defaults suffice to begin with. A later source wins:

1. the default,
2. the TOML file: `--settings FILE`, else the one that `GATEWRIGHT_SETTINGS` names, else `{DEFAULT_FILE}` in the present folder,
3. the environment: `GATEWRIGHT_` and the name in capitals, lists with commas between their items,
4. an option of the command.

Names of files count from the folder of the settings file, or from the present folder where there is none. A key that is not known is an
error that names the nearest one. `gatewright settings` prints every value and where it came from.

No secret stands in the file: `store.password = {{ env = "NAME" }}` or `{{ file = "path" }}`; in the environment it is
`GATEWRIGHT_STORE_PASSWORD`, or `GATEWRIGHT_STORE_PASSWORD_FILE` with the name of a file. `GATEWRIGHT_KEY` holds the root key itself, for
places that hand secrets over in the environment.

This page is made from the code (`tools/settings_reference.py`).
"""


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    table = ""
    for setting in every_setting():
        section, _, _ = setting.name.rpartition(".")
        if section != table or not parts[1:]:
            table = section
            parts.append(f"\n## {f'[{section}]' if section else 'At the top'}\n")
        parts.append(_entry(setting))
    return "".join(parts)


def _entry(setting: Setting) -> str:
    name = setting.name.rpartition(".")[2]
    return (
        f"\n### {name}\n{setting.description}\n\n"
        f"- default: {_shown(setting.default)}\n- environment: `{setting.variable}`\n- because: {setting.because}\n"
    )


def _shown(default: object) -> str:
    if default in ("", (), None):
        return "none"
    if isinstance(default, SecretSource):
        return f"`{default}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def main() -> int:
    """Write the page, or with `--check` compare it."""
    made = page()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == made else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
