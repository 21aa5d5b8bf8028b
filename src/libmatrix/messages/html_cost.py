"""HTML before it is parsed: how much is open at once, and so how much work it will be.

An HTML parser looks through all that is open at each tag, and opens marks such as `<b>` again in
each block that follows, so that a small text can become very large. Here is counted what may be
open for it, never less: an end tag counts only where the parser surely heeds it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import NamedTuple

from libmatrix.errors import ArgumentError

_DEEPEST = 100
# HTML that is not sound has more open than what it becomes.
_MOST_OPEN = 500
# Tags that open something, and ends of nothing. A full event that people wrote has 5,000.
_MOST_TAGS = 10_000
# Marks that are opened again, over all tags; large texts that people wrote have 20,000.
_MOST_AGAIN = 60_000
# Each attribute of a tag is compared with all before it.
_MOST_ATTRIBUTES = 1000

_VOID = frozenset(
    b"area base br col embed hr image img input link meta param source track wbr".split()
)
# What the parser opens again (HTML, "active formatting elements"), at most 3 times the same.
_MARKS = frozenset(b"a b big code em font i nobr s small strike strong tt u".split())
_MOST_SAME = 3
# Ends of other elements pass over them ("special").
_BLOCKS = frozenset(
    b"""address applet article aside blockquote body button caption center colgroup dd details dir
    div dl dt fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup
    html li listing main marquee menu nav object ol p pre search section summary table tbody td
    tfoot th thead tr ul""".split()
)
# What is in them is text.
_TEXT = frozenset(b"title textarea xmp iframe noembed noframes".split())
# Tags in them count for nothing, or for something else, by rules of their own: they are cut out.
_CUT = frozenset(b"script style svg math template".split())
# The same, but what is in them is for everybody.
_BARE = frozenset(b"select noscript plaintext".split())

_CELL = frozenset(b"p li td th".split())
_ROW = _CELL | {b"tr"}
_ROWS = _ROW | set(b"tbody thead tfoot caption colgroup".split())
# What a start ends when it is the innermost block.
_ENDED_BY_START = dict.fromkeys(_BLOCKS, frozenset({b"p"})) | {
    b"li": frozenset({b"p", b"li"}),
    b"dd": frozenset({b"p", b"dd", b"dt"}),
    b"dt": frozenset({b"p", b"dd", b"dt"}),
    b"td": _CELL,
    b"th": _CELL,
    b"tr": _ROW,
    b"tbody": _ROWS,
    b"thead": _ROWS,
    b"tfoot": _ROWS,
}
# What an end may end besides. Where the parser heeds no such end, it has one more open than is
# counted, and not many more: two of these are in one another only with something else between.
_ENDED_BY_END = dict.fromkeys(_BLOCKS, frozenset({b"p", b"li"})) | {
    b"tr": _CELL,
    b"tbody": _ROW,
    b"thead": _ROW,
    b"tfoot": _ROW,
    b"table": _ROWS,
}
_LONGEST_END = 8
_SMALL = 4000

_ATTRIBUTE = rb"""[^\t\n\f\r />][^\t\n\f\r />=]*
    (?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"[^"]*"?|'[^']*'?|[^\t\n\f\r >]*))?"""
_ATTRIBUTES = re.compile(_ATTRIBUTE, re.VERBOSE)
# No part can fail after it has read far: what is not closed goes on to the end.
_MARKUP = re.compile(
    rb"""<!--(?:-?>|.*?(?:--!?>|\Z))
    |<(?:[!?]|/(?![a-zA-Z]))[^>]*>?
    |<(/?)([a-zA-Z][^\t\n\f\r />]*)((?:[\t\n\f\r /]+|"""
    + _ATTRIBUTE
    + rb")*)>?",
    re.VERBOSE | re.DOTALL,
)

_CLEAN_TAG = re.compile(rb"<(/?)([a-z][a-z0-9]*)")
_ODD = re.compile("<(?:/?(?:select|noscript|plaintext)|script|style|svg|math|template)", re.I)


class _Element(NamedTuple):
    place: int
    tag: bytes
    weight: int


