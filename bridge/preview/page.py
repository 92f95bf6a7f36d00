"""Previews as a page of their own: each post as four kinds of readers see it, side by side."""

import re
from collections.abc import Sequence
from html import escape

from bridge.preview.timelines import Attached, Card, Level, Preview, Remark

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b20; --soft: #6a6a75; --paper: #f4f4f6; --card: #fff;
  --line: #dcdce2; --link: #4b43c4; --warn: #8a4b00; --warn-paper: #fff4e0 }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf1; --soft: #9c9ca8; --paper: #16161b;
  --card: #212129; --line: #363640; --link: #a9a3ff; --warn: #ffc878; --warn-paper: #3a2c14 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1500px; padding: 2rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.3rem }
h2 { font-size: 1.15rem; margin: 0 }
a { color: var(--link) }
article { margin: 0 0 3rem }
.about { color: var(--soft); font-size: .85rem; margin: .2rem 0 1rem }
.looks { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 1rem;
  align-items: start }
.look { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0 1rem 1rem;
  min-width: 0 }
.look h3 { margin: 0 -1rem .8rem; padding: .5rem 1rem; border-bottom: 1px solid var(--line);
  font-size: .8rem; font-weight: 600; color: var(--soft) }
.look p { margin: 0 0 .8em }
.look p:last-child { margin-bottom: 0 }
.look ul, .look ol { margin: 0 0 .8em; padding-inline-start: 1.4em }
.look pre, .look blockquote { margin: 0 0 .8em; padding: .4em .8em;
  border-inline-start: 3px solid var(--line) }
.look pre { overflow-x: auto; font-size: .85em }
.plain { white-space: pre-wrap }
.invisible { display: none }
.cw summary { cursor: pointer; background: var(--warn-paper); color: var(--warn); padding: .5rem .8rem;
  border-radius: 6px; margin-bottom: .8rem }
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: .4rem; margin-top: .8rem }
.pictures.one { grid-template-columns: 1fr }
figure { margin: 0 }
figure img { display: block; width: 100%; height: 150px; object-fit: cover; border-radius: 6px;
  background: var(--line); color: var(--soft); font-size: .75rem }
.one img { height: 220px }
figcaption { font-size: .75rem; color: var(--soft); margin-top: .2rem; max-height: 6em; overflow: auto }
figcaption.missing { color: var(--warn) }
audio, video { width: 100%; margin-top: .8rem }
.card { display: block; border: 1px solid var(--line); border-radius: 8px; padding: .8rem;
  text-decoration: none; color: inherit; margin-top: .8rem }
.card b { display: block }
.card small { color: var(--soft) }
.remarks { list-style: none; padding: 0; margin: 1rem 0 0; font-size: .9rem }
.remarks li { padding: .3rem .8rem; border-radius: 6px; margin-top: .3rem; color: var(--soft) }
.remarks .warning { background: var(--warn-paper); color: var(--warn) }
.none { color: var(--soft); font-style: italic }
"""
_MFM_LINK = re.compile(r"\[([^\[\]\n]{1,500})\]\((https?://[^()\s]{1,2000})\)")
_MFM_BOLD = re.compile(r"\*\*([^*\n]{1,1000})\*\*")
# What it shows was written by others: nothing in it runs, and only pictures and players are loaded.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: http:; media-src https: http:"


def render_page(previews: Sequence[Preview]) -> str:
    """Write the page, which needs no other file."""
    number = f"{len(previews)} post" + ("" if len(previews) == 1 else "s")
    posts = "\n".join(map(_post, previews)) or '<p class="none">There is nothing to show.</p>'
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="referrer" content="no-referrer">
<title>Preview: {number}</title>
<style>{_STYLE}</style>
<h1>How {number} will look</h1>
{posts}
</html>
"""


def _post(one: Preview) -> str:
    facts = [
        str(one.kind),
        one.visibility,
        one.language or "no language claimed",
        one.published_at.replace("T", " ").replace("Z", " UTC"),
        f"{one.characters} characters",
        f"{one.size / 1000:.1f} kB",
    ]
    if one.link:
        facts.append(f'<a href="{escape(one.link)}">{escape(one.link)}</a>')
    remarks = "".join(map(_remark, one.remarks))
    return f"""<article>
<h2 dir="auto">{escape(one.title) or "(no title)"}</h2>
<p class="about">{" · ".join(facts)}</p>
<div class="looks">
{_look("Mastodon", _mastodon(one), "mastodon")}
{_look("Misskey", _misskey(one))}
{_look("Threads", _threads(one))}
{_look("A link to the post, anywhere", _card(one.card))}
</div>
{f'<ul class="remarks">{remarks}</ul>' if remarks else ""}
</article>"""


def _remark(remark: Remark) -> str:
    sign = "⚠ " if remark.level is Level.WARNING else ""
    return f'<li class="{remark.level}">{sign}{escape(remark.what)}</li>'


def _look(name: str, html: str, kind: str = "") -> str:
    return f'<section class="look {kind}"><h3>{name}</h3>{html}</section>'


def _mastodon(one: Preview) -> str:
    """Show the HTML that Mastodon keeps, which nothing harmful is left in."""
    shown = f'<div dir="auto">{one.mastodon}</div>{_pictures(one.attached)}'
    if one.card and not one.attached:
        shown += _card(one.card)
    return _behind(one.warning, shown)


def _behind(warning: str, html: str) -> str:
    return f'<details class="cw"><summary>{escape(warning)}</summary>{html}</details>' if warning else html


def _misskey(one: Preview) -> str:
    """Show Misskey's own markup as its readers see it: links and bold type; the rest stands as written."""
    html = _MFM_LINK.sub(r'<a href="\2">\1</a>', escape(one.misskey))
    html = _MFM_BOLD.sub(r"<b>\1</b>", html)
    shown = f'<div class="plain" dir="auto">{html}</div>{_pictures(one.attached)}'
    return _behind(one.misskey_warning, shown)


def _threads(one: Preview) -> str:
    if not one.threads:
        return '<p class="none">Not shown: Threads knows no articles.</p>'
    return f'<div class="plain" dir="auto">{escape(one.threads)}</div>{_pictures(one.attached)}'


def _card(card: Card | None) -> str:
    if card is None:
        return '<p class="none">No card: the post links to no page.</p>'
    excerpt = f"<small>{escape(card.excerpt)}</small>" if card.excerpt else ""
    return (
        f'<a class="card" dir="auto" href="{escape(card.url)}"><small>{escape(card.site)}</small>'
        f"<b>{escape(card.title)}</b>{excerpt}</a>"
    )


def _pictures(attached: Sequence[Attached]) -> str:
    players = "".join(_player(one) for one in attached if not one.media_type.startswith("image/"))
    pictures = [_picture(one) for one in attached if one.media_type.startswith("image/")]
    if not pictures:
        return players
    return f'{players}<div class="pictures{" one" if len(pictures) == 1 else ""}">{"".join(pictures)}</div>'


def _player(one: Attached) -> str:
    tag = "video" if one.media_type.startswith("video/") else "audio"
    return f'<{tag} controls preload="none" src="{escape(one.url)}"></{tag}>'


def _picture(one: Attached) -> str:
    caption = f"<figcaption>{escape(one.alt)}</figcaption>"
    if not one.alt:
        caption = '<figcaption class="missing">no description (alt)</figcaption>'
    return f'<figure><img src="{escape(one.url)}" alt="{escape(one.alt)}" loading="lazy">{caption}</figure>'
