"""The little HTML that the demo's apps share."""

from __future__ import annotations

from html import escape

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: color-mix(in srgb, currentColor 22%, transparent); }
body { max-width: 44rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.lead { margin-top: 0; opacity: .8; }
.card { border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.25rem; margin: 1rem 0; }
.big { font-size: 2rem; font-weight: 650; margin: .25rem 0; }
.refused { border-left: .35rem solid #c2410c; }
button, a.button { font: inherit; display: inline-block; min-height: 2.75rem; padding: .5rem 1.1rem; border-radius: .6rem;
  border: 1px solid var(--line); background: #1d4ed8; color: #fff; text-decoration: none; cursor: pointer; box-sizing: border-box; }
button.quiet, a.quiet { background: transparent; color: inherit; }
form { display: inline-block; margin: .25rem .5rem .25rem 0; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: .5rem; font-size: .85rem;
  white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
dt { opacity: .75; } dd { margin: 0; overflow-wrap: anywhere; }
nav { font-size: .9rem; margin-bottom: 2rem; display: flex; gap: 1rem;
  flex-wrap: wrap; }
"""


def page(title: str, body: str, links: dict[str, str]) -> str:
    """Return a whole document; `body` is HTML, everything else is text."""
    nav = "".join(f'<a href="{escape(address)}">{escape(name)}</a>' for name, address in links.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f'<body><nav aria-label="Demo">{nav}</nav><main>{body}</main></body></html>'
    )


def facts(rows: dict[str, object]) -> str:
    """Return a list of names and values."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in rows.items()) + "</dl>"


def button(action: str, label: str, *, quiet: bool = False, **fields: str) -> str:
    """Return a form of one button."""
    hidden = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items())
    look = ' class="quiet"' if quiet else ""
    return f'<form method="post" action="{escape(action)}">{hidden}<button{look}>{escape(label)}</button></form>'


def refusal(status: int, problem: dict[str, object], challenge: str) -> str:
    """Return what an API said when it refused: that, not a guess, is what a user of the app needs to see."""
    return (
        f'<div class="card refused" role="alert" id="refused"><strong>The API refused: {status}</strong>'
        + facts({name: value for name, value in problem.items() if name in ("cause", "detail", "missing_scope", "title")})
        + f"<pre>WWW-Authenticate: {escape(challenge)}</pre></div>"
    )
