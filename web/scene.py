"""What every page needs: who looks, in which language, theme and size, and how it is rendered."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from gridbeacon.reasons import Level, Role
from web.door import parts_of, viewer_of, wait
from web.parts import Parts
from web.problems import Problem
from web.speech import Speech
from web.tokens import LOCAL, Refusal, Viewer
from web.words import LANGUAGES, language_of, words_of

LANGUAGE, THEME, FORMS = "gridbeacon_language", "gridbeacon_theme", "gridbeacon_forms"
CHOICES = ("lang", "theme")
THEMES = ("auto", "light", "dark")
YEAR_SECS = 31_536_000
LEVELS = tuple(level.word for level in sorted(Level, reverse=True) if level)


class LoginNeeded(Exception):
    """Somebody must log in first; ``back`` is where they wanted to go."""

    def __init__(self, back: str, why: str) -> None:
        super().__init__(why)
        self.back = back


@dataclass(frozen=True, slots=True)
class Scene:
    """One viewer's look at the board."""

    request: Request
    house: Parts
    viewer: Viewer
    speech: Speech
    theme: str
    wall: bool

    @property
    def fragment(self) -> bool:
        """Whether only the parts that change are wanted."""
        return "fragment" in self.request.query_params

    def choosing(self, name: str, value: str) -> str:
        """Return the address of this page with a choice made; what else it asks for stays."""
        asked = [
            (key, given) for key, given in self.request.query_params.multi_items() if key not in (*CHOICES, "done")
        ]
        return f"{self.request.url.path}?{urlencode([*asked, (name, value)])}"

    def render(self, template: str, status: int = 200, **more: Any) -> Response:
        """Return a page."""
        return HTMLResponse(self.text(template, **more), status, headers=_cookies(self))

    def text(self, template: str, **more: Any) -> str:
        """Return a page's text."""
        environment = environment_of(self.speech.language)
        return environment.get_template(template).render(
            scene=self,
            house=self.house,
            viewer=self.viewer,
            say=self.speech,
            hub=self.house.hub,
            levels=LEVELS,
            languages=LANGUAGES,
            here=quote(self.request.url.path),
            forms_key=forms_key(self.request, self.house),
            local=self.viewer.name == LOCAL,
            **more,
        )


def come_in(request: Request) -> Scene:
    """Return the scene of whoever asks for a page. Raises ``LoginNeeded``, ``Problem`` (429)."""
    house = parts_of(request)
    try:
        viewer = viewer_of(request)
    except Refusal as error:
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise LoginNeeded(back, str(error)) from error
    if viewer.name != LOCAL:
        wait(house.often.wait_secs(viewer.client))
    return scene_of(request, viewer)


def stranger(request: Request) -> Scene:
    """Return the scene of somebody who is not known yet."""
    return scene_of(request, Viewer("", Role.VIEWER))


def scene_of(request: Request, viewer: Viewer) -> Scene:
    """Return the scene of a viewer: language and theme as chosen, as the browser asks, or as they are."""
    house = parts_of(request)
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE)
    language = language_of(asked, request.headers.get("accept-language", ""))
    theme = request.query_params.get("theme") or request.cookies.get(THEME, "auto")
    speech = Speech(language, words_of(language), house.zone, house.now_ms())
    return Scene(request, house, viewer, speech, theme if theme in THEMES else "auto", "wall" in request.query_params)


def _cookies(scene: Scene) -> Mapping[str, str]:
    """Return headers that keep what was chosen in the address."""
    found = {}
    query = scene.request.query_params
    flags = "Path=/; SameSite=Strict; HttpOnly" + ("; Secure" if scene.request.url.scheme == "https" else "")
    if query.get("lang") in LANGUAGES:
        found["set-cookie"] = f"{LANGUAGE}={scene.speech.language}; Max-Age={YEAR_SECS}; {flags}"
    elif query.get("theme") in THEMES:
        found["set-cookie"] = f"{THEME}={scene.theme}; Max-Age={YEAR_SECS}; {flags}"
    elif FORMS not in scene.request.cookies:
        found["set-cookie"] = f"{FORMS}={scene.request.state.forms}; {flags}"
    return found


def forms_key(request: Request, house: Parts) -> str:
    """Return what a form of this browser must carry: another site knows neither the cookie nor our key."""
    cookie = request.cookies.get(FORMS)
    if cookie is None:
        if not hasattr(request.state, "forms"):
            request.state.forms = secrets.token_urlsafe(16)
        cookie = request.state.forms
    return house.door.sign("form", cookie[:100])


def check_form(request: Request, house: Parts, key: str) -> None:
    """Raise ``Problem`` (403) when a form does not come from a page that this browser got."""
    cookie = request.cookies.get(FORMS, "")[:100]
    if not cookie or not hmac.compare_digest(key.encode(), house.door.sign("form", cookie).encode()):
        raise Problem(403, "this page is too old for that; load it again, then do it once more")


_ENVIRONMENTS: dict[str, Environment] = {}


def environment_of(language: str) -> Environment:
    """Return the templates in a language."""
    if language not in _ENVIRONMENTS:
        made = Environment(
            loader=PackageLoader("web", "templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        words = words_of(language)
        made.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
        made.globals["symbol"] = symbol
        _ENVIRONMENTS[language] = made
    return _ENVIRONMENTS[language]


def symbol(level: str, size: int = 22) -> Markup:
    """Return the symbol of a level: each has a shape of its own, so that no colour is needed to tell them apart."""
    return Markup(
        '<svg class="symbol {0}" width="{1}" height="{1}" viewBox="0 0 24 24" aria-hidden="true">'
        '<use href="#sym-{0}"/></svg>'
    ).format(level, size)
