"""HTML that is sent: the subset that the specification names, and Markdown."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libmatrix.errors import ArgumentError, MatrixError
from libmatrix.messages import rich_text
from libmatrix.messages.content import text_content
from libmatrix.messages.rich_text import clean_html, render_markdown

KEPT = [
    "<h1>a</h1><h6>b</h6>",
    '<a href="https://example.org">x</a>',
    '<a href="mailto:a@example.org" target="_blank">x</a>',
    '<a href="https://matrix.to/#/@a:example.org">A</a>',
    '<img src="mxc://localhost/a" alt="x" title="t" width="1" height="2">',
    '<span data-mx-color="#00ff00" data-mx-bg-color="#AA0000">x</span>',
    '<span data-mx-spoiler="why">x</span>',
    '<div data-mx-maths="x^2">x</div>',
    '<ol start="3"><li>x</li></ol>',
    '<pre><code class="language-c">int x;</code></pre>',
    "<details><summary>s</summary><del>x</del></details>",
    "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>",
    "a<br>b<hr>",
]


@pytest.mark.parametrize("html", KEPT)
def test_what_is_allowed_stays(html: str) -> None:
    assert clean_html(html) == html


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<script>alert(1)</script>x", "x"),
        ("<style>b{}</style>x", "x"),
        ("<mx-reply><blockquote>old</blockquote></mx-reply>new", "new"),
        ("<font color='red'>x</font>", "x"),
        ("<b onclick='x()' style='font-size:99em' class='c'>x</b>", "<b>x</b>"),
        ("<a href='javascript:x()'>x</a>", "<a>x</a>"),
        ("<a href='JaVaScRiPt:x()'>x</a>", "<a>x</a>"),
        ("<a href='/relative'>x</a>", "<a>x</a>"),
        ("<a href='//example.org'>x</a>", "<a>x</a>"),
        ("<a href='mxc://localhost/a'>x</a>", "<a>x</a>"),
        ("<img src='https://example.org/x.png' onerror='x()'>", "<img>"),
        ("<code class='language-c evil'>x</code>", '<code class="language-c">x</code>'),
        ("<code class='evil'>x</code>", "<code>x</code>"),
        ("<span data-mx-color='red'>x</span>", "<span>x</span>"),
        ("<p lang='de' title='t'>x</p>", "<p>x</p>"),
        ("<!-- x -->y<p>open", "y<p>open</p>"),
        ("<svg><a href='javascript:x()'>x</a></svg>y", "y"),
        ("<p><button><p>x", "<p></p><p>x</p><p></p>"),
        ("<a>1<table><a>2", "<a>1</a><a>2</a><table></table>"),
        ("<pre>\n\nx", "<pre>\n\nx</pre>"),
        ("<b>a&#13;\nb</b>", "<b>a\nb</b>"),
    ],
)
def test_what_is_not_allowed_goes(html: str, left: str) -> None:
    assert clean_html(html) == left


class Tags(HTMLParser):
    """The tags and attributes of HTML, by somebody else's parser."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {(tag, name) for name, _ in attrs} | {(tag, "")}


_ALLOWED = {(tag, "") for tag in rich_text._TAGS} | {
    (tag, name) for tag, names in rich_text._ATTRIBUTES.items() for name in names
}
_NAMES = [*sorted(rich_text._TAGS), "button", "svg", "math", "style", "title", "select", "font"]
_VALUES = ["", "x", "https://a", "mxc://a/b", "#00ff00", "language-c", "javascript:x", "<b>", "\n"]
_ATTRIBUTE = st.builds(
    " {}={!r}".format,
    st.sampled_from("href src class start title lang onclick style alt data-mx-color".split()),
    st.sampled_from(_VALUES) | st.text(max_size=5),
)
_TAG = st.builds(
    "<{}{}{}>".format,
    st.sampled_from(["", "", "/"]),
    st.sampled_from(_NAMES),
    _ATTRIBUTE | st.just(""),
)
_HTML = st.lists(_TAG | st.text(max_size=5) | st.sampled_from("<>&\"'!-\n\r\0 "), max_size=30)


@given(_HTML.map("".join))
@settings(max_examples=300, deadline=None)
def test_clean_html_is_clean_and_stays_the_same(html: str) -> None:
    cleaned = clean_html(html)
    assert clean_html(cleaned) == cleaned
    assert Tags(cleaned).found <= _ALLOWED


def test_nesting_has_a_limit() -> None:
    assert clean_html("<div>" * 100 + "x" + "</div>" * 100).count("<div>") == 100
    with pytest.raises(ArgumentError, match=r"^html: "):
        clean_html("<div>" * 101)


