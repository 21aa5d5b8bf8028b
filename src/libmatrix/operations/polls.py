"""Polls: asking, voting, ending, counting."""

from __future__ import annotations

from libmatrix.client import Client
from libmatrix.errors import ArgumentError
from libmatrix.messages import poll_content
from libmatrix.messages.content import mention, reference
from libmatrix.messages.related import send_related
from libmatrix.messages.tally import Tally, count, find_poll, may_end
from libmatrix.sending import send_event
from libmatrix.table_gen import (
    AnswerPollArguments,
    AnswerPollResult,
    EndPollArguments,
    EndPollResult,
    PollAnswer,
    PollResultsArguments,
    PollResultsResult,
    StartPollArguments,
    StartPollResult,
)


async def start_poll(client: Client, arguments: StartPollArguments) -> StartPollResult:
    """Asks."""
    content = poll_content.start(
        arguments.question, arguments.answers, arguments.max_selections, arguments.kind
    )
    mention(content, arguments.mentions, room=arguments.mentions_room)
    event_id = await send_related(
        client,
        arguments.room_id,
        poll_content.START_TYPE,
        content,
        thread_id=arguments.thread_id,
        reply_to=arguments.reply_to,
        txn_id=arguments.txn_id,
    )
    return StartPollResult(event_id=event_id)


async def answer_poll(client: Client, arguments: AnswerPollArguments) -> AnswerPollResult:
    """Votes; what would be spoiled is refused."""
    room_id, chosen = arguments.room_id, arguments.answer_ids
    start, poll = await find_poll(client, room_id, arguments.event_id)
    if not poll.answers.keys() >= set(chosen):
        raise ArgumentError(f"answer_ids: known are {', '.join(poll.answers)}")
    if len(set(chosen)) > poll.max_selections:
        raise ArgumentError(f"answer_ids: at most {poll.max_selections} may be chosen")
    content = poll_content.response(list(dict.fromkeys(chosen)))
    reference(content, start.event_id)
    event_id = await send_event(
        client, room_id, poll_content.RESPONSE_TYPE, content, txn_id=arguments.txn_id
    )
    return AnswerPollResult(event_id=event_id)


async def end_poll(client: Client, arguments: EndPollArguments) -> EndPollResult:
    """Ends a poll."""
    room_id = arguments.room_id
    tally = await count(client, room_id, arguments.event_id)
    own_id = await client.syncer.user_id()
    if tally.start.sender != own_id and not await may_end(client, room_id, own_id):
        raise ArgumentError("event_id: others' polls are ended by those who may redact")
    content = poll_content.end(arguments.body or _fallback(tally))
    reference(content, tally.start.event_id)
    event_id = await send_event(
        client, room_id, poll_content.END_TYPE, content, txn_id=arguments.txn_id
    )
    return EndPollResult(event_id=event_id)


async def poll_results(client: Client, arguments: PollResultsArguments) -> PollResultsResult:
    """Counts."""
    tally = await count(client, arguments.room_id, arguments.event_id)
    own_id = await client.syncer.user_id()
    poll = tally.poll
    return PollResultsResult(
        question=poll.question,
        answers=_answers(tally),
        max_selections=poll.max_selections,
        kind=poll.kind,
        sender=tally.start.sender,
        voter_count=len(tally.votes),
        own_answer_ids=tally.votes.get(own_id, []),
        is_ended=tally.ended_ts is not None,
        ended_ts=tally.ended_ts,
        undecrypted_count=tally.undecrypted,
    )


def _answers(tally: Tally) -> list[PollAnswer]:
    made = []
    for name, text in tally.poll.answers.items():
        users = sorted(user for user, chosen in tally.votes.items() if name in chosen)
        made.append(PollAnswer(id=name, text=text, count=len(users), user_ids=users))
    return made


def _fallback(tally: Tally) -> str:
    """What clients without polls show."""
    answers = _answers(tally)
    most = max((answer.count for answer in answers), default=0)
    if most == 0:
        return "The poll has ended. Nobody voted."
    leading = ", ".join(answer.text for answer in answers if answer.count == most)
    return f"The poll has ended. Top answer: {leading}"
