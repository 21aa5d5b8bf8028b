"""HTML of messages: only what the specification lets through, and Markdown made into it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from libmatrix.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Client-server API, m.room.message msgtypes.
_TAGS = frozenset(
    """del h1 h2 h3 h4 h5 h6 blockquote p a ul ol sup sub li b i u strong em s code hr br div table
    thead tbody tr th td caption pre span img details summary""".split()
)
_ATTRIBUTES = {
    "a": {"target", "href"},
    "code": {"class"},
    "div": {"data-mx-maths"},
    "img": {"width", "height", "alt", "title", "src"},
    "ol": {"start"},
    "span": {"data-mx-bg-color", "data-mx-color", "data-mx-spoiler", "data-mx-maths"},
}
# These go with all that is in them; mx-reply held the old fallback of replies.
_EMPTIED = {"script", "style", "mx-reply"}
_LINKS = {"https", "http", "ftp", "mailto", "magnet"}
_DEEPEST = 100

_LINK = re.compile(r"\s*(?:https?|ftp|mailto|magnet):", re.IGNORECASE)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)")
_VOID = frozenset({"br", "hr", "img"})


class Rendered(NamedTuple):
    """A text, and the same in HTML unless that says nothing more."""

    body: str
    html: str | None


def clean_html(html: str) -> str:
    """HTML with what the specification does not allow taken out."""
    cleaned = _cleaner()(html)
    if _depth(cleaned) > _DEEPEST:
        raise ArgumentError(f"html: tags are nested more than {_DEEPEST} levels deep")
    return cleaned


def render_markdown(text: str) -> Rendered:
    """Markdown as people write it in chats: a line's end is one."""
    parser = _parser()
    tokens = parser.parse(text)
    plain = _plain_text(tokens)
    if plain is not None:
        return Rendered(plain, None)
    html = parser.renderer.render(tokens, parser.options, {}).strip()
    if len(tokens) == 3 and tokens[0].type == "paragraph_open":
        html = html.removeprefix("<p>").removesuffix("</p>")
    return Rendered(text, clean_html(html))


@cache
def _cleaner() -> Callable[[str], str]:
    from nh3 import Cleaner

    return Cleaner(
        tags=_TAGS,
        clean_content_tags=_EMPTIED,
        attributes=_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        url_schemes=_LINKS | {"mxc"},
        url_relative="deny",
        link_rel=None,
    ).clean


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    """The attribute's value, or None to take it out."""
    if tag == "img" and name == "src":
        return value if value.startswith("mxc://") else None
    if tag == "a" and name == "href":
        return value if _LINK.match(value) else None
    if tag == "code" and name == "class":
        kept = [each for each in value.split() if each.startswith("language-")]
        return " ".join(kept) or None
    if name in ("data-mx-color", "data-mx-bg-color"):
        return value if _COLOUR.fullmatch(value) else None
    return value


def _depth(html: str) -> int:
    """How deep tags are nested in HTML that has been cleaned, so that all of them are closed."""
    level = deepest = 0
    for is_end, name in _TAG.findall(html):
        if is_end:
            level -= 1
        elif name not in _VOID:
            level += 1
            deepest = max(deepest, level)
    return deepest


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # HTML in it stays text: in a chat "vector<int>" is no tag, and nothing of it may get lost.
    options = {"html": False, "breaks": True}
    return MarkdownIt("commonmark", options).enable(["table", "strikethrough"])


def _plain_text(tokens: list[Token]) -> str | None:
    """What the text says when it is nothing but paragraphs; else None."""
    paragraphs = []
    for token in tokens:
        if token.type not in ("paragraph_open", "inline", "paragraph_close"):
            return None
        pieces = []
        for child in token.children or ():
            if child.type not in ("text", "softbreak"):
                return None
            pieces.append(child.content or "\n")
        if token.type == "inline":
            paragraphs.append("".join(pieces))
    return "\n\n".join(paragraphs)
