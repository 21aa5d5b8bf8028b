"""Polls (MSC3381): their events, by the stable names and by those that clients send today.

The proposal is accepted but not in the specification yet, so the names of its draft are sent, which
every client with polls reads; both are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from libmatrix.errors import ArgumentError
from libmatrix.messages.content import NEW_CONTENT, Content, require_small

if TYPE_CHECKING:
    from collections.abc import Sequence

_DRAFT = "org.matrix.msc3381.poll."
_TEXT = "org.matrix.msc1767.text"
START = frozenset({"m.poll.start", f"{_DRAFT}start"})
RESPONSE = frozenset({"m.poll.response", f"{_DRAFT}response"})
END = frozenset({"m.poll.end", f"{_DRAFT}end"})
# What is sent.
START_TYPE, RESPONSE_TYPE, END_TYPE = f"{_DRAFT}start", f"{_DRAFT}response", f"{_DRAFT}end"

MOST_ANSWERS = 20
_DISCLOSED = ("m.disclosed", "m.poll.disclosed", f"{_DRAFT}disclosed")

Kind = Literal["disclosed", "undisclosed"]


class Poll(NamedTuple):
    """What a poll asks."""

    question: str
    # Texts by id, in the order of the poll.
    answers: dict[str, str]
    max_selections: int
    kind: Kind


def start(question: str, answers: Sequence[str], max_selections: int, kind: str) -> Content:
    """The content of a poll's start. Raises `ArgumentError`."""
    if not question.strip():
        raise ArgumentError("question: is empty")
    if not 1 <= len(answers) <= MOST_ANSWERS or not all(each.strip() for each in answers):
        raise ArgumentError(f"answers: must be 1 to {MOST_ANSWERS}, none of them empty")
    if not 1 <= max_selections <= len(answers):
        raise ArgumentError("max_selections: must be 1 to the number of answers")
    lines = [question, *(f"{number}. {text}" for number, text in enumerate(answers, 1))]
    fallback = "\n".join(lines)
    require_small("answers", fallback)
    poll = {
        "question": {_TEXT: question, "body": question, "msgtype": "m.text"},
        "kind": f"{_DRAFT}{kind}",
        "max_selections": max_selections,
        "answers": [{"id": str(number), _TEXT: text} for number, text in enumerate(answers, 1)],
    }
    return {START_TYPE: poll, _TEXT: fallback}


def response(answer_ids: Sequence[str]) -> Content:
    """The content of a vote."""
    return {RESPONSE_TYPE: {"answers": list(answer_ids)}}


def end(body: str) -> Content:
    """The content of a poll's end."""
    require_small("body", body)
    return {END_TYPE: {}, _TEXT: body, "body": body}


def read_start(content: Content) -> Poll | None:
    """What a poll asks; None when it is none."""
    new = content.get(NEW_CONTENT)
    content = new if isinstance(new, dict) else content
    stable = _map(content.get("m.poll"))
    poll = stable or _map(content.get(START_TYPE))
    question = _text(poll.get("question"))
    if question is None:
        return None
    found: dict[str, str] = {}
    answers = poll.get("answers")
    for answer in answers[:MOST_ANSWERS] if isinstance(answers, list) else ():
        name = _map(answer).get("m.id" if stable else "id")
        text = _text(answer)
        if isinstance(name, str) and text is not None:
            found.setdefault(name, text)
    most = poll.get("max_selections")
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        most = 1
    # A kind that is unknown counts as the one that shows less.
    is_disclosed = poll.get("kind") in _DISCLOSED
    return Poll(question, found, most, "disclosed" if is_disclosed else "undisclosed")


def read_response(content: Content) -> list[str] | None:
    """The ids a vote is for; None when it is none, or broken."""
    found = content.get("m.selections")
    if found is None:
        found = _map(content.get(RESPONSE_TYPE)).get("answers")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return None
    return found


def _map(value: Any) -> Content:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    """The text of a question or an answer."""
    found = _map(value)
    for name in (_TEXT, "m.text", "body"):
        text = found.get(name)
        if isinstance(text, list):
            text = _plain(text)
        if isinstance(text, str):
            return text
    return None


def _plain(texts: list[Any]) -> str | None:
    """Of the same in several formats what is plain text, else the first."""
    known = [each for each in map(_map, texts) if isinstance(each.get("body"), str)]
    plain = [each for each in known if each.get("mimetype", "text/plain") == "text/plain"]
    return next((each["body"] for each in plain or known), None)
