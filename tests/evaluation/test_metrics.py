"""Metrics: laws, and values worked out by hand."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.errors import ConfigError
from citewell.evaluation import metrics
from citewell.evaluation.datasets import find_sets, load_set

IDS = [str(at) for at in range(12)]
rankings = st.permutations(IDS).flatmap(lambda order: st.integers(0, 12).map(lambda size: order[:size]))
grades = st.dictionaries(st.sampled_from(IDS), st.integers(0, 3), max_size=8)
cuts = st.integers(1, 12)

ALL = {
    "ndcg": metrics.ndcg,
    "recall": metrics.recall,
    "precision": metrics.precision,
    "hit_rate": metrics.hit_rate,
    "reciprocal_rank": metrics.reciprocal_rank,
    "average_precision": metrics.average_precision,
}


def test_values_worked_out_by_hand():
    ranking, judged = ["a", "b", "c", "d"], {"b": 2, "d": 1, "x": 1, "c": 0}
    gained = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert metrics.ndcg(ranking, judged, 10) == pytest.approx(gained / ideal)
    assert metrics.ndcg(ranking, judged, 2) == pytest.approx((2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert metrics.recall(ranking, judged, 10) == pytest.approx(2 / 3)
    assert metrics.recall(ranking, judged, 2) == pytest.approx(1 / 3)
    assert metrics.precision(ranking, judged, 4) == pytest.approx(0.5)
    assert metrics.hit_rate(ranking, judged, 1) == 0
    assert metrics.hit_rate(ranking, judged, 2) == 1
    assert metrics.reciprocal_rank(ranking, judged) == pytest.approx(0.5)
    assert metrics.average_precision(ranking, judged) == pytest.approx((1 / 2 + 2 / 4) / 3)


@pytest.mark.parametrize("name", ALL)
@given(rankings, grades, cuts)
def test_every_metric_lies_between_0_and_1(name, ranking, judged, k):
    assert 0 <= ALL[name](ranking, judged, k) <= 1 + 1e-12


@pytest.mark.parametrize("name", ["ndcg", "hit_rate", "reciprocal_rank"])
@given(grades.filter(lambda judged: any(judged.values())), cuts)
def test_an_ideal_ranking_scores_1(name, judged, k):
    ideal = sorted(IDS, key=lambda one: -judged.get(one, 0))
    assert ALL[name](ideal, judged, k) == pytest.approx(1)


@pytest.mark.parametrize("name", ALL)
@given(rankings.filter(len), grades, cuts, st.data())
def test_moving_a_relevant_one_up_never_hurts(name, ranking, judged, k, data):
    at = data.draw(st.integers(0, len(ranking) - 1))
    if judged.get(ranking[at], 0) == 0:
        return
    above = data.draw(st.integers(0, at))
    better = [*ranking[:above], ranking[at], *ranking[above:at], *ranking[at + 1 :]]
    if name == "ndcg" and any(judged.get(one, 0) > judged[ranking[at]] for one in ranking[above:at]):
        return
    assert ALL[name](better, judged, k) >= ALL[name](ranking, judged, k) - 1e-12


@pytest.mark.parametrize("name", ALL)
@given(rankings, cuts)
def test_nothing_relevant_is_0(name, ranking, k):
    assert ALL[name](ranking, dict.fromkeys(IDS, 0), k) == 0


def write_set(folder: Path, *, qrels: str = "query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td1\t0\n") -> Path:
    folder.mkdir()
    corpus = [
        {"_id": "d1", "title": "One", "text": "first", "metadata": {"lang": "en"}},
        {"_id": "d2", "text": "zwölf"},
    ]
    with gzip.open(folder / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in corpus)
    queries = [{"_id": "q1", "text": "who?", "user": "ann"}, {"_id": "q2", "text": "what?"}]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), "utf-8")
    (folder / "qrels.tsv").write_text(qrels, "utf-8")
    return folder


def test_a_set_is_loaded_whole(tmp_path):
    (tmp_path / "other").mkdir()
    write_set(tmp_path / "small")
    assert find_sets(tmp_path) == [tmp_path / "small"]
    loaded = load_set(tmp_path / "small")
    assert loaded.name == "small"
    assert [(one.id, one.title, one.text, dict(one.metadata)) for one in loaded.corpus] == [
        ("d1", "One", "first", {"lang": "en"}),
        ("d2", "", "zwölf", {}),
    ]
    assert loaded.questions[0].extra == {"user": "ann"}
    assert loaded.judged == {"q1": {"d2": 1.0}, "q2": {"d1": 0.0}}
    assert [one.id for one in loaded.answerable] == ["q1"]


def test_a_broken_set_says_where(tmp_path):
    with pytest.raises(ConfigError, match=r"corpus\.jsonl\.gz"):
        load_set(tmp_path)
    folder = write_set(tmp_path / "a", qrels="query-id\tcorpus-id\tscore\nq1\td2\tmuch\n")
    with pytest.raises(ConfigError, match="line 2"):
        load_set(folder)
    (folder / "queries.jsonl").write_text('{"_id": "q1"}\n')
    with pytest.raises(ConfigError, match=r"queries\.jsonl, line 1: 'text'"):
        load_set(folder)
    (folder / "corpus.jsonl.gz").write_bytes((folder / "corpus.jsonl.gz").read_bytes()[:-9])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_set(folder)