def prepare(html: str) -> str:
    """The same with nothing in it that hides tags. Raises `ArgumentError` if it is too much work.

    Takes as long as the text is, whatever is in it.
    """
    count = html.count("<")
    # What is small needs no look: an attribute has two characters, and everything may be a mark.
    is_small = len(html) <= _SMALL and count * (count + len(html) // 2) <= _MOST_AGAIN
    if is_small and not _ODD.search(html):
        return html
    text, tree = html.encode(), _Tree()
    kept: list[bytes] = []
    begin = position = 0
    while match := _MARKUP.search(text, position):
        position = match.end()
        if match[2] is None:
            continue
        name = match[2].lower()
        if name in _BARE or (name in _CUT and not match[1]):
            if name in _CUT and not match[0].endswith(b"/>"):
                position = _end_of(name, text, position)
            kept.append(text[begin : match.start()])
            begin = position
        elif match[1]:
            tree.end(name)
        else:
            tree.start(name, match[0], len(_ATTRIBUTES.findall(match[3])) if match[3] else 0)
            if name in _TEXT:
                position = _end_of(name, text, position)
    # What is left on both sides does not become a tag.
    return b"<!---->".join([*kept, text[begin:]]).decode() if kept else html


def require_shallow(html: str) -> None:
    """Raises `ArgumentError` when clean HTML, in which all is closed, is nested too deep."""
    depth = 0
    for is_end, name in _CLEAN_TAG.findall(html.encode()):
        if is_end:
            depth -= 1
        elif name not in _VOID:
            depth += 1
            if depth > _DEEPEST:
                raise _too_deep()


def _end_of(name: bytes, text: bytes, position: int) -> int:
    """Where what is after the end tag begins."""
    end = re.compile(rb"</%b(?=[\t\n\f\r />])[^>]*>?" % name, re.IGNORECASE)
    found = end.search(text, position)
    return found.end() if found else len(text)


class _Tree:
    """What may be open, and what has been opened again so far."""

    def __init__(self) -> None:
        self._open: dict[bytes, list[_Element]] = defaultdict(list)
        # Blocks from the outermost, and the places of all of them.
        self._blocks: list[bytes] = []
        self._places = [0]
        self._size = self._place = 0
        self._same: Counter[bytes] = Counter()
        # Marks with their attributes: those to be opened again; those of all tags.
        self._marks = self._again = 0
        self._tags = 0

    def start(self, name: bytes, tag: bytes, attributes: int) -> None:
        weight = attributes + 1
        self._tags += 1
        self._again += self._marks * weight if name in _MARKS else self._marks
        if attributes > _MOST_ATTRIBUTES:
            raise _too_much()
        if name == b"html":
            # The first one takes the attributes of all others.
            self._marks += attributes
        elif name == b"a":
            self._end_inline(name)
        elif name in _BLOCKS:
            ended = _ENDED_BY_START[name]
            while self._blocks and self._blocks[-1] in ended:
                self._end_block()
        if name not in _VOID and name not in _TEXT:
            self._add(name, tag, weight)
        self._check()

    def _add(self, name: bytes, tag: bytes, weight: int) -> None:
        self._place += 1
        self._size += 1
        self._open[name].append(_Element(self._place, tag, weight))
        if name in _MARKS:
            self._same[tag] += 1
            if self._same[tag] <= _MOST_SAME:
                self._marks += weight
        elif name in _BLOCKS:
            self._blocks.append(name)
            self._places.append(self._place)

    def end(self, name: bytes) -> None:
        self._again += self._marks
        is_heeded = self._end_blocks(name) if name in _BLOCKS else self._end_inline(name)
        if not is_heeded:
            self._tags += 1
        self._check()

    def _end_inline(self, name: bytes) -> bool:
        elements = self._open.get(name)
        if not elements or elements[-1].place < self._places[-1]:
            return False
        element = elements.pop()
        self._size -= 1
        if name in _MARKS:
            self._same[element.tag] -= 1
            if self._same[element.tag] < _MOST_SAME:
                self._marks -= element.weight
        return True

    def _end_blocks(self, name: bytes) -> bool:
        if not self._open.get(name):
            return False
        others = _ENDED_BY_END[name]
        for count, block in enumerate(reversed(self._blocks[-_LONGEST_END:]), 1):
            if block == name:
                for _ in range(count):
                    self._end_block()
                return True
            if block not in others:
                break
        return False

    def _end_block(self) -> None:
        self._open[self._blocks.pop()].pop()
        self._places.pop()
        self._size -= 1

    def _check(self) -> None:
        if self._size > _MOST_OPEN:
            raise _too_deep()
        if self._tags > _MOST_TAGS or self._again > _MOST_AGAIN:
            raise _too_much()


def _too_deep() -> ArgumentError:
    return ArgumentError(f"html: tags are nested more than {_DEEPEST} levels deep")


def _too_much() -> ArgumentError:
    return ArgumentError("html: there are too many tags, or too many open at once")
