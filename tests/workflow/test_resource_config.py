"""Resources that are files: found, read by selector, validated, and refused by name."""

import asyncio
import json
import traceback
from pathlib import Path
from typing import Annotated, Any

import pytest
from resource_samples import Model, Other, Thing, compiled, resolved

from citewell.workflow.resource import (
    Resource,
    ResourceConfig,
    ResourceError,
    ResourceFileMissing,
    ResourceManager,
    check,
    resolve,
)


def test_a_config_is_read_from_its_file_by_selector_and_validated_as_the_annotated_type(tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    file.write_text(json.dumps({"a": {"b": {"name": "été", "size": 2}}}), encoding="utf-8")
    shared = ResourceConfig(str(file), "a.b", label="B", description="the inner one")

    def step(
        model: Annotated[Model, shared],
        other: Annotated[Other, shared],
        whole: Annotated[dict[str, Any], ResourceConfig(str(file))],
    ) -> None: ...

    manager = ResourceManager()
    found = resolved(manager, step)
    assert found["model"] == Model(name="été", size=2)
    assert found["other"] == Other(name="été")
    assert found["whole"]["a"]["b"]["size"] == 2
    file.unlink()
    assert resolved(manager, step)["model"] is found["model"]
    assert (shared.label, shared.description) == ("B", "the inner one")


def test_a_relative_config_counts_from_where_it_is_first_found_and_not_from_later_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.json").write_text(json.dumps({"name": name}), encoding="utf-8")

    async def main() -> list[str]:
        manager, names = ResourceManager(), []
        for name in ("one", "two"):
            monkeypatch.chdir(tmp_path / name)
            fresh = ResourceConfig("c.json").typed(Model)
            names.append((await manager.get(fresh)).name)
            assert fresh.path == tmp_path / name / "c.json"
        monkeypatch.chdir(tmp_path)
        assert (await manager.get(fresh)).name == "two"
        return names

    assert asyncio.run(main()) == ["one", "two"]


def test_a_factory_may_take_a_config(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"name": "x"}', encoding="utf-8")

    def make(config: Annotated[Model, ResourceConfig(str(file))]) -> Thing:
        return Thing(config)

    def step(thing: Annotated[Thing, Resource(make)]) -> None: ...

    assert resolved(ResourceManager(), step)["thing"].parts == (Model(name="x"),)
    file.write_text('{"size": 1}', encoding="utf-8")
    (message,) = check(compiled(step))
    assert message.startswith(f"parameter 'thing' ({make.__qualname__} -> {file}): ")
    assert "does not fit Model" in message


@pytest.mark.parametrize(
    ("text", "selector", "words"),
    [
        (None, None, "there is no file"),
        ("{", None, "cannot be read as JSON"),
        (b"\xff\xfe", None, "cannot be read as JSON"),
        ('{"a": {"b": 1}}', "a.c", r"no key 'c' .* at 'a' it has the keys 'b'"),
        ('{"a": [1]}', "a.b", "at 'a' it has an array"),
        ("[]", "a", "at the top it has an array"),
        ('{"name": 1}', None, "does not fit Model: name: Input should be a valid string"),
    ],
)
def test_a_bad_config_is_named_by_the_check_and_by_the_run(
    tmp_path: Path, text: str | bytes | None, selector: str | None, words: str
) -> None:
    file = tmp_path / "c.json"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def step(config: Annotated[Model, ResourceConfig(str(file), selector)]) -> None: ...

    found = compiled(step)
    (message,) = check(found)
    assert message.startswith("parameter 'config': ")
    assert str(file) in message
    with pytest.raises(ResourceError, match=words) as caught:
        asyncio.run(resolve(ResourceManager(), found))
    assert str(caught.value) in message
    assert isinstance(caught.value, FileNotFoundError) is (text is None)


def test_a_config_that_does_not_fit_is_refused_without_showing_its_values(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"name": ["a secret"]}', encoding="utf-8")
    with pytest.raises(ResourceError) as caught:
        ResourceConfig(str(file)).typed(Model).read()
    assert "a secret" not in "".join(traceback.format_exception(caught.value))


def test_a_config_that_is_not_json_or_has_no_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not a \.json file"):
        ResourceConfig("c.yaml")
    with pytest.raises(ResourceError, match="has no type"):
        ResourceConfig(str(tmp_path / "c.json")).read()
    (tmp_path / "c.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ResourceError, match="Thing cannot be validated"):
        ResourceConfig(str(tmp_path / "c.json")).typed(Thing).read()
    with pytest.raises(ResourceFileMissing):
        ResourceConfig("nowhere/c.json").typed(Model).read()
