"""HTML of messages: only what the specification lets through, and Markdown made into it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from libmatrix.errors import ArgumentError
from libmatrix.messages.html_cost import prepare, require_shallow

if TYPE_CHECKING:
    from collections.abc import Callable

    from markdown_it import MarkdownIt
    from markdown_it.ruler import RuleOptionsType, StateBase
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

# Client-server API, m.room.message msgtypes.
_TAGS = frozenset(
    """del h1 h2 h3 h4 h5 h6 blockquote p a ul ol sup sub li b i u strong em s code hr br div table
    thead tbody tr th td caption pre span img details summary""".split()
)
_ATTRIBUTES = {
    # Else nh3 lets "lang" and "title" through everywhere.
    "*": set[str](),
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
# What is taken out may have kept tags apart that now end each other. Four times were seen.
_MOST_PASSES = 6
# Levels of quotes and lists, of which a list takes two.
_MOST_NESTED = 50
# Places where Markdown looks for something; a full event that people wrote has 1,500.
_MOST_STEPS = 15_000

_LINK = re.compile(r"\s*(?:https?|ftp|mailto|magnet):", re.IGNORECASE)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_STEPS = "libmatrix.steps"


class _TooMuchError(Exception):
    """Markdown that is better shown as it is."""


def clean_html(html: str) -> str:
    """HTML with what the specification does not allow taken out; cleaned again, it is the same.

    Raises `ArgumentError` when it is nested more than 100 levels deep, or would be too much work.
    """
    html = html.lstrip("\ufeff")
    for _ in range(_MOST_PASSES):
        # A parser leaves out the first line's end in that tag: one that is meant is there twice.
        cleaned = _cleaner()(prepare(html)).replace("<pre>\n", "<pre>\n\n")
        if cleaned == html:
            require_shallow(html)
            return html
        html = cleaned
    raise ArgumentError("html: its tags cannot be put in order")


def render_markdown(text: str) -> str | None:
    """HTML of Markdown as people write it in chats: a line's end is one.

    None when that says nothing more, and for what is nested too deep or takes too many steps.
    """
    parser, env = _parser(), dict[str, Any]({_STEPS: 0})
    try:
        tokens = parser.parse(text, env)
        _link_pictures(parser, tokens)
        plain = _plain_text(tokens)
        # A definition of a link shows nowhere; of a blank only that it is there.
        if plain is not None and (env.get("references") or plain.split() == _seen(text).split()):
            return None
        html = parser.renderer.render(tokens, parser.options, {}).strip()
        if len(tokens) == 3 and tokens[0].type == "paragraph_open":
            html = html.removeprefix("<p>").removesuffix("</p>")
        return clean_html(html)
    except (_TooMuchError, ArgumentError):
        return None


def _seen(text: str) -> str:
    """A text as the parser of Markdown takes it."""
    return text.replace("\0", "\ufffd")


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


def _link_pictures(parser: MarkdownIt, tokens: list[Token]) -> None:
    """Makes links of pictures from elsewhere, which are not to be shown."""
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

    renderer = parser.renderer
    assert isinstance(renderer, RendererHTML)
    for token in tokens:
        if not any(child.type == "image" for child in token.children or ()):
            continue
        made: list[Token] = []
        depth = 0
        for child in token.children or ():
            depth += child.nesting if child.tag == "a" else 0
            address = str(child.attrs.get("src", ""))
            if child.type != "image" or address.startswith("mxc://"):
                made.append(child)
                continue
            alt = renderer.renderInlineAsText(child.children or (), parser.options, {})
            text = [Token("text", "", 0, content=alt or address)]
            if not depth:
                begin = Token("link_open", "a", 1, attrs={"href": address})
                text = [begin, *text, Token("link_close", "a", -1)]
            made += text
        token.children = made


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # HTML in it stays text: in a chat "vector<int>" is no tag, and nothing of it may get lost.
    options = {"html": False, "breaks": True, "maxNesting": _MOST_NESTED}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    # They come first wherever a block or anything in a line may begin, and find nothing there.
    places: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("table", "limit", _limit_blocks, places)
    parser.inline.ruler.before("text", "limit", _count_step)
    return parser


def _limit_blocks(state: StateBlock, _first: int, _last: int, _silent: bool) -> bool:
    """The parser would leave out what is nested deeper than it goes."""
    if state.level + 2 >= _MOST_NESTED or len(state.tokens) > _MOST_STEPS:
        raise _TooMuchError
    return _count_step(state)


def _count_step(state: StateBase, _silent: bool = False) -> bool:
    state.env[_STEPS] += 1
    if state.env[_STEPS] > _MOST_STEPS:
        raise _TooMuchError
    return False


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
