"""Settings: each mistake is named with its file or variable and its key, and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from citewell.config import (
    FILE_NAME,
    AnsweringSettings,
    DescribingSettings,
    EmbeddingSettings,
    ReadingSettings,
    RetrievalSettings,
    Settings,
    SplittingSettings,
    assemble,
    load,
)
from citewell.errors import ConfigError, IndexMismatch

HASHING = '[embedding]\nprovider = "hashing"\n'
VARIABLE = {"CITEWELL_EMBEDDING__PROVIDER": "hashing"}


def opened(folder, settings=None):
    async def work():
        async with await assemble(folder, settings) as engine:
            return engine.store.identity

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[embedding", "not valid TOML"),
        ("a = 1\na = 2", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        ("[what]\nx = 1", "what: unknown key. Known are"),
        ('[reading]\npasswords = "sesame"', "reading.passwords: it must be a list:"),
        ("[reading]\nworker = 1", "reading.worker: unknown key. Known are"),
        ('[reading]\nworkers = "many"', "reading.workers"),
        ("[reading]\nworkers = 1.5", "reading.workers"),
        ("reading = 1", "reading"),
        ("[reading]\nworkers = 0", "reading.workers is 0"),
        ("[reading]\ntimeout_s = -1", "reading.timeout_s is -1"),
        ("[reading]\ntimeout_s = nan", "reading.timeout_s is nan"),
        ("[reading]\nmax_bytes = 0", "reading.max_bytes is 0"),
        ("[ingestion]\nboilerplate_documents = 1", "ingestion.boilerplate_documents is 1"),
        ("[ingestion]\nboilerplate_share = 30", "ingestion.boilerplate_share is 30"),
        ("[reading]\nmemory_bytes = 1", "reading.memory_bytes is 1"),
        ("[reading]\ninline_bytes = -1", "reading.inline_bytes is -1"),
        ("[reading]\ntimeout_s = 60\nlongest_s = 59", "reading.longest_s is 59"),
        ("[reading]\ncpu_s = 0", "reading.cpu_s is 0"),
        ("[reading]\noutput_bytes = 0", "reading.output_bytes is 0"),
        ("[reading]\nopen_files = 3", "reading.open_files is 3"),
        ("[reading]\nprocesses = 0", "reading.processes is 0"),
        ("[reading]\ndocuments_per_worker = 0", "reading.documents_per_worker is 0"),
        ("[splitting]\nmax_tokens = -5", "splitting.max_tokens is -5"),
        ("[splitting]\nmax_tokens = 3", "splitting.max_tokens is 3"),
        ('[retrieval]\nfusion = "best"', "retrieval.fusion"),
        ("[retrieval]\npool = 0", "retrieval.pool is 0"),
        ('[answering]\nwriter = "poet"', "answering.writer"),
        ("[answering]\nevidence = 0", "answering.evidence is 0"),
        ("[answering]\nbudget_tokens = -1", "answering.budget_tokens is -1"),
        ("[answering]\ntimeout_s = inf", "answering.timeout_s is inf"),
        ("[answering]\nthreshold = 1.5", "answering.threshold is 1.5; it must be a number between 0 and 1"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(tmp_path, text, key):
    file = tmp_path / FILE_NAME
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as error:
        load(tmp_path, {})
    assert str(error.value).startswith(f"{file}: ")
    assert key in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CITEWELL_READING__WORKERS", "many", "reading.workers"),
        ("CITEWELL_READING__WORKERS", "", "reading.workers"),
        ("CITEWELL_READING__WORKERS", "0", "reading.workers is 0"),
        ("CITEWELL_READING__WORKER", "1", "reading.worker: unknown key. Known are"),
        ("CITEWELL_WHAT__EVER", "1", "what: unknown key. Known are"),
        ("CITEWELL_EMBEDDING__OPTIONS", "3", "embedding.options"),
        ("CITEWELL_READING__", "1", "names no setting"),
        ("CITEWELL___WORKERS", "1", "names no setting"),
        ("CITEWELL_READING__WORKERS__MORE", "1", "reading.workers"),
    ],
)
def test_a_mistake_in_a_variable_is_named_with_variable_and_key(tmp_path, name, value, said):
    (tmp_path / FILE_NAME).write_text(HASHING)
    with pytest.raises(ConfigError) as error:
        load(tmp_path, {name: value})
    assert str(error.value).startswith(name)
    assert said in str(error.value)


def test_a_variable_wins_over_the_file_and_the_rest_of_the_file_stays(tmp_path):
    (tmp_path / FILE_NAME).write_text(HASHING + "[reading]\nworkers = 1\ntimeout_s = 5\n")
    settings = load(tmp_path, {"CITEWELL_READING__WORKERS": "3", "CITEWELL_KB": "elsewhere", "OTHER__X": "1"})
    assert (settings.reading.workers, settings.reading.timeout_s) == (3, 5.0)
    assert settings.embedding.provider == "hashing"
    assert load(tmp_path / "nowhere", {}) == Settings()


def test_options_from_variables_have_types(tmp_path):
    variables = {
        **VARIABLE,
        "CITEWELL_EMBEDDING__OPTIONS__DIMENSIONS": "128",
        "CITEWELL_EMBEDDING__OPTIONS__A": "1.5",
        "CITEWELL_EMBEDDING__OPTIONS__B": "true",
        "CITEWELL_EMBEDDING__OPTIONS__C": "http://localhost:1",
        "CITEWELL_EMBEDDING__OPTIONS__D": "",
    }
    options = load(tmp_path, variables).embedding.options
    assert options == {"dimensions": 128, "a": 1.5, "b": True, "c": "http://localhost:1", "d": ""}
    assert opened(tmp_path / "kb", Settings(embedding=EmbeddingSettings("hashing", {"dimensions": 128})))[
        "dimensions"
    ] == ("128")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(embedding=EmbeddingSettings("nobody")), "No embedder is called 'nobody'. Known: hashing"),
        (Settings(embedding=EmbeddingSettings("hashing", {"size": 1})), "'hashing' does not take these options.*size"),
        (Settings(embedding=EmbeddingSettings("hashing", {"dimensions": 0})), "dimensions"),
        (Settings(embedding=EmbeddingSettings("hashing", {"dimensions": "x"})), "dimensions"),
        (Settings(embedding=EmbeddingSettings("openai")), "'openai' does not take these options.*base_url"),
        (Settings(embedding=EmbeddingSettings("openai", {"model": "m", "base_url": "ftp://x"})), "base_url"),
        (
            Settings(EmbeddingSettings("hashing"), splitting=SplittingSettings(100_000)),
            "splitting.max_tokens is 100000",
        ),
        (Settings(EmbeddingSettings("hashing"), splitting=SplittingSettings(3)), "splitting.max_tokens is 3"),
        (Settings(EmbeddingSettings("hashing"), reading=ReadingSettings(workers=0)), "reading.workers is 0"),
        (Settings(EmbeddingSettings("hashing"), reading=ReadingSettings(ocr="abbyy")), "OCR engine is called 'abbyy'"),
        (Settings(EmbeddingSettings("hashing"), describing=DescribingSettings("gpt")), "provider:model"),
        (Settings(EmbeddingSettings("hashing"), describing=DescribingSettings("a:b", 0)), "describing.max_pictures"),
        (Settings(EmbeddingSettings("hashing"), retrieval=RetrievalSettings("best")), "fusion method 'best'"),
        (Settings(EmbeddingSettings("hashing"), retrieval=RetrievalSettings("rrf", 0, 0)), "weights"),
        (Settings(EmbeddingSettings("hashing"), retrieval=RetrievalSettings("rrf", -1, 1)), "weights"),
        (Settings(EmbeddingSettings("hashing"), answering=AnsweringSettings("generative")), "answering.model"),
        (
            Settings(EmbeddingSettings("hashing"), answering=AnsweringSettings("generative", model="gpt")),
            "provider:model",
        ),
        (Settings(EmbeddingSettings("hashing"), answering=AnsweringSettings("poet", model="a:b")), "answering.writer"),
    ],
)
def test_settings_that_make_no_engine_leave_nothing_behind(tmp_path, settings, said):
    with pytest.raises(ConfigError, match=said):
        opened(tmp_path / "kb", settings)
    assert list(tmp_path.iterdir()) == []


def test_another_embedder_is_refused_and_changes_nothing(tmp_path):
    settings = Settings(embedding=EmbeddingSettings("hashing"))
    held = opened(tmp_path, settings)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.db")}
    with pytest.raises(IndexMismatch):
        opened(tmp_path, Settings(embedding=EmbeddingSettings("hashing", {"dimensions": 64})))
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.db")} == before
    assert opened(tmp_path, settings) == held


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / FILE_NAME).write_text(HASHING)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", refused)
    with pytest.raises(ConfigError, match=r"citewell\.toml cannot be read: Permission denied"):
        load(tmp_path, {})


def test_passwords_come_one_a_line_from_the_environment_and_are_shown_nowhere(tmp_path):
    (tmp_path / FILE_NAME).write_text('[reading]\npasswords = ["from file"]\n')
    assert load(tmp_path, {}).reading.passwords == ("from file",)
    settings = load(tmp_path, {"CITEWELL_READING__PASSWORDS": "a b\n[c]\n"})
    assert settings.reading.passwords == ("a b", "[c]")
    assert "a b" not in repr(settings)
