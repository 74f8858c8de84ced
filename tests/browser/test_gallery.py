"""Every page in a real browser under the real policy: clean to axe, quiet, narrow, without script, by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from gatewright.web import views
from gatewright.web.brand import brand_css, contrast
from gatewright.web.render import TEMPLATES, asset, csp_source, page_csp, render, static_file
from tests.browser.gallery_samples import SAMPLES, TEXT
from tests.browser.gallery_server import Gallery, serving
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

AXE: Final = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
NAMES: Final = tuple(SAMPLES)

# What must not be found, beside whatever breaks WCAG 2.2 AA.
AXE_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE_RUN: Final = """async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']}))
    .violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join(' | '))"""

# Everything that a pointer aims at, as the box that takes the click; links inside a sentence are excepted (WCAG 2.5.8).
SMALL_TARGETS: Final = """() => [...document.querySelectorAll('button, a[href], input:not([type=hidden]), label.choice, .scope label')]
    .filter(e => !(e.matches('a') && e.parentElement.matches('p')))
    .filter(e => !e.matches('input[type=checkbox], input[type=radio]') || !e.closest('label, .tick'))
    .map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
    .filter(([html, box]) => box.height < 43.5 || box.width < 43.5).map(([html, box]) => html + box.width + 'x' + box.height)"""

ACTIVE_ATTRIBUTES: Final = """() => [...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())
    .filter(name => name.startsWith('on') || name === 'style')"""
LINKS: Final = "() => [...document.querySelectorAll('[href], [src]')].map(e => e.getAttribute('href') ?? e.getAttribute('src'))"

CONTROLS: Final = "button, a[href], input:not([type=hidden]), summary"

# A page that sends itself off stays to be looked at.
STAY: Final = "HTMLFormElement.prototype.submit = () => {}; window.opener = {postMessage: () => {}}; window.close = () => {}"

# What each page's browser complained of since it was last opened.
LOUD: Final[WeakKeyDictionary[Page, list[str]]] = WeakKeyDictionary()


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


def _context(browser: Browser, width: int = 1280, *, dark: bool = False, script: bool = True) -> BrowserContext:
    return browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        java_script_enabled=script,
    )


def _page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.add_init_script(STAY)
    loud = LOUD[page] = []
    page.on("console", lambda message: loud.append(message.text))
    page.on("pageerror", lambda error: loud.append(str(error)))
    return page


@pytest.fixture(scope="module")
def light(browser: Browser) -> Iterator[Page]:
    with _context(browser) as context:
        yield _page(context)


@pytest.fixture(scope="module")
def dark(browser: Browser) -> Iterator[Page]:
    with _context(browser, 390, dark=True) as context:
        yield _page(context)


@pytest.fixture(scope="module")
def unscripted(browser: Browser) -> Iterator[Page]:
    with _context(browser, 390, script=False) as context:
        yield _page(context)


def _open(page: Page, gallery: Gallery, name: str) -> list[str]:
    """Show a sample; returns what the browser complains of."""
    LOUD[page].clear()
    page.goto(f"{gallery.url}/{name}")
    return LOUD[page]


def _axe(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate(AXE_RUN, AXE_RULES)
    assert isinstance(found, list)
    return found


def test_every_page_has_a_template_and_a_sample() -> None:
    assert set(TEMPLATES) == set(views.Page.__subclasses__())
    assert {type(view) for view in SAMPLES.values()} == set(TEMPLATES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_clean_to_axe_and_quiet_when_wide_and_light(light: Page, gallery: Gallery, name: str) -> None:
    loud = _open(light, gallery, name)
    assert _axe(light) == []
    assert loud == []
    assert light.evaluate(SMALL_TARGETS) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_clean_to_axe_and_quiet_when_narrow_and_dark(dark: Page, gallery: Gallery, name: str) -> None:
    loud = _open(dark, gallery, name)
    assert _axe(dark) == []
    assert loud == []
    assert dark.evaluate(SMALL_TARGETS) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_never_scrolls_sideways(dark: Page, gallery: Gallery, name: str) -> None:
    _open(dark, gallery, name)
    try:
        for width in (390, 320):
            dark.set_viewport_size({"width": width, "height": 800})
            assert dark.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        dark.set_viewport_size({"width": 390, "height": 800})


def _reached(page: Page) -> list[str]:
    """Press Tab to the end of the page; what had the focus, in order, and each time showed it."""
    seen: list[str] = []
    page.evaluate("(all) => document.querySelectorAll(all).forEach((e, i) => { e.dataset.at = i })", CONTROLS)
    page.evaluate("() => { document.body.tabIndex = -1; document.body.focus() }")
    for _ in range(200):
        page.keyboard.press("Tab")
        at, ring = page.evaluate(
            """() => { const e = document.activeElement; let ring = false;
                for (let p = e; p && p !== document.body; p = p.parentElement) ring ||= getComputedStyle(p).outlineStyle === 'solid';
                return [e.dataset.at ?? '', ring]; }"""
        )
        if not at or at in seen:
            break
        assert ring, f"control {at} has the focus and does not show it"
        seen.append(at)
    return seen


@pytest.mark.parametrize(
    "name",
    [
        "sign_in-hostile",
        "consent-hostile",
        "consent-forty",
        "my_access",
        "continue_as",
        "signed_out-return",
        "console",
        "console-api",
        "console-access",
        "console-end_grant",
    ],
)
def test_the_keyboard_reaches_each_control_in_the_order_of_the_page(light: Page, gallery: Gallery, name: str) -> None:
    _open(light, gallery, name)
    reached = _reached(light)
    assert reached == [str(i) for i in range(light.locator(CONTROLS).count())]


def test_a_radio_list_is_walked_with_the_arrow_keys(light: Page, gallery: Gallery) -> None:
    _open(light, gallery, "account_picker")
    light.locator("input[type=radio]:checked").focus()
    light.keyboard.press("ArrowUp")
    assert light.locator("input[type=radio]:checked").get_attribute("value") == "ac_1"


def _press(page: Page, gallery: Gallery, button: Locator) -> dict[str, list[str]]:
    gallery.posted.clear()
    with page.expect_navigation():
        button.click()
    fields: dict[str, list[str]] = {}
    for name, value in gallery.posted[-1][1]:
        fields.setdefault(name, []).append(value)
    return fields


def test_sign_in_posts_name_and_password_without_script(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "sign_in")
    unscripted.get_by_label("E-mail address").fill("organizer@acme.test")
    unscripted.get_by_label("Password").fill("pä ss")
    unscripted.get_by_label("Keep me signed in").check()
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Sign in"))
    assert posted == {
        "csrf": ["csrf-token"],
        "step": ["step-verifier"],
        "username": ["organizer@acme.test"],
        "password": ["pä ss"],
        "keep": ["1"],
        "choice": ["continue"],
    }
    assert gallery.posted[-1][0] == "/-/step"


def test_the_enter_key_signs_in_and_does_not_cancel(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "sign_in")
    unscripted.get_by_label("E-mail address").fill("a@acme.test")
    unscripted.get_by_label("Password").fill("x")
    gallery.posted.clear()
    with unscripted.expect_navigation():
        unscripted.get_by_label("Password").press("Enter")
    assert ("choice", "continue") in gallery.posted[-1][1]


def test_cancelling_needs_no_name_and_no_password(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "sign_in")
    assert _press(unscripted, gallery, unscripted.get_by_role("button", name="Cancel"))["choice"] == ["deny"]


def test_password_managers_find_the_fields(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "sign_in-hint")
    assert unscripted.locator("form [name=username]").get_attribute("autocomplete") == "username"
    assert unscripted.locator("form [name=username]").input_value() == "doctor@contoso.test"
    assert unscripted.locator("form [name=password]").get_attribute("autocomplete") == "current-password"


def test_a_problem_is_announced_and_tied_to_the_fields(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "sign_in-wrong")
    problem = unscripted.get_by_role("alert")
    assert "do not match" in problem.inner_text()
    for field in ("username", "password"):
        described = unscripted.locator(f"[name={field}]").get_attribute("aria-describedby")
        assert described == problem.get_attribute("id")


def test_consent_posts_the_ticked_scopes_and_what_was_shown(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "consent")
    unscripted.get_by_label("Send money from your bank accounts").uncheck()
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Allow"))
    assert posted["scope"] == ["read:balance"]
    assert posted["shown"] == ["digest-of-what-is-shown"]
    assert posted["choice"] == ["allow"]


def test_the_enter_key_never_allows(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "consent")
    gallery.posted.clear()
    with unscripted.expect_navigation():
        unscripted.locator("[name=scope]").first.press("Enter")
    assert ("choice", "deny") in gallery.posted[-1][1]


def test_allow_and_deny_are_of_equal_size(light: Page, gallery: Gallery) -> None:
    _open(light, gallery, "consent")
    boxes = [light.get_by_role("button", name=name, exact=True).bounding_box() for name in ("Deny", "Allow")]
    sizes = {(round(box["width"]), round(box["height"]), round(box["y"])) for box in boxes if box}
    assert len(sizes) == 1


def test_consent_names_app_host_account_person_and_risk(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "consent")
    text = unscripted.locator("main").inner_text()
    for part in (
        "Budget Buddy",
        "third-party",
        "budget.example",
        "Acme (Dev)",
        "organizer@acme.test",
        "when you are away",
        "Apps with access",
    ):
        assert part in text
    risky = unscripted.locator(".scope", has_text="Send money")
    assert "High risk" in risky.inner_text()


@pytest.mark.parametrize(
    ("name", "button", "choice"),
    [
        ("continue_as", "Continue as Olivia Organizer", "continue"),
        ("continue_as", "Use another account", "switch"),
        ("continue_as", "Cancel", "deny"),
        ("account_picker", "Continue", "continue"),
        ("account_picker", "Sign in as somebody else", "switch"),
        ("consent", "Deny", "deny"),
        ("consent", "Use another one", "switch"),
        ("confirm_sign_out", "Sign out", "continue"),
        ("confirm_sign_out", "Stay signed in", "deny"),
    ],
)
def test_each_button_says_its_choice(unscripted: Page, gallery: Gallery, name: str, button: str, choice: str) -> None:
    _open(unscripted, gallery, name)
    assert _press(unscripted, gallery, unscripted.get_by_role("button", name=button, exact=True))["choice"] == [choice]


def test_the_access_page_removes_one_app_and_ends_one_session(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "my_access")
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Remove access").nth(1))
    assert posted == {"csrf": ["csrf-token"], "grant": ["gr_2"]}
    assert gallery.posted[-1][0] == "/-/access/remove"
    _open(unscripted, gallery, "my_access")
    posted = _press(unscripted, gallery, unscripted.locator(".row").nth(1).get_by_role("button", name="Sign out"))
    assert posted == {"csrf": ["csrf-token"], "session": ["se_2"]}
    _open(unscripted, gallery, "my_access")
    assert _press(unscripted, gallery, unscripted.get_by_role("button", name="Sign out everywhere else")) == {"csrf": ["csrf-token"]}


@pytest.mark.parametrize("name", ["form_post", "form_post-shadowed"])
def test_an_answer_by_form_sends_itself(browser: Browser, gallery: Gallery, name: str) -> None:
    gallery.posted.clear()
    with _context(browser) as context:
        page = context.new_page()
        page.goto(f"{gallery.url}/{name}")
        page.wait_for_url("**/posted")
    assert gallery.posted == [("/posted", [*_fields(name)])]


@pytest.mark.parametrize("name", ["form_post", "form_post-shadowed"])
def test_an_answer_by_form_has_a_button_without_script(unscripted: Page, gallery: Gallery, name: str) -> None:
    _open(unscripted, gallery, name)
    _press(unscripted, gallery, unscripted.get_by_role("button", name="Continue"))
    assert gallery.posted[-1][1] == [*_fields(name)]


def _fields(name: str) -> tuple[tuple[str, str], ...]:
    view = SAMPLES[name]
    assert isinstance(view, views.FormPost)
    return view.fields


def test_an_answer_as_a_message_goes_to_the_one_origin_and_closes_the_window(browser: Browser, gallery: Gallery) -> None:
    with _context(browser) as context:
        page = context.new_page()
        page.add_init_script("window.told = []; window.close = () => window.told.push('closed')")
        page.add_init_script("window.opener = {postMessage: (...said) => window.told.push(said)}")
        page.goto(f"{gallery.url}/message")
        view = SAMPLES["message"]
        assert isinstance(view, views.Message)
        said = {"type": "authorization_response", "response": dict(view.fields)}
        assert page.evaluate("window.told") == [[said, "https://weekly-report.example"], "closed"]


def test_an_answer_as_a_message_goes_on_by_itself_where_no_window_waits(browser: Browser, gallery: Gallery) -> None:
    with _context(browser) as context:
        page = context.new_page()
        context.route(
            "https://weekly-report.example/**", lambda route: route.fulfill(body="<title>arrived</title>", content_type="text/html")
        )
        page.goto(f"{gallery.url}/message")
        page.wait_for_url("https://weekly-report.example/installed?code=gwc_x")


def test_an_answer_as_a_message_has_a_link_without_script(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "message")
    assert unscripted.get_by_role("link", name="Continue").get_attribute("href") == "https://weekly-report.example/installed?code=gwc_x"


def test_allow_in_a_popup_sleeps_until_half_a_second_after_it_has_the_focus(browser: Browser, gallery: Gallery) -> None:
    with _context(browser) as context:
        page = context.new_page()
        page.clock.install()
        page.goto(f"{gallery.url}/popup-consent")
        allow = page.get_by_role("button", name="Allow")
        page.clock.pause_at(4_000_000_000)
        page.evaluate("dispatchEvent(new Event('focus'))")
        assert allow.is_disabled()
        page.clock.run_for(499)
        assert allow.is_disabled()
        page.clock.run_for(2)
        assert allow.is_enabled()
        page.evaluate("dispatchEvent(new Event('blur'))")
        assert allow.is_disabled()


def test_allow_in_a_popup_is_awake_without_script(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "popup-consent")
    assert _press(unscripted, gallery, unscripted.get_by_role("button", name="Allow"))["choice"] == ["allow"]


def test_what_an_app_requires_has_no_box_and_says_why(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "consent-app")
    assert unscripted.get_by_role("checkbox").count() == 1
    text = unscripted.locator("main").inner_text()
    assert "The report shows it on its first page" in text
    assert "Only if you book the printed report" in text


def test_what_an_app_does_not_use_is_taken_away_after_a_look_by_keyboard_and_without_script(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "my_access-unused")
    button = unscripted.get_by_role("button", name="Take this away").first
    assert not button.is_visible()
    summary = unscripted.locator("summary").first
    assert summary.bounding_box()["height"] >= 40  # type: ignore[index]  # it is shown
    summary.focus()
    unscripted.keyboard.press("Enter")
    assert button.is_visible()
    assert "Send money from your bank accounts" in unscripted.locator("details").first.inner_text()
    posted = _press(unscripted, gallery, button)
    assert posted == {"csrf": ["csrf-token"], "grant": ["gr_7"], "scopes": ["sc_1 sc_2"]}


def test_what_an_app_does_not_use_is_clean_to_axe_when_it_is_shown(dark: Page, gallery: Gallery) -> None:
    _open(dark, gallery, "my_access-unused")
    for summary in dark.locator("summary").all():
        summary.click()
    assert dark.get_by_role("button", name="Take this away").count() == 2
    assert _axe(dark) == []
    assert dark.evaluate(SMALL_TARGETS) == []


def test_an_installed_app_is_removed_updated_or_installed_anew(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "my_access-installs")
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Uninstall").nth(1))
    assert posted == {"csrf": ["csrf-token"], "install": ["in_2"]}
    assert gallery.posted[-1][0] == "/-/access/uninstall"
    _open(unscripted, gallery, "my_access-installs")
    assert unscripted.get_by_role("link", name="Review the update").get_attribute("href") == "/-/update?install=in_1"


def test_an_update_posts_what_was_ticked_or_not_now(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "update")
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Allow"))
    assert (posted["scope"], posted["choice"], posted["install"]) == (["transfer:funds"], ["allow"], ["in_1"])
    _open(unscripted, gallery, "update-missing")
    assert unscripted.get_by_role("button", name="Allow").count() == 0


def test_an_admin_hands_an_app_over_to_the_service_user_that_was_chosen(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "account_apps")
    unscripted.get_by_label("Let it act for a service user").select_option("reporter@service.acme.test")
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Hand over"))
    assert posted == {"csrf": ["csrf-token"], "account": ["acme-prod"], "install": ["in_2"], "user": ["us_2"]}


@pytest.mark.parametrize("name", NAMES)
def test_no_view_brings_markup_or_script_or_a_strange_link(light: Page, gallery: Gallery, name: str) -> None:
    _open(light, gallery, name)
    view = SAMPLES[name]
    copies = isinstance(view, views.ClientSecret) and bool(view.made or any(one.text for one in view.secrets))
    wakes = isinstance(view, views.Consent) and view.popup
    scripted = copies or wakes or isinstance(view, views.FormPost | views.CodeByHand | views.Message)
    assert light.locator("script").count() == (1 if scripted else 0)
    assert light.locator("img").count() == light.locator("img.logo").count() + light.locator("img.app-icon").count() <= 2
    assert light.evaluate(ACTIVE_ATTRIBUTES) == []
    assert [link for link in light.evaluate(LINKS) if not link.startswith(("/", "https://", "#", "data:image/"))] == []
    assert not light.title().startswith("owned")


def test_a_secret_is_copied_and_saved_by_script_and_can_be_picked_up_by_hand_without(
    browser: Browser, unscripted: Page, gallery: Gallery
) -> None:
    with _context(browser) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=gallery.url)
        page = _page(context)
        loud = _open(page, gallery, "client_secret-made")
        page.get_by_role("button", name="Copy").click()
        assert page.evaluate("navigator.clipboard.readText()") == TEXT
        assert page.get_by_role("status").inner_text() == "The secret is copied."
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as a file").click()
        assert download.value.suggested_filename == "budget-buddy.secret.txt"
        assert download.value.path().read_text() == f"client_id=budget-buddy\nclient_secret={TEXT}\n"
        assert loud == []
    _open(unscripted, gallery, "client_secret-made")
    assert unscripted.get_by_label("Client secret").input_value() == TEXT
    assert unscripted.get_by_role("button", name="Copy").count() == 0
    assert "cannot be shown again" in unscripted.locator("main").inner_text()


def test_the_secret_page_says_what_becomes_of_the_present_secret(unscripted: Page, gallery: Gallery) -> None:
    _open(unscripted, gallery, "client_secret")
    unscripted.get_by_label("What is it for?").fill("server in Oslo")
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Make a new secret"))
    want = {"csrf": ["csrf-token"], "step": ["step-verifier"], "label": ["server in Oslo"], "old": ["7d"], "choice": ["continue"]}
    assert posted == want
    _open(unscripted, gallery, "client_secret-two")
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="Make one and download it"))
    assert (posted["old"], posted["choice"]) == (["now"], ["download"])
    _open(unscripted, gallery, "client_secret-two")
    posted = _press(unscripted, gallery, unscripted.get_by_role("button", name="End now").nth(1))
    assert (posted["secret"], posted["choice"]) == (["cs_01h2v5c8n4k7f"], ["end"])


def test_titles_tell_the_pages_apart(unscripted: Page, gallery: Gallery) -> None:
    first = {kind: next(name for name, view in SAMPLES.items() if type(view) is kind) for kind in TEMPLATES}
    titles = []
    for name in first.values():
        _open(unscripted, gallery, name)
        titles.append(unscripted.title())
    assert len(set(titles)) == len(TEMPLATES)
    assert unscripted.locator("html").get_attribute("lang") == "en-GB"


@pytest.mark.parametrize("name", ["consent-hostile", "account_picker-many"])
def test_letters_that_turn_a_name_round_are_left_out(name: str) -> None:
    page = render(SAMPLES[name]).decode()
    assert "\u202e" not in page
    assert "Budget yddu" in page


@pytest.mark.parametrize("color", ["#000", "#fff", "#ffd60a", "#0b6e4f", "#808080", "#777", "#FF0000", "#0a0f3c", "#00ffff"])
def test_any_brand_colour_gives_readable_pages(color: str) -> None:
    for scheme in brand_css(color).split("@media"):
        rgb = {n: _rgb(v) for n, v in re.findall(r"--([a-z-]+):#([0-9a-f]{6})", scheme)}
        assert contrast(rgb["on-brand"], rgb["brand"]) >= 4.5
        assert contrast(rgb["on-brand"], rgb["brand-hover"]) >= 4.5
        assert contrast(rgb["brand-edge"], rgb["surface"]) >= 3
        assert contrast(rgb["accent"], rgb["surface"]) >= 4.5
        assert contrast(rgb["accent"], rgb["tint"]) >= 4.5


def _rgb(digits: str) -> tuple[int, int, int]:
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


@pytest.mark.parametrize("color", ["red", "#12", "#12345", "#1234567", "#gggggg", "#fff;}*{x:y", "#fff\n", "#\u0661\u0661\u0661", ""])
def test_nothing_but_a_hex_colour_reaches_a_stylesheet(color: str) -> None:
    with pytest.raises(ValueError, match="is not a colour"):
        brand_css(color)


def test_static_files_are_found_by_their_hashed_name_only() -> None:
    path = asset("style.css")
    assert re.fullmatch(r"/-/static/style\.[0-9a-f]{16}\.css", path)
    found = static_file(path.removeprefix("/-/static/"))
    assert found is not None
    assert found[1] == "text/css; charset=utf-8"
    for name in ("style.css", "style.0000000000000000.css", "../views.py", ""):
        assert static_file(name) is None


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        ("https://App.example/callback?x=1", "https://app.example"),
        ("http://127.0.0.1:8601/cb", "http://127.0.0.1:8601"),
        ("http://[::1]:8601/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://cb", "com.example.app:"),
        ("https://user@app.example/", "https://app.example"),
        ("https://app.example;script-src *", "https:"),
    ],
)
def test_a_policy_names_where_the_answer_goes(redirect_uri: str, source: str) -> None:
    assert csp_source(redirect_uri) == source
    assert page_csp(redirect_uri).endswith(f"; form-action 'self' {source}")


@pytest.fixture
def sending(gallery: Gallery) -> Iterator[str]:
    """Forms are answered by sending the browser to another origin, as an authorization response does."""
    gallery.send_to = f"http://localhost:{gallery.server_port}/callback?code=x"
    yield gallery.send_to
    gallery.send_to, gallery.named = "", ()


def test_allow_ends_at_the_app_when_the_policy_names_it(unscripted: Page, gallery: Gallery, sending: str) -> None:
    gallery.named = (sending,)
    _open(unscripted, gallery, "consent")
    unscripted.get_by_role("button", name="Allow").click()
    unscripted.wait_for_url(sending)
    assert unscripted.title() == "arrived"


def test_a_form_ends_nowhere_that_the_policy_does_not_name(unscripted: Page, gallery: Gallery, sending: str) -> None:
    _open(unscripted, gallery, "consent")
    with unscripted.expect_console_message(lambda message: "form-action" in message.text):
        unscripted.get_by_role("button", name="Allow").click()
    assert unscripted.url == f"{gallery.url}/consent"


@pytest.mark.parametrize("redirect_uri", ["", "//app.example", "/cb", "a b:c", "; script-src *"])
def test_a_policy_refuses_what_is_no_absolute_uri(redirect_uri: str) -> None:
    with pytest.raises(ValueError, match="begins with a scheme"):
        csp_source(redirect_uri)


@pytest.mark.parametrize("epoch", [0, 68_169_600, 951_782_400, 951_868_800, 1_709_164_800, 1_795_242_600, 4_107_542_399, 4_102_444_800])
def test_a_day_is_the_calendars(epoch: int) -> None:
    day = datetime.fromtimestamp(epoch, UTC)
    view = views.GrantLine(id="gr_1", client="x", third_party=False, account=None, since=epoch)
    page = SAMPLES["my_access"]
    assert isinstance(page, views.MyAccess)
    shown = views.MyAccess(
        brand=None, person=page.person, now=epoch, csrf="", remove="", end_session="", end_others="", sign_out="", grants=(view,)
    )
    assert f'<time datetime="{day:%Y-%m-%d}">{day.day} {day:%B %Y}</time>' in render(shown).decode()
