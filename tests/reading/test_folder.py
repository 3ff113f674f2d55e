"""Finding sources: nothing hangs, nothing escapes the folder, nothing is passed over in silence."""

import os
import socket
import threading
from pathlib import Path

import pytest

from citewell.errors import ConfigError, ReadError
from citewell.reading.folder import Unreadable, find
from citewell.types import Access, Source


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    for name in ("b.md", "a.txt", "sub/c.md", "sub/deep/d.html", ".hidden.md", ".git/e.md", "sub/.f/g.md"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return root


def sources(items: list[Source | Unreadable]) -> list[str]:
    return [item.uri for item in items if isinstance(item, Source)]


def errors(items: list[Source | Unreadable]) -> list[tuple[str, str]]:
    return [(item.source.uri, item.error.kind) for item in items if isinstance(item, Unreadable)]


def test_files_come_sorted_with_uris_below_the_named_folder(docs: Path) -> None:
    found = list(find([docs], bucket="handbook", tenant="acme", metadata={"k": 1}))
    assert sources(found) == ["a.txt", "b.md", "sub/c.md", "sub/deep/d.html"]
    first = found[0]
    assert isinstance(first, Source)
    assert (first.content, first.bucket, first.tenant, first.metadata) == (
        b"content of a.txt", "handbook", "acme", {"k": 1},
    )  # fmt: skip
    assert first.modified_at is not None
    assert first.modified_at.endswith("+00:00")
    assert first.fetched_at is not None


def test_the_uri_of_a_named_file_is_its_name(docs: Path) -> None:
    assert sources(list(find([str(docs / "sub" / "c.md")]))) == ["c.md"]


def test_hidden_files_are_found_only_when_asked_for(docs: Path) -> None:
    assert {".hidden.md", ".git/e.md", "sub/.f/g.md"} <= set(sources(list(find([docs], hidden=True))))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.md"], [], ["b.md", "sub/c.md"]),
        (["sub/*"], [], ["sub/c.md"]),
        (["sub/**"], [], ["sub/c.md", "sub/deep/d.html"]),
        ([], ["sub/**"], ["a.txt", "b.md"]),
        (["**/*.md"], ["b.*"], ["sub/c.md"]),
    ],
)
def test_globs_pick_from_a_folder(docs: Path, include: list[str], exclude: list[str], expected: list[str]) -> None:
    assert sources(list(find([docs], include=include, exclude=exclude))) == expected


