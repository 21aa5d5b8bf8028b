"""HTML that is more work than it looks is refused before it is parsed; other HTML is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libmatrix.errors import ArgumentError
from libmatrix.messages import html_cost, rich_text
from libmatrix.messages.rich_text import clean_html


def marks(count: int, form: str = "<b a{}>") -> str:
    """Marks that all differ, so that an HTML parser opens each of them again."""
    return "".join(form.replace("{}", str(number)) for number in range(count))


BOMB = "<p>x" * 5_000
NOT_HEEDED = [
    "<b a{}=</b>>",
    "<b a{} b='</b>'>",
    '<b a{} b = "</b>">',
    "<b a{}/></ b></b",
    "<b a{}><!--</b>--><!--></b><!-->",
    "<b a{}><!-- --!</b> --!><? </b",
    "<b a{}><title></b></title>",
    "<b a{}><textarea></b></textareas></b></textarea>",
    "<b a{}><svg></b></svg>",
    "<b a{}><svg><title></b></svg></title>",
    "<b a{}><script><!--<script></script></b>--></script>",
    "<b a{}><select></b></select>",
    "<b a{}><template></b></template>",
    "<b a{}><noscript></b></noscript>",
    "<b a{}><object></b></object>",
    "<b a{}><table><td></b></table>",
    "<b a{}><table></b></table>",
    "<b a{}><div></div></div></c>",
    "<\u212aa><b a{}>",
]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is given to the HTML parser."""
    texts: list[str] = []
    real = rich_text._cleaner()

    def parse(text: str) -> str:
        texts.append(text)
        return real(text)

    monkeypatch.setattr(rich_text, "_cleaner", lambda: parse)
    return texts


@pytest.mark.parametrize(
    "html",
    ["<div>" * 10_000, "<UL><LI>" * 5_000, "<b>" * 9_000 + "</b>" * 9_000, "<b></p>" * 5_000],
)
def test_html_is_not_parsed_that_is_nested_without_end(html: str, parsed: list[str]) -> None:
    with pytest.raises(ArgumentError, match=r"^html: .*100 levels"):
        clean_html(html)
    assert not parsed
    assert clean_html("<p>x") and parsed == ["<p>x", "<p>x</p>"]


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + marks(990) + "<p>x" * 14_000,
        "<p>" + marks(90) + "<p>x" * 15_000,
        "<p>" + marks(90, "<a title={}><b a{}>") + BOMB,
        "<p>" + marks(30, "<font a b c=1 d='2' e{}>") + BOMB,
        "<p>" + marks(7_000),
        marks(400) + "<div>" * 90 + "x</div>" * 90,
        marks(5_000, "<html a{}>"),
        marks(400, "<b a b c d e f g h i j k l m n o p q r s t u v w x y z a{}>"),
        "<b " + marks(9_000, "a{} ") + ">",
        "<li><dd>" * 8_000,
        "<p>" * 20_000,
        "<table>" + "<br>" * 16_000,
        "</p>" * 16_000,
        "<a b='" * 9_000,
        "<a" + " =" * 32_000,
    ],
    ids=range(15),
)
def test_too_much_work_is_refused_before_it_begins(html: str, parsed: list[str]) -> None:
    with pytest.raises(ArgumentError, match=r"^html: "):
        clean_html(html)
    assert not parsed


@pytest.mark.parametrize("form", NOT_HEEDED)
def test_ends_that_are_not_heeded_do_not_count(form: str, parsed: list[str]) -> None:
    try:
        cleaned = clean_html("<p>" + marks(200, form) + BOMB)
    except ArgumentError:
        assert not parsed
    else:
        # Where the parser is never shown what hides ends, they are heeded.
        assert cleaned.count("<b>") < 10_000


@pytest.mark.parametrize(
    "html", ["<a" * 32_000, "<!--" * 16_000, "</" * 32_000, "<a b" + " " * 60_000]
)
def test_what_is_not_closed_is_read_once(html: str) -> None:
    assert len(clean_html(html)) < 400_000


@pytest.mark.parametrize(
    ("html", "count"),
    [
        ("<p><b>x</p>", 400),
        ("<b><i>x</b></i>", 2_000),
        ("<ul><li><b>a</b><li>b</ul>", 2_000),
        ("<table><tr><td>a<td>b<tr><td>c</table>", 800),
        ("<div><p>a</div>", 3_000),
        ("<table><tr><td><font color=red>x</td></tr></table>", 400),
        ("<a href='https://example.org/'>x", 900),
        ("<p>x<br><i>x</i><blockquote>x</blockquote>", 1_000),
        ("<p><font size=2 face=x><b>a</b> <a href='https://a.org'>x</a></font></p>", 600),
    ],
)
def test_large_texts_of_people_are_taken(html: str, count: int) -> None:
    assert clean_html(html * count).count("x" if "x" in html else "a") >= count


_NAMES = "a b i u code p div li ul dd dl table tr td caption button object form h1 h2 center font"
_PIECES = st.sampled_from(_NAMES.split()).flatmap(
    lambda name: st.sampled_from([f"<{name}>", f"<{name} a>", f"<{name} b>", f"</{name}>", "x"])
)


@given(st.lists(_PIECES, max_size=60).map("".join), st.lists(_PIECES, max_size=4).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_less_is_counted_than_there_is(html: str, repeated: str) -> None:
    html += repeated * 30 + "<p>x<p>x"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html_cost, "_SMALL", 0)
        patch.setattr(html_cost, "_MOST_AGAIN", 100)
        try:
            cleaned = rich_text._cleaner()(html_cost.prepare(html))
        except ArgumentError:
            return
    assert cleaned.count("</") <= 2 * 100 + 2 * html.count("<")
