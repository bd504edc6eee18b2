"""Numbers, what is kept of a stream, and how fast is too fast."""

from __future__ import annotations

import json

import pytest

from channels.chat.limits import Bucket
from channels.chat.render import Delivered, Joined, Message, Said
from channels.chat.stream import Stream


def said(text: str) -> Said:
    return Said(author="customer", text=text, at_ms=1)


def test_frames_are_numbered_without_gaps_and_the_newest_are_kept() -> None:
    stream = Stream(epoch=1, last=100, ring=3, transcript=9, text_max=99)
    for name in "abcde":
        stream.put(Joined(name=name))
    missed = stream.since(102)
    assert missed is not None
    assert [json.loads(entry.data)["seq"] for entry in missed] == [103, 104, 105]
    assert stream.since(105) == []
    assert stream.since(101) is None  # 102 is no longer kept
    assert stream.since(106) is None  # not told yet


def test_the_sender_sees_another_face_of_the_same_number() -> None:
    stream = Stream(epoch=1, last=1, ring=3, transcript=9, text_max=99)
    entry = stream.put(Message(author="customer", text="hi", at_ms=5, id="a"), 7, Delivered(re="a", at_ms=5))
    assert json.loads(entry.seen_by(7)) == {"type": "delivered", "re": "a", "at_ms": 5, "seq": 2}
    assert json.loads(entry.seen_by(8))["text"] == "hi"


@pytest.mark.promise("IN-5")
def test_the_transcript_is_bounded_in_messages_and_in_text() -> None:
    stream = Stream(epoch=1, last=1, ring=3, transcript=3, text_max=10)
    for text in ("a", "b", "c"):
        stream.say(said(text))
    assert not stream.truncated
    stream.say(said("d"))
    assert ([m.text for m in stream.transcript()], stream.truncated) == (["b", "c", "d"], True)
    stream.say(said("123456789"))
    assert [m.text for m in stream.transcript()] == ["d", "123456789"]
    stream.say(said("longer than ten"))
    assert [m.text for m in stream.transcript()] == ["longer than ten"]
    stream.begin()
    assert (stream.transcript(), stream.truncated) == ((), False)


def test_a_bucket_allows_a_burst_and_then_the_rate() -> None:
    bucket = Bucket(rate=2, burst=3, now_ms=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s() == 1
    assert [bucket.take(499), bucket.take(500), bucket.take(500)] == [False, True, False]
    assert [bucket.take(100), bucket.take(999), bucket.take(1_000)] == [False, False, True]  # a clock may go back