def test_what_is_not_there_and_what_is_empty_are_reported(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = list(find([tmp_path / "nowhere", tmp_path / "empty", "bad\0name"]))
    assert [kind for _, kind in errors(found)] == ["missing"] * 3
    assert "no files" in str(found[1].error) if isinstance(found[1], Unreadable) else False
    assert [kind for _, kind in errors(list(find([docs], include=["*.pdf"])))] == ["missing"]


def test_a_url_is_refused_with_what_to_do() -> None:
    (item,) = find(["https://example.org/x"])
    assert isinstance(item, Unreadable)
    assert item.error.kind == "not_permitted"
    assert "Save the page" in str(item.error)


def test_devices_pipes_and_sockets_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's path is short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        found: list[Source | Unreadable] = []
        worker = threading.Thread(target=lambda: found.extend(find([tmp_path, "/dev/zero"])), daemon=True)
        worker.start()
        worker.join(10)
    assert not worker.is_alive()
    assert errors(found) == [("pipe", "not_permitted"), ("socket", "not_permitted"), ("zero", "not_permitted")]


def test_a_file_over_the_limit_is_refused_without_being_read(tmp_path: Path) -> None:
    with open(tmp_path / "huge.txt", "wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte: reading it could not end
    (tmp_path / "ok.txt").write_text("x")
    found = list(find([tmp_path]))
    assert errors(found) == [("huge.txt", "limit_exceeded")]
    assert sources(found) == ["ok.txt"]


def test_a_file_that_lies_about_its_size_ends_at_the_limit() -> None:
    # /proc files say that they have no bytes at all.
    (item,) = find(["/proc/self/maps"], max_bytes=10)
    assert isinstance(item, Unreadable)
    assert item.error.kind == "limit_exceeded"


def test_links_out_of_the_folder_are_reported_and_loops_end(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    (tmp_path / "other").mkdir()
    (docs / "out.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "outdir").symlink_to(tmp_path / "other")
    (docs / "loop").symlink_to(docs)
    (docs / "sub" / "alias.md").symlink_to(docs / "b.md")
    (docs / "broken").symlink_to(docs / "gone")
    found = list(find([docs]))
    assert errors(found) == [("broken", "missing"), ("out.txt", "not_permitted"), ("outdir", "not_permitted")]
    assert sources(found) == ["a.txt", "b.md", "sub/c.md", "sub/deep/d.html"]


def test_two_files_with_one_uri_in_a_call_never_replace_each_other(docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("another b")
    found = list(find([docs, other]))
    assert sources(found).count("b.md") == 1
    assert errors(found) == [("b.md", "not_permitted")]


def test_the_same_file_named_twice_comes_once(docs: Path) -> None:
    assert sources(list(find([docs, docs / "sub" / "c.md", docs]))) == sources(list(find([docs])))


def test_reading_is_lazy(docs: Path) -> None:
    found = find([docs])
    next(found)
    (docs / "sub" / "c.md").write_text("changed")
    assert [item.content for item in found if isinstance(item, Source) and item.uri == "sub/c.md"] == [b"changed"]


def test_names_are_brought_to_one_unicode_form(tmp_path: Path) -> None:
    (tmp_path / "u\u0308ber.txt").write_text("x")
    assert sources(list(find([tmp_path]))) == ["\u00fcber.txt"]


def test_names_that_are_not_utf_8_can_still_be_stored(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.txt", "wb") as file:
        file.write(b"x")
    (uri,) = sources(list(find([tmp_path])))
    assert uri.encode() == "\ufffd.txt".encode()


RULES = """
[[rule]]
match = "**"
metadata = { audience = "all", level = 1 }

[[rule]]
match = "hr/**"
allow = ["group:people-ops"]
deny = ["user:bob"]
metadata = { audience = "staff" }

[[rule]]
match = "hr/policy-*.md"
deny = ["user:eve"]
series = "policy"
version = "2025"
effective = 2025-01-01
"""


@pytest.fixture
def ruled(tmp_path: Path) -> Path:
    root = tmp_path / "kb"
    (root / "hr" / "old").mkdir(parents=True)
    for name in ("open.md", "hr/policy-1.md", "hr/old/pay.md"):
        (root / name).write_text("x")
    (root / "citewell-rules.toml").write_text(RULES)
    return root


def rights(found: object) -> dict[str, tuple[set[str], set[str]]]:
    assert isinstance(found, list)
    return {item.uri: (set(item.access.allow), set(item.access.deny)) for item in found if isinstance(item, Source)}


def test_rules_decide_on_access_and_metadata_and_are_not_ingested(ruled: Path) -> None:
    found = list(find([ruled], metadata={"level": 0, "k": 2}))
    assert rights(found) == {
        "open.md": ({"everyone"}, set()),
        "hr/old/pay.md": ({"group:people-ops"}, {"user:bob"}),
        "hr/policy-1.md": ({"group:people-ops"}, {"user:bob", "user:eve"}),
    }
    policy = next(item for item in found if isinstance(item, Source) and item.uri == "hr/policy-1.md")
    assert policy.metadata == {
        "audience": "staff", "level": 1, "k": 2, "series": "policy", "version_label": "2025", "effective": "2025-01-01",
    }  # fmt: skip


def test_naming_a_subfolder_or_a_file_does_not_get_around_the_rules(ruled: Path) -> None:
    for path in (ruled / "hr", ruled / "hr" / "policy-1.md", ruled / "hr" / "old"):
        assert all(allow == {"group:people-ops"} for allow, _ in rights(list(find([path]))).values())


def test_a_link_to_a_file_elsewhere_keeps_the_rules_of_that_place(ruled: Path, tmp_path: Path) -> None:
    (tmp_path / "link.md").symlink_to(ruled / "hr" / "old" / "pay.md")
    assert rights(list(find([tmp_path / "link.md"]))) == {"link.md": ({"group:people-ops"}, {"user:bob"})}


def test_rules_of_an_inner_folder_speak_last(ruled: Path) -> None:
    (ruled / "hr" / "old" / "citewell-rules.toml").write_text('[[rule]]\nmatch = "*"\nallow = ["user:ana"]\n')
    assert rights(list(find([ruled])))["hr/old/pay.md"] == ({"user:ana"}, {"user:bob"})


def test_an_unreadable_file_keeps_its_rule(ruled: Path) -> None:
    (ruled / "hr" / "big.txt").write_text("x" * 100)
    (item,) = [item for item in find([ruled], max_bytes=50) if isinstance(item, Unreadable)]
    assert item.source.access == Access(frozenset({"group:people-ops"}), frozenset({"user:bob"}))
    assert item.source.content == b""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]\nmatch", "not valid TOML"),
        ('[rule]\nmatch = "*"', "two brackets"),
        ('[[rule]]\nmatch = "*"\nalow = ["everyone"]', "'alow'"),
        ("rules = 1", "'rules'"),
        ('[[rule]]\nallow = ["everyone"]', "'match'"),
        ('[[rule]]\nmatch = "../x"', "'match'"),
        ('[[rule]]\nmatch = "*"\nallow = "everyone"', "'allow'"),
        ('[[rule]]\nmatch = "*"\nallow = ["finance"]', "'finance'"),
        ('[[rule]]\nmatch = "*"\ndeny = ["group:"]', "'group:'"),
        ('[[rule]]\nmatch = "*"\nversion = 2', "'version'"),
        ('[[rule]]\nmatch = "*"\neffective = "soon"', "'soon'"),
        ('[[rule]]\nmatch = "*"\nmetadata = { uri = "x" }', "'uri'"),
        ('[[rule]]\nmatch = "*"\nmetadata = { a = { b = 1 } }', "'a'"),
        ('[[rule]]\nmatch = "*"\nmetadata = { a = nan }', "'a'"),
        ('[[rule]]\nmatch = "a"\n[[rule]]\nmatch = ""', "rule 2"),
    ],
)
def test_rules_that_cannot_be_understood_stop_everything(ruled: Path, text: str, message: str) -> None:
    for place in (ruled, ruled / "hr" / "old"):
        path = place / "citewell-rules.toml"
        before = path.read_text() if path.exists() else ""
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            find([ruled])
        assert message in str(caught.value)
        assert str(path) in str(caught.value)
        path.write_text(before)


def test_an_error_can_be_sent_to_another_process() -> None:
    (item,) = find(["/nowhere/at/all"])
    assert isinstance(item, Unreadable)
    assert isinstance(item.error, ReadError)


@pytest.mark.parametrize("match", ["HR/*.md", "hr/*.txt", "salaries.md"])
def test_a_rule_that_protects_nothing_stops_everything(tmp_path: Path, match: str) -> None:
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "pay.md").write_text("Pay is 9 euros.")
    (tmp_path / "citewell-rules.toml").write_text(f'[[rule]]\nmatch = "{match}"\nallow = ["group:hr"]\n')
    with pytest.raises(ConfigError, match="no file matches") as caught:
        find([tmp_path])
    assert match in str(caught.value)


def test_a_rule_for_a_folder_holds_for_everything_below_it(tmp_path: Path) -> None:
    (tmp_path / "hr" / "old").mkdir(parents=True)
    (tmp_path / "hr" / "old" / "pay.md").write_text("Pay is 9 euros.")
    (tmp_path / "citewell-rules.toml").write_text('[[rule]]\nmatch = "hr/"\nallow = ["group:hr"]\n')
    (source,) = find([tmp_path])
    assert source.access.allow == {"group:hr"}


def test_a_rule_on_metadata_alone_may_wait_for_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A.")
    (tmp_path / "citewell-rules.toml").write_text('[[rule]]\nmatch = "later/*"\nmetadata = { audience = "all" }\n')
    assert len(list(find([tmp_path]))) == 1
