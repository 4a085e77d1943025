"""The page of a report: what stands in it, and what it does in a browser."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from PIL import Image
from test_page import Tags
from test_report_schema import full

from latexocr.bench.changes import changes
from latexocr.bench.folder import Run
from latexocr.bench.judge import Report, evaluate
from latexocr.bench.page_rows import index
from latexocr.bench.report_page import page
from latexocr.bench.transcripts import page as transcript_page
from latexocr.records import Prediction, Sample, failure

EVIL = ("</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
        "\u2028<!--<svg onload=document.title='run'>' \" {{ 7*7 }} javascript:document.title='run'")
START = {"command": "latexocr bench", "gpu": None}
RUNS = {name: Run(f"model/{name}", "hundred", "abc", {"max_tokens": 512}, (START,), 1.5, 100)
        for name in ("base", "tuned", "third")}


def sample(id: str, latex: str, subset: str = "") -> Sample:
    return Sample(id, Image.new("L", (30, 12), 255), latex, subset)


def hundred() -> Report:
    """Of 100 samples, base has the first half right, tuned all but every tenth of them and ten of the second half."""
    samples = [sample(f"s{i:03d}", rf"\frac{{{i}}}{{b}}+x^{{{i}}}", "odd" if i % 2 else "even") for i in range(100)]
    chance = random.Random(0)
    right = [Prediction(s.id, s.latex, confidence=chance.random()) for s in samples]
    wrong = [replace(p, latex=p.latex.replace("x", "y" * (1 + i % 3))) for i, p in enumerate(right)]
    base = [*right[:50], *wrong[50:98], replace(wrong[98], latex=""), failure(samples[99], "gone")]
    tuned = [wrong[i] if i % 10 == 0 else right[i] for i in range(50)] + right[50:60] + wrong[60:]
    return evaluate(samples, {"base": base, "tuned": tuned}, {name: RUNS[name] for name in ("base", "tuned")})


def pictures(report: Report) -> list[Sample]:
    return [sample(row.id, row.reference, row.subset) for row in report.rows]


@pytest.fixture(scope="module")
def report() -> Report:
    return hundred()


@pytest.fixture(scope="module")
def text(report) -> str:
    return page(report, pictures(report))


def test_the_page_stands_alone(text):
    tags = Tags(text).tags
    assert {"svg", "table", "form", "details", "nav", "noscript"} <= {tag for tag, _ in tags}
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "object", "base")]
    assert all(attributes["href"].startswith("#") for tag, attributes in tags if tag == "a")
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|src=[\"']?http", text)
    assert text == page(hundred(), pictures(hundred()))


def test_the_verdict_is_what_comes_first(text):
    body = re.sub(r"<[^>]+>", " ", text.split("<main>")[1])
    assert body.split()[:6] == ["No", "difference", "shown", "between", "tuned", "and"]
    assert body.index("Exact match (visual): 50.0 % base, 55.0 % tuned") < body.index("Where tuned got worse")
    assert body.index("Where tuned got worse") < body.index("Where tuned got better") < body.index("Scores")


def test_changes_name_samples_and_parts(report):
    change = changes(report)["tuned"]
    assert (change.lost, change.won) == ([0, 10, 20, 30, 40], list(range(50, 60)))
    assert (change.losses, change.wins, change.verdict[:13]) == (5, 10, "no difference")
    assert change.worse_sentence() == ("tuned gets 5 samples wrong that base read. In none of "
                                       f"{change.parts} parts of the data is it shown to be worse.")
    part = report.slices[0]
    verdict = replace(part.comparisons["tuned"], verdict="worse", delta=-0.25, low=-0.5, high=-0.125)
    worse = replace(report, slices=[replace(part, comparisons={"tuned": verdict}), *report.slices[1:]])
    assert f"Worse in 1 of {change.parts} parts of the data: “{part.name}” (−25.0 [−50.0, −12.5]" in \
        changes(worse)["tuned"].worse_sentence()


def test_one_column_is_told_and_compared_with_nothing():
    one = evaluate([sample("a", "x"), sample("b", "y")], {"only": [Prediction("a", "x"), Prediction("b", "z")]}, {})
    text = page(one, pictures(one))
    assert "only reads 50.0 % of the formulas" in text and "got worse" not in text and " − only" not in text
    assert [option for tag, option in Tags(text).tags if tag == "input" and option.get("value") in ("wrong", "right")]


def test_three_columns_are_each_compared_with_the_first(report):
    samples = pictures(report)
    columns = {name: [Prediction(s.id, s.latex if i % n else "q") for i, s in enumerate(samples)]
               for n, name in ((2, "base"), (5, "tuned"), (7, "third"))}
    text = page(evaluate(samples, columns, RUNS), samples)
    for expected in ("tuned is better than base", "third is better than base", "Where third got worse",
                     "base right, third wrong", "2 models against model/base", 'title="better">+'):
        assert expected in text


def test_what_was_measured_is_shown_and_nothing_else(text):
    measured = page(full(), pictures(full()))
    for section in ("confidence", "robustness", "cost"):
        assert f'<h2 id="{section}">' in measured
    assert "blur" in measured and "pictures per second" in measured and "tokens per second" not in measured
    assert "base: of 3 answers, 1 changed when read again" in measured and "trained on d" in measured
    assert '<h2 id="confidence">' in text and '<h2 id="robustness">' not in text and '<h2 id="cost">' not in text


def test_it_says_how_many_of_the_surest_answers_may_be_kept(report):
    samples = [sample(f"s{i:03d}", "x") for i in range(100)]
    answers = [Prediction(s.id, "y" if i in (50, 60, 65, 70, 75, 80, 90) else "x", confidence=1 - i / 100)
               for i, s in enumerate(samples)]
    kept = "to keep, for 5 % wrong at most</th><td class=\"n\">70 % of them, from confidence 31.0 %</td>"
    text = page(evaluate(samples, {"only": answers}, {}), samples)  # 3 of the first 70 are wrong, 4 of 71
    assert kept in text, re.findall(r"to keep.*", text)
    always = [replace(answer, latex="y") for answer in answers]
    assert "<td class=\"n\">none</td>" in page(evaluate(samples, {"only": always}, {}), samples)


def test_no_text_of_others_is_markup():
    evil = sample(EVIL, EVIL, subset=EVIL)
    runs = {name: replace(RUNS[name], model=EVIL, data=EVIL, settings={EVIL: EVIL}, provenance=({"command": EVIL},))
            for name in ("base", "tuned")}
    predictions = [Prediction(EVIL, rf"\text{{{EVIL}}}", confidence=0.5)]
    found = evaluate([evil], {"base": predictions, "tuned": [failure(evil, EVIL)]}, runs)
    for text in (page(found, [evil]), transcript_page([evil], predictions, runs["base"], Path("."))):
        tags = Tags(text).tags
        assert sum(tag == "script" and "type" not in attributes for tag, attributes in tags) == 1
        assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
        assert "<script>document" not in text and "49" not in re.findall(r"javascript:|\b49\b", text)


def test_the_index_is_small_numbers_and_the_rows(report):
    found = index(report)
    assert found["columns"] == ["base", "tuned"] and len(found["rows"]) == 100
    assert found["rows"][3]["answers"][0]["latex"] == report.rows[3].answers["base"].latex


# In a browser. One is started for all of these; CI installs it (.ci/run).

@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("no chromium on this machine (on Debian: apt install chromium)")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def file(text, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


STATUS = "document.getElementById('status').textContent"
IDS = "[...document.querySelectorAll('#list h3')].map(h => h.textContent)"


def choose(browser: Browser, name: str, value: str) -> list[str]:
    """Set a control as a user would, and give the ids that are then shown."""
    if name == "show":
        browser.run(f"""document.querySelector('[name=show][value="{value}"]').click()""")
    else:
        browser.run(f"""(() => {{ const control = document.querySelector('[name={name}]');
            control.value = {json.dumps(value)}; control.dispatchEvent(new Event("input", {{bubbles: true}})); }})()""")
    return settled(browser)


def settled(browser: Browser) -> list[str]:
    """The ids shown, once the page has drawn what its state asks for."""
    browser.wait("document.getElementById('list').getAttribute('aria-busy') === 'false'")
    return browser.run(IDS)


def test_in_a_browser_samples_are_shown_filtered_sorted_and_found(browser, file, report):
    browser.open(file)
    assert browser.run(STATUS) == "All 100 samples; here 1 to 20"
    assert browser.run(IDS) == [f"s{i:03d}" for i in range(20)]
    assert browser.run("[...document.querySelectorAll('#list img')].every(i => i.complete && i.naturalWidth === 30)")
    assert browser.run("document.querySelectorAll('#list math').length") == 60
    assert choose(browser, "show", "lost-1") == ["s000", "s010", "s020", "s030", "s040"]
    assert browser.run("document.querySelector('#list ins').textContent") == "y"
    assert browser.run("document.querySelector('#list del').textContent") == "x"
    assert choose(browser, "show", "won-1") == [f"s{i:03d}" for i in range(50, 60)]
    odd = next(i for i, part in enumerate(report.slices) if part.name == "odd")
    assert choose(browser, "part", str(odd)) == [f"s{i:03d}" for i in range(51, 60, 2)]
    assert browser.run("location.hash") == f"#show=won-1&part={odd}"
    browser.run("document.querySelector('[type=reset]').click()")
    assert len(settled(browser)) == 20 and browser.run("location.hash") == ""
    assert choose(browser, "failure", "0-server-error") == ["s099"]
    assert "gone" in browser.run("document.getElementById('list').textContent")
    assert choose(browser, "failure", "") and choose(browser, "text", r"\FRAC {7} {b}") == ["s007"]
    choose(browser, "text", "")
    distances = [row.answers["tuned"].edit_distance for row in report.rows]
    worst = sorted(range(100), key=lambda i: (-round(distances[i], 4), i))[:20]
    assert choose(browser, "sort", "distance-1") == [report.rows[i].id for i in worst]
    sure = sorted((row.answers["base"].confidence for row in report.rows if not row.answers["base"].correct
                   and row.answers["base"].confidence is not None), reverse=True)
    shown = choose(browser, "sort", "sure-0")
    assert next(row for row in report.rows if row.id == shown[0]).answers["base"].confidence == sure[0]
    assert choose(browser, "text", "nowhere") == [] and browser.run(STATUS) == "0 of 100 samples"
    assert browser.complaints == []


def test_in_a_browser_pages_turn_and_links_choose(browser, file):
    browser.open(file, "#show=won-1&sort=short")
    assert browser.run(STATUS) == "10 of 100 samples"
    assert browser.run("document.querySelector('[name=sort]').value") == "short"
    browser.run("location.hash = '#samples'")
    browser.run("document.querySelector('[type=reset]').click()")
    settled(browser)
    browser.run("document.querySelector('[data-step=\"1\"]').click()")
    assert settled(browser)[0] == "s020" and browser.run("document.activeElement.id") == "status"
    browser.run("document.querySelector('a[href*=\"show=lost-1\"]').click()")
    browser.wait(f"{STATUS} === '5 of 100 samples'")
    assert browser.run("document.querySelectorAll('.cards article').length") == 6
    assert browser.complaints == []


def test_in_a_browser_the_keyboard_is_enough(browser, file):
    browser.open(file)
    browser.run("document.querySelector('[name=show]').focus()")
    browser.press("ArrowRight", 39)
    assert settled(browser)[:2] == ["s000", "s010"]
    for _ in range(6):
        browser.press("Tab", 9)
        if browser.run("document.activeElement.name") == "text":
            break
    browser.call("Input.insertText", text="s03")
    assert settled(browser) == ["s030"] and browser.complaints == []


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1200, False)])
def test_in_a_browser_nothing_is_wider_than_the_screen(browser, file, width, dark):
    browser.size(width, dark=dark)
    browser.open(file)
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == dark


def test_in_a_browser_long_names_do_not_widen_the_page(browser, tmp_path, report):
    path = "/home/somebody/" + "very_long_name_without_a_place_to_break_it" * 3
    runs = {name: replace(run, model=path, data=path) for name, run in report.runs.items()}
    (tmp_path / "report.html").write_text(page(replace(report, runs=runs), pictures(report)), encoding="utf-8")
    browser.size(320)
    browser.open(tmp_path / "report.html")
    assert browser.run("document.documentElement.scrollWidth") <= 320


def test_in_a_browser_everything_to_use_or_to_see_has_a_name(browser, file):
    browser.open(file)
    nodes = [node for node in browser.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = {"button", "combobox", "searchbox", "radio", "link", "image", "region", "form", "navigation", "heading"}
    found = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes]
    assert [role for role, name in found if role in named and not name] == []
    assert named <= {role for role, _ in found}
    levels = [int(tag[1]) for tag in browser.run("[...document.querySelectorAll('h1, h2, h3')].map(h => h.tagName)")]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(levels))


def test_in_a_browser_hostile_text_stays_text(browser, tmp_path):
    names = [EVIL, "</textarea><script>document.title='run'</script>", "__proto__", "a&b#%=+ c"]
    samples = [sample(name, rf"\text{{{name}}}", subset=EVIL) for name in names]
    answers = [Prediction(name, latex, confidence=0.5) for name, latex in zip(
        names, [EVIL, r"\href{javascript:document.title='run'}{x}", rf"\text{{{EVIL}}}", "constructor"], strict=True)]
    found = evaluate(samples, {"base": answers, "tuned": [failure(s, EVIL) for s in samples]}, {})
    (tmp_path / "evil.html").write_text(page(found, samples), encoding="utf-8")
    browser.open(tmp_path / "evil.html")
    assert browser.run(IDS) == names
    assert "run" not in browser.run("document.title")
    assert choose(browser, "text", "a&b#%=+ c") == ["a&b#%=+ c"]
    browser.open(tmp_path / "evil.html", "#text=a%26b%23%25%3D%2B%20c&show=__proto__&sort=constructor&part=x")
    assert browser.run(IDS) == ["a&b#%=+ c"]  # what is not there to choose is not asked for
    assert browser.complaints == []


def test_in_a_browser_the_policy_stops_what_would_come_from_elsewhere(browser, file):
    browser.open(file)
    browser.run("""(() => { const s = document.createElement("script"); s.textContent = "document.title = 'run'";
        document.body.append(s); document.body.insertAdjacentHTML("beforeend",
        `<img src="x" onerror="document.title='run'"><img src="https://example.invalid/x.png">`); })()""")
    assert browser.run("new Promise(r => setTimeout(() => r(document.title), 200))") != "run"
    assert sum("Content Security Policy" in complaint for complaint in browser.complaints) >= 2


def test_in_a_browser_a_transcription_is_filtered_and_found(browser, tmp_path):
    samples = [sample(f"n{i}", "x") for i in range(4)]
    answers = [Prediction("n0", "x", confidence=0.99), Prediction("n1", r"\frac{a}{b}", confidence=0.2),
               failure(samples[2], "gone"), Prediction("n3", EVIL, confidence=0.95)]
    (tmp_path / "results.html").write_text(transcript_page(samples, answers, RUNS["base"], tmp_path), encoding="utf-8")
    browser.open(tmp_path / "results.html")
    shown = "[...document.querySelectorAll('.item:not([hidden]) b')].map(b => b.textContent)"
    assert browser.run(shown) == ["n0", "n1", "n2", "n3"]
    for kind, expected in (("unsure", ["n1"]), ("failed", ["n2"]), ("all", ["n0", "n1", "n2", "n3"])):
        browser.run(f"document.querySelector('[data-show={kind}]').click()")
        assert browser.run(shown) == expected
    browser.run("document.querySelector('[type=search]').focus()")
    browser.call("Input.insertText", text="FRAC")
    assert browser.run(shown) == ["n1"] and browser.complaints == []