@pytest.mark.parametrize("html", ["<p>x" * 5_000, "<ul>" + "<li>x" * 5_000, "<br>" * 5_000])
def test_tags_that_close_by_themselves_are_not_nested(html: str) -> None:
    assert clean_html(html).count(">x<" if "x" in html else "<br>") == 5_000


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**b** *i* ~~s~~ `c`", "<strong>b</strong> <em>i</em> <s>s</s> <code>c</code>"),
        ("one *line*\nanother", "one <em>line</em><br>\nanother"),
        ("[x](https://example.org)", '<a href="https://example.org">x</a>'),
        ("[x](javascript:alert(1))*y*", "[x](javascript:alert(1))<em>y</em>"),
        ("a <b>*x*</b>", "a &lt;b&gt;<em>x</em>&lt;/b&gt;"),
        ("*vector<int>*", "<em>vector&lt;int&gt;</em>"),
        ("```c\nint x;\n```", '<pre><code class="language-c">int x;\n</code></pre>'),
        ("3. x", '<ol start="3">\n<li>x</li>\n</ol>'),
        ("![x](mxc://localhost/a)", '<img src="mxc://localhost/a" alt="x">'),
        ("![x](https://a.org/a.png)", '<a href="https://a.org/a.png">x</a>'),
        ("![*x* y](https://a.org)z", '<a href="https://a.org">x y</a>z'),
        ("![](https://a.org/?a&b)", '<a href="https://a.org/?a&amp;b">https://a.org/?a&amp;b</a>'),
        ("[![x](https://a.org) *y*](https://b.org)", '<a href="https://b.org">x <em>y</em></a>'),
        (
            "[a](https://b.org)![x](http://a)",
            '<a href="https://b.org">a</a><a href="http://a">x</a>',
        ),
        ("*a*\n\nb", "<p><em>a</em></p>\n<p>b</p>"),
    ],
)
def test_markdown(text: str, html: str) -> None:
    assert render_markdown(text) == html


def test_a_table() -> None:
    html = render_markdown("|a|b|\n|-|-|\n|1|2|")
    assert html and html.startswith("<table>") and "<td>2</td>" in html


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "two\nlines",
        "two\n\nparagraphs",
        "two\r\n\n\n\n  paragraphs ",
        "vector<int> a;",
        "a\0b",
        "a\\b",
        "",
    ],
)
def test_markdown_that_says_nothing_more(text: str) -> None:
    assert text_content("text", text, markdown=True) == {"msgtype": "m.text", "body": text}


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("\\*no\\* list", "*no* list"),
        ("&lt;\n\n1\\. a", "<p>&lt;</p>\n<p>1. a</p>"),
        ("*a\0b*", "<em>a\ufffdb</em>"),
        ("a  \nb\n\n\n", "a<br>\nb"),
    ],
)
def test_the_body_of_markdown_is_what_was_passed(text: str, html: str) -> None:
    content = text_content("text", text, markdown=True)
    assert (content["body"], content["formatted_body"]) == (text, html)


@pytest.mark.parametrize("text", [">" * 5000, "[" * 5000, "*a " * 5000, "- " * 2000 + "x"])
def test_hostile_markdown_ends(text: str) -> None:
    render_markdown(text)


def calls_of(text: str) -> int:
    """How many functions are called for a text."""
    count = 0

    def called(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        render_markdown(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "text",
    [
        ">" * 20_000 + "a\n" * 20_000,
        "![" * 30_000,
        "![a" * 20_000 + "]" * 5_000,
        "[" * 60_000,
        "[" + "a\n" * 30_000,
        "|" * 1_000 + "\n" + "|-" * 1_000 + "\n" + "a\n" * 30_000,
        "- a\n" * 15_000,
    ],
    ids=range(7),
)
def test_hostile_markdown_is_given_up(text: str) -> None:
    assert render_markdown(text) is None
    assert calls_of(text) < 2_800_000


def test_dense_markdown_of_a_full_event_is_rendered() -> None:
    for part, tag in (
        ("- a\n", "<li>"),
        ("`a` ", "<code>"),
        ("**a** ", "<strong>"),
        ("# a\n", "<h1>"),
    ):
        html = render_markdown(part * 2_500)
        assert html and html.count(tag) == 2_500
    table = render_markdown("|a|b|c|\n|-|-|-|\n" + "|1|2|3|\n" * 900)
    assert table and table.count("<td>") == 2_700


def test_no_text_is_lost_however_deep_it_is() -> None:
    for level in (5, 24, 47):
        html = render_markdown("> " * level + "x")
        assert html and html.count("<blockquote>") == level and "x" in html
    for level in (5, 20):
        html = render_markdown("- " * level + "x")
        assert html and html.count("<li>") == level and "x" in html
    for text in ("> " * 48 + "x", "- " * 25 + "x", "*a " * 120 + "x" + "*" * 120):
        assert render_markdown(text) is None


def test_definitions_of_links_are_not_lost() -> None:
    for text in ("[1]: https://example.org", "see\n\n[1]: https://example.org"):
        assert render_markdown(text) is None


def test_every_plane_of_unicode_and_nul() -> None:
    text = "".join(chr(plane << 16 | 0x41) for plane in range(17)) + "\0\u200f\ufdd0"
    content = text_content("text", text, f"<b>{text}</b>")
    assert content["body"] == text
    assert text.replace("\0", "") in content["formatted_body"].replace("\ufffd", "")


def test_a_text_larger_than_any_event_is_refused_at_once() -> None:
    assert text_content("text", "x" * 65_536)["body"]
    for text in ("x" * 65_537, "\u00e9" * 40_000):
        with pytest.raises(MatrixError) as caught:
            text_content("text", text, markdown=True)
        assert caught.value.code == "E_TOO_LARGE"
        assert "body" in caught.value.message
