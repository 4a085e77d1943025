"""What a file of predictions answers: found by id, in little memory; a file of two minds is refused."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.bench.answered import Answered
from latexocr.errors import UserError
from latexocr.records import Prediction, append, json_line, write_predictions

ids = st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=30)


@given(ids, st.data())
def test_each_id_is_found_at_its_line_and_no_other(tmp_path_factory, written, data):
    path = tmp_path_factory.mktemp("answered") / "p.jsonl"
    write_predictions(path, [Prediction(id, "x") for id in written])
    asked = data.draw(st.lists(st.sampled_from([*written, "absent"]) if written else st.just("absent")))
    known = Answered(path)
    assert known.lines(asked).tolist() == [written.index(id) if id in written else -1 for id in asked]
    assert len(known) == len(written) and [known.id(line) for line in range(len(known))] == written


def test_failures_pictures_and_lines(tmp_path):
    path = tmp_path / "p.jsonl"
    append(path, [json_line(Prediction("a", "x"), picture="0123456789abcdef"), "\n",
                  json_line(Prediction("b", "", stop="error", error="é")), json_line(Prediction("c", "é"))])
    known = Answered(path)
    assert (known.failures, known.sound().tolist()) == (1, [0, 2])
    assert known.picture(0).hex() == "0123456789abcdef" and known.picture(1) == bytes(8)
    lines = path.read_text().splitlines(keepends=True)
    assert list(known.copied([2, 0])) == [lines[3], lines[0]]


def test_no_file_and_an_empty_file_answer_nothing(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    for name in ("absent.jsonl", "empty.jsonl"):
        known = Answered(tmp_path / name)
        assert len(known) == 0 and known.lines(["a"]).tolist() == [-1] and known.lines([]).tolist() == []


@pytest.mark.parametrize(("lines", "said"), [
    (['{"id": "a", "latex": "x"}'] * 2, "'a' twice or more"), (['{"id": 1, "latex": "x"}'], ":1: no 'id'"),
    (['{"id": "a"}'], "no 'latex'"), (["[]", "{}"], "found list"),
])
def test_what_is_no_file_of_predictions_is_one_line(tmp_path, lines, said):
    path = tmp_path / "p.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(UserError, match=said):
        Answered(path)


def test_a_stranger_is_named(tmp_path):
    path = tmp_path / "p.jsonl"
    write_predictions(path, [Prediction(id, "x") for id in "abc"])
    known = Answered(path)
    from latexocr.bench.answered import hashed

    assert known.stranger(hashed(["a", "c"])) == "b"


def test_a_line_takes_little_memory(tmp_path):
    path = tmp_path / "p.jsonl"
    write_predictions(path, (Prediction(f"{i:06d}.png", "x" * 100) for i in range(20_000)))
    tracemalloc.start()
    known = Answered(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(known) == 20_000 and held < 20_000 * 40
