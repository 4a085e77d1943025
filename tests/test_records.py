"""Records and their JSON lines: what was written is read, and a killed run costs at most a line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr import records
from latexocr.errors import UserError
from latexocr.records import Prediction, Sample, failure, json_lines, mend, read_predictions, write_predictions

text = st.text(st.characters(exclude_categories=["Cs"]))  # half a character cannot be written as UTF-8
predictions = st.lists(st.builds(
    Prediction, id=text, latex=text, reply=text, tokens=st.integers(0, 10**6),
    stop=st.sampled_from(["end", "length", "error"]), error=text,
    confidence=st.none() | st.floats(0, 1)))


@settings(max_examples=60, deadline=None)
@given(predictions)
def test_predictions_are_read_as_written(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("predictions") / "p.jsonl"
    write_predictions(path, written)
    assert read_predictions(path) == written


def test_writing_appends_and_each_line_is_on_disk_before_the_next_is_asked_for(tmp_path):
    path = tmp_path / "p.jsonl"
    seen = []

    def stream():
        for name in "abc":
            seen.append([p.id for p in read_predictions(path)])
            yield Prediction(name, "x")

    path.touch()
    write_predictions(path, stream())
    write_predictions(path, [Prediction("d", "y")])
    assert seen == [[], ["a"], ["a", "b"]]
    assert [p.id for p in read_predictions(path)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("every_s", "times"), [(-1.0, 4), (3600.0, 1)])
def test_what_was_written_is_kept_now_and_then_and_at_the_end_even_if_the_machine_stops(
        tmp_path, monkeypatch, every_s, times):
    kept = []
    monkeypatch.setattr(records, "KEPT_EVERY_S", every_s)
    monkeypatch.setattr(records.os, "fsync", kept.append)
    write_predictions(tmp_path / "p.jsonl", [Prediction(name, "x") for name in "abc"])
    assert len(kept) == times


@pytest.mark.parametrize("place", ["/dev/full", "no/such/folder/p.jsonl", "."])
def test_a_place_that_cannot_be_written_to_is_one_line(place):
    with pytest.raises(UserError, match="cannot be written") as error:
        write_predictions(Path(place), [Prediction("a", "x")])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_line_that_a_killed_run_left_unfinished_is_left_out(tmp_path, cut):
    path = tmp_path / "p.jsonl"
    write_predictions(path, [Prediction("a", "x"), Prediction("b", "y")])
    path.write_bytes(path.read_bytes()[:-1 - cut])
    assert [p.id for p in read_predictions(path)] == ["a"]


def test_half_a_character_becomes_a_mark_and_a_whole_one_stays(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "\\ud83d", "latex": "\\uD83D\\uDE42 \\\\ud800"}\n')
    assert read_predictions(path) == [Prediction("\ufffd", "\U0001f642 \\ud800")]
    write_predictions(path, [Prediction("a", "\ud83d")])
    assert read_predictions(path)[1].latex == "\ufffd"


@pytest.mark.parametrize(("content", "kept"), [
    (b"", b""), (b"a\n", b"a\n"), (b"a\nb", b"a\n"), (b"b", b""), (b"a\n" + b"b" * 200_000, b"a\n"),
    (b"a" * 65536 + b"\n" + b"b" * 65535, b"a" * 65536 + b"\n"), (b"b" * 200_000, b""),
])
def test_what_follows_the_last_newline_is_cut(tmp_path, content, kept):
    (tmp_path / "p.jsonl").write_bytes(content)
    mend(tmp_path / "p.jsonl")
    assert (tmp_path / "p.jsonl").read_bytes() == kept


def test_a_file_without_a_last_newline_keeps_its_last_line(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "latex": "x"}\n{"id": "b", "latex": "y"}')
    assert read_predictions(path) == [Prediction("a", "x"), Prediction("b", "y")]


def test_fields_of_a_later_version_are_ignored_and_missing_ones_have_defaults(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "latex": "x", "colour": "blue"}\n')
    assert read_predictions(path) == [Prediction("a", "x")]


@pytest.mark.parametrize(("content", "said"), [
    ('{"id": "a", "latex": "x"}\n{"id": \n', r":2: not JSON"),
    ("\n\n[1, 2]\n", r":3: found list"),
    ('{"id": "a"}\n', r":1: no 'id' or no 'latex' \(found: id\)"),
    ("{}\n", r":1: .*found: nothing"),
    ("null\n", r":1: found NoneType"),
    (b"\xff\xfe{\n", r":1: not JSON"),
    ("[" * 100_000 + "\n", r":1: not JSON"),
    (None, "cannot be read"),
])
def test_a_bad_file_is_one_line_naming_file_and_line(tmp_path, content, said):
    path = tmp_path / "p.jsonl"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=said) as error:
        read_predictions(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_line_numbers_count_blank_lines_and_odd_separators_end_no_line(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('\n{"a": "\u2028 \x85"}\n\n{"b": 1}\n', encoding="utf-8")
    assert list(json_lines(path)) == [(2, {"a": "\u2028 \x85"}), (4, {"b": 1})]


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"a": 1}\n{"a": "\ufeff"}\n', encoding="utf-8-sig")
    assert list(json_lines(path)) == [(1, {"a": 1}), (2, {"a": "\ufeff"})]


def test_lines_are_read_one_after_the_other(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"a": 1}\nnot JSON\n')
    assert next(json_lines(path)) == (1, {"a": 1})


@pytest.mark.parametrize(("message", "shown"), [
    ("a\nb\r.png: é 数 \U0001f642", "a\\nb\\r.png: é 数 \U0001f642"), ("\x1b[31m\u202e\0", "\\x1b[31m\\u202e\\x00"),
    ("a\udcff.png", "a\\udcff.png"),
])
def test_an_error_is_one_line_that_can_be_printed_and_written(tmp_path, message, shown):
    error = UserError(message)
    assert str(error) == shown
    write_predictions(tmp_path / "p.jsonl", [failure(Sample("a", Path("a.png")), error)])
    assert read_predictions(tmp_path / "p.jsonl")[0].error == shown


@pytest.mark.parametrize(("reason", "said"), [
    ("away", "away"), (ValueError("wrong"), "wrong"), (TimeoutError(), "TimeoutError"),
])
def test_a_failure_is_a_prediction_with_its_reason(reason, said):
    assert failure(Sample("a", Path("a.png")), reason) == Prediction("a", "", stop="error", error=said)


@pytest.mark.parametrize("record", [Sample("a", Path("a.png")), Prediction("a", "x")])
def test_records_are_frozen(record):
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.id = "b"
