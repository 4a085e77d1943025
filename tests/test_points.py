"""Every point of the specification of the metrics (METRICS.md) has its tests: the table of which they are."""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path

import pytest

POINTS = {
    "7.1 tokeniser": """
        test_tokens.test_tokenize
        test_tokens.test_spaces_between_tokens_change_nothing
        test_tokens.test_text_of_tokens_has_the_same_tokens""",
    "7.2 tiers of equality": """
        test_canonical.test_syntax_form
        test_canonical.test_lowest_level_of_equality
        test_canonical.test_never_equal
        test_metrics.test_declared_aliases_are_one_symbol_and_stand_in_the_signature""",
    "7.3 both curves": """
        test_metrics.test_each_level_of_exact_match_contains_the_one_before
        test_metrics.test_shares
        test_report.test_scores_cover_every_metric_with_n_interval_and_signature""",
    "7.4 edit distance": """
        test_metrics.test_edit_distance
        test_metrics.test_characters
        test_metrics.test_token_error_rate_is_the_word_error_rate_of_jiwer
        test_metrics.test_the_median_is_that_of_distances_to_a_hundredth
        test_metrics.test_the_median_is_near_that_of_numpy
        test_metrics.test_a_runaway_is_capped_in_one_rate_only""",
    "7.5 BLEU": """
        test_metrics.test_bleu_is_that_of_sacrebleu
        test_metrics.test_bleu_and_error_rate_are_those_of_sacrebleu_and_jiwer_on_any_pairs
        test_metrics.test_a_signature_tells_what_changes_the_number
        test_variants.test_13a_is_that_of_sacrebleu_on_text_without_needless_spaces
        test_variants.test_their_bleu_is_that_of_sacrebleu_unsmoothed""",
    "7.6 ExpRate family": """
        test_metrics.test_shares
        test_metrics.test_each_level_of_exact_match_contains_the_one_before
        test_variants.test_a_pair_as_they_count_it""",
    "7.7 structure": """
        test_metrics.test_parts_of_a_formula
        test_metrics.test_structure_of_a_pair
        test_metrics.test_brackets_that_tex_wants_closed
        test_metrics.test_f1_is_symmetric_bounded_and_1_for_equal_formulas
        test_metrics.test_confusions_are_those_of_wrong_answers""",
    "7.8 render check": """
        test_render.test_katex_draws_the_same_or_else_tex
        test_render.test_what_neither_draws_is_told_apart_and_counts_as_wrong
        test_render.test_glyphs_tell_apart_what_mathml_does_not
        test_render.test_cdm_keeps_what_its_program_leaves_out
        test_render.test_cdm_prints_its_tools_and_is_no_headline
        test_layout.test_sees
        test_layout.test_forgives
        test_layout.test_a_refused_prediction_scores_nothing_and_a_refused_reference_is_kept""",
    "7.9 failure ledger": """
        test_failures.test_kind_of_answer
        test_failures.test_every_answer_has_one_kind
        test_failures.test_the_ledger_counts_every_pair_once_and_lists_broken_references
        test_failures.test_broken_references_stay_in_every_score
        test_report.test_a_failure_is_wrong_even_where_the_reference_shows_nothing""",
    "7.10 statistics": """
        test_statistics.test_wilson_is_that_of_scipy
        test_statistics.test_mcnemar_is_the_exact_binomial_test_of_scipy
        test_statistics.test_bootstrap_interval_is_that_of_the_normal_approximation_for_a_mean
        test_statistics.test_pairing_finds_what_two_intervals_hide
        test_statistics.test_pairs_of_one_document_are_drawn_together
        test_statistics.test_groups_reach_from_the_front_door
        test_statistics.test_the_detectable_difference_is_found_four_times_in_five
        test_statistics.test_holm
        test_statistics.test_a_part_found_by_looking_at_many_is_no_finding
        test_statistics.test_verdict_on_shares
        test_statistics.test_no_difference_tells_what_could_have_been_shown""",
    "7.11 invariants": """
        test_canonical.test_each_form_is_its_own_form_and_levels_contain_one_another
        test_canonical.test_any_text_has_a_form
        test_canonical.test_dollars_around_a_formula_change_nothing
        test_canonical.test_forms_of_twenty_thousand_formulas_are_stable
        test_metrics.test_edit_distance_is_a_distance
        test_metrics.test_order_changes_no_score
        test_metrics.test_means_of_joined_sets_are_weighted_means""",
}
"""Point -> its tests."""


@functools.cache
def names_in(module: str) -> set[str]:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("point", POINTS)
def test_each_point_has_its_tests(point):
    listed = [name.split(".") for name in POINTS[point].split()]
    assert listed and [f"{module}.{test}" for module, test in listed if test not in names_in(module)] == []


def test_the_readme_tells_what_the_record_of_the_corpus_says():
    from latexocr.latex import __file__ as room

    record = Path(__file__).parents[1] / "benchmarks/results/canonical.jsonl"
    blocks = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert len({(block["rules"], block["first"]) for block in blocks}) == len(blocks) and (
        len({block["rules"] for block in blocks}) == 1)
    lines, parsed, raised, unstable, spent = (sum(block[name] for block in blocks) for name in (
        "lines", "parsed", "raised", "unstable", "seconds_of_forms"))
    peak = max(block["peak_mb"] for block in blocks)
    told = (f"Over {lines:,} real formulas (rules {blocks[0]['rules']}): {lines - parsed:,} have no tree, "
            f"{raised} raise, and {unstable} have a form at some level that is not its own form. All forms of a "
            f"formula take {1e3 * spent / lines:.2f} ms of one core, and {peak:.0f} MB.")
    assert told in Path(room).with_name("README.md").read_text(encoding="utf-8")


def test_the_readme_tells_the_meaning_of_every_number_and_class():
    from latexocr.scoring import __file__ as room
    from latexocr.scoring.failures import CLASSES
    from latexocr.scoring.variants import KNOWN

    text = Path(room).with_name("README.md").read_text(encoding="utf-8")
    short = {"exprate_2": "_2", "exprate_3": "_3", "comer_exprate_1": "_1", "comer_exprate_2": "_2"}
    assert [name for name in [*KNOWN, *CLASSES] if f"`{short.get(name, name)}`" not in text] == []
    assert all(f"`{name}`{'**' if name == 'exact_visual' else ''} {'↑' if metric.higher_is_better else '↓'}" in text
               for name, metric in KNOWN.items() if "exprate" not in name)
