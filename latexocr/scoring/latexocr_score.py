"""The metrics of this room as a module of Hugging Face's `evaluate`:

    import evaluate, latexocr.scoring
    metric = evaluate.load(latexocr.scoring.EVALUATE_MODULE)
    metric.compute(predictions=["x^2"], references=["x^{2}"])["exact_visual"]  # 1.0

`evaluate` copies this file and loads the copy; nothing is fetched. Nothing else imports it: it loads `evaluate` and
`datasets` as it must, being a class of theirs.
"""

from __future__ import annotations

import datasets
import evaluate

from latexocr.scoring.assess import score

DESCRIPTION = """Scores of predicted LaTeX formulas against references: exact match at five levels of equality
(headline: exact_visual), token edit distance, error rates, BLEU, ExpRate, symbols and structures."""
INPUTS = """
Args:
    predictions (list of str): formulas as a system wrote them; an empty string for none.
    references (list of str): the formula of each.
    metrics (list of str, optional): names of metrics; all of ours unless given. Those of others are known too.
    details (bool, optional): also give the 95 % interval and signature of each metric, under "details".
    seed (int, optional): of resampling; 0 unless given.
Returns:
    Name of each metric -> its value: a fraction of 1, but for BLEU, which goes to 100. NaN where there is nothing to
    count.
"""


class LatexocrScore(evaluate.Metric):
    """`evaluate`'s side: declares its inputs, and asks `latexocr.scoring.score`."""

    def _info(self) -> evaluate.MetricInfo:
        formulas = {name: datasets.Value("string") for name in ("predictions", "references")}
        return evaluate.MetricInfo(description=DESCRIPTION, citation="", inputs_description=INPUTS,
                                   features=datasets.Features(formulas))

    def _compute(self, predictions, references, metrics=None, details=False, seed=0):
        scores = score(predictions, references, names=metrics, seed=seed)
        found = {name: one.value for name, one in scores.items()}
        if details:
            found["details"] = {name: {"low": one.low, "high": one.high, "n": one.n, "signature": one.signature}
                                for name, one in scores.items()}
        return found
