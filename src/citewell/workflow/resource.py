"""What a step needs besides its event: `Annotated[T, Resource(factory)]`, built once for a workflow object.

Source-compatible with `workflows.resource`. A resource belongs to its factory *object*: two closures from one place
are two resources. A factory that yields is cleaned up, after its `yield`, by `ResourceManager.aclose()`; nothing else
is ever closed here.
"""

import asyncio
import builtins
import contextlib
import contextvars
import dataclasses
import functools
import inspect
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Hashable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Protocol, TypeAlias, get_args, get_origin, runtime_checkable

from citewell.workflow.resource_annotations import evaluate
from citewell.workflow.resource_config import ResourceConfig, ResourceError, ResourceFileMissing

__all__ = [
    "Resource",
    "ResourceConfig",
    "ResourceDefinition",
    "ResourceDescriptor",
    "ResourceError",
    "ResourceFileMissing",
    "ResourceManager",
    "build",
    "check",
    "definitions",
    "resolve",
]


@runtime_checkable
class ResourceDescriptor(Protocol):
    """What stands in `Annotated[T, …]`; `name` identifies the resources of a descriptor written by the user."""

    @property
    def name(self) -> str: ...

    @property
    def cache(self) -> bool: ...

    async def resolve(self, manager: "ResourceManager") -> Any:
        """The resource, made anew; what it depends on comes from `manager.get`."""
        ...

    def set_type_annotation(self, type_annotation: Any) -> None:
        """Told the T of `Annotated[T, …]` before anything else."""
        ...

    def set_localns(self, localns: dict[str, Any] | None) -> None:
        """Told the names that annotations may use besides the globals of their module."""
        ...

    def get_dependencies(self) -> list[tuple[str, "ResourceDescriptor", Any]]:
        """(parameter, descriptor, T) for each resource that this one is built from."""
        ...


@dataclasses.dataclass(frozen=True)
class ResourceDefinition:
    """One parameter that takes a resource: its name, the descriptor and the T of `Annotated[T, …]`."""

    name: str
    resource: ResourceDescriptor
    type_annotation: Any = None


class Resource:
    """A resource made by `factory`: a function, coroutine function or class whose parameters may be resources too.

    With `cache` one instance serves the workflow object for its life; without, each step that runs gets a new one,
    shared by everything resolved for that step. A factory may be an (async) generator function with one `yield`; it
    needs the cache, since the clean-up after its `yield` comes with the end of the workflow object.
    """

    def __init__(self, factory: Callable[..., Any], cache: bool = True) -> None:
        if not callable(factory):
            raise TypeError(f"Resource({factory!r}) cannot be called. Give the function that makes the resource.")
        self.factory = factory
        self.cache = cache
        self.name: str = getattr(factory, "__qualname__", type(factory).__qualname__)
        # Identity, not equality: factories with equal values are still two factories. A bound method is made anew by
        # each access, so it goes by its parts. Who keeps the key keeps the descriptor, hence the ids stay taken.
        if isinstance(factory, types.MethodType):
            self.key: Hashable = ("factory", id(factory.__self__), id(factory.__func__))
        else:
            self.key = ("factory", id(factory))
        self._names: Mapping[str, Any] = {}
        self._dependencies: list[tuple[str, ResourceDescriptor, Any]] | None = None
        if not cache and self._yields():
            raise ResourceError(
                f"Resource({self.name}, cache=False): a factory that yields is cleaned up with its workflow, so it "
                "cannot be made for every step. Leave the cache on, or return the resource."
            )

    def __repr__(self) -> str:
        return f"Resource({self.name}{'' if self.cache else ', cache=False'})"

    def set_type_annotation(self, type_annotation: Any) -> None:
        """Nothing: the factory knows what it makes."""

    def set_localns(self, localns: dict[str, Any] | None) -> None:
        """Names for annotations of the factory that are strings; used until the first look at its parameters."""
        self._names = localns or {}

    def get_dependencies(self) -> list[tuple[str, ResourceDescriptor, Any]]:
        """(parameter, descriptor, T) for each parameter that is a resource; read once.

        Raises ResourceError for a parameter that nothing can fill.
        """
        if self._dependencies is None:
            self._dependencies = [
                (one.name, one.resource, one.type_annotation) for one in _factory_parameters(self, self._names)
            ]
        return self._dependencies

    async def resolve(self, manager: "ResourceManager") -> Any:
        """A new instance, its own resources taken from `manager` first."""
        arguments = {name: await manager.get(one) for name, one, _ in self.get_dependencies()}
        made = self.factory(**arguments)
        if self._yields():
            return await _enter(self, made, manager)
        # Only what a coroutine function gives is awaited: a resource may itself be a future or a task.
        return await made if inspect.iscoroutine(made) else made

    def _yields(self) -> bool:
        plain = isinstance(self.factory, (types.FunctionType, types.MethodType, functools.partial, type))
        called = self.factory if plain else type(self.factory).__call__
        return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


_Chain: TypeAlias = tuple[tuple[Hashable, str], ...]


@dataclasses.dataclass(frozen=True)
class _Kept:
    """A cached instance; holding the descriptor keeps the ids in its key from being given to another factory."""

    resource: ResourceDescriptor
    value: Any


class _Resolution:
    """What has been made without the cache for one step."""

    def __init__(self, manager: "ResourceManager") -> None:
        self.manager = manager
        self.open = True
        self.made: dict[Hashable, _Kept] = {}


@dataclasses.dataclass(frozen=True)
class _Frame:
    """Where a task is inside a resolution: the keys and names being built, outermost first."""

    resolution: _Resolution
    chain: "_Chain" = ()


# A context variable and not an attribute of the manager: two steps that resolve at once are two chains.
_frame: contextvars.ContextVar[_Frame | None] = contextvars.ContextVar("citewell_resource_frame", default=None)

_ABSENT = object()


@dataclasses.dataclass
class _Turn:
    """The lock on building one key, with the number of tasks that hold or want it."""

    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    users: int = 0


class ResourceManager:
    """The resources of one workflow object. Several tasks of an event loop may use it at once: each cached resource
    is built once; if its factory fails, the next task that wants it tries again.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._named: dict[str, Any] = {}
        self._turns: dict[Hashable, _Turn] = {}
        self._cleanups = contextlib.AsyncExitStack()

    async def set(self, name: "str | ResourceDescriptor | Callable[..., Any]", val: Any) -> None:
        """Give `val` wherever a cached resource of that name is asked for.

        The name of a factory is its `__qualname__`, which closures from one place share; the factory itself, or its
        descriptor, says which one is meant.
        """
        if isinstance(name, str):
            self._named[name] = val
            return
        resource = name if isinstance(name, ResourceDescriptor) else Resource(name)
        self._kept[_key(resource)] = _Kept(resource, val)

    def get_all(self) -> dict[str, Any]:
        """All cached resources by name, in the order of their making; of the second and later ones that share a name
        the name ends in `#2`, `#3`.
        """
        found: dict[str, Any] = dict(self._named)
        for kept in self._kept.values():
            name, number = kept.resource.name, 1
            if name in self._named:
                continue
            while name in found:
                number += 1
                name = f"{kept.resource.name}#{number}"
            found[name] = kept.value
        return found

    async def get(self, resource: ResourceDescriptor) -> Any:
        """The instance for `resource`, built now if there is none.

        Raises ResourceError for a circular dependency and for what the descriptor finds wrong; an exception of a
        factory comes as it is, with a note that names the chain.
        """
        if (value := self._find(resource)) is not _ABSENT:
            return value
        frame = self._inside()
        if frame is None:
            with self._resolution():
                return await self.get(resource)
        # Cycles are refused before the first lock is taken: two tasks entering one from both ends would otherwise wait
        # for each other for ever.
        if not frame.chain:
            self._refuse_cycle(resource, (), set())
        key = _key(resource)
        chain = (*frame.chain, (key, resource.name))
        if any(key == outer for outer, _ in frame.chain):
            raise ResourceError(_circular(chain))
        token = _frame.set(_Frame(frame.resolution, chain))
        try:
            if resource.cache:
                return await self._once(key, resource, chain)
            made = frame.resolution.made
            if key not in made:
                made[key] = _Kept(resource, await _build(resource, self, chain))
            return made[key].value
        finally:
            _frame.reset(token)

    def defer(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        """Await `cleanup` in `aclose()`, before those deferred earlier."""
        self._cleanups.push_async_callback(cleanup)

    async def aclose(self) -> None:
        """Run the clean-up of the factories that yielded, last made first, and forget all instances made here.

        One that fails does not stop the others; its exception is raised at the end. Values given with `set(name, …)`
        stay, and the manager can be used again. Run it on the loop that made the resources.
        """
        cleanups, self._cleanups = self._cleanups, contextlib.AsyncExitStack()
        self._kept.clear()
        await cleanups.aclose()

    def _inside(self) -> _Frame | None:
        frame = _frame.get()
        return frame if frame and frame.resolution.manager is self and frame.resolution.open else None

    @contextlib.contextmanager
    def _resolution(self) -> Iterator[None]:
        # A factory may run a step of its own workflow: what is being built stays known, or it would wait for itself.
        outer = self._inside()
        resolution = _Resolution(self)
        token = _frame.set(_Frame(resolution, outer.chain if outer else ()))
        try:
            yield
        finally:
            # A task that a factory started has a copy of the context, and must not go on in this resolution.
            resolution.open = False
            _frame.reset(token)

    def _refuse_cycle(self, resource: ResourceDescriptor, outer: "_Chain", done: builtins.set[Hashable]) -> None:
        dependencies = resource.get_dependencies()
        if not dependencies or self._find(resource) is not _ABSENT:
            return
        key = _key(resource)
        chain = (*outer, (key, resource.name))
        if any(key == one for one, _ in outer):
            raise ResourceError(_circular(chain))
        if key not in done:
            for _, one, _ in dependencies:
                self._refuse_cycle(one, chain, done)
            done.add(key)

    def _find(self, resource: ResourceDescriptor) -> Any:
        if not resource.cache:
            return _ABSENT
        if self._named and resource.name in self._named:
            return self._named[resource.name]
        kept = self._kept.get(_key(resource))
        return _ABSENT if kept is None else kept.value

    async def _once(self, key: Hashable, resource: ResourceDescriptor, chain: "_Chain") -> Any:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                if (value := self._find(resource)) is _ABSENT:
                    value = await _build(resource, self, chain)
                    self._kept[key] = _Kept(resource, value)
                return value
        finally:
            # A lock belongs to the loop it was waited on; the workflow may run on another loop next time.
            turn.users -= 1
            if not turn.users:
                del self._turns[key]


def definitions(
    fn: Callable[..., Any],
    hints: Mapping[str, Any],
    parameters: Iterable[inspect.Parameter],
    *,
    names: Mapping[str, Any] | None = None,
) -> tuple[ResourceDefinition, ...]:
    """The parameters of `fn` that take a resource, in order. Raises ResourceError.

    `hints` come from `get_type_hints(fn, include_extras=True)`. `names` are those that string annotations of the
    factories may use besides their globals and closures: the locals where the step is defined. Factories are looked
    into only by `check` and when they are first needed, since they may be defined below the workflow.
    """
    found = []
    for parameter in parameters:
        definition = _definition(f"Step {_callable_name(fn)}", parameter.name, hints.get(parameter.name), names or {})
        if definition is not None:
            found.append(definition)
    return tuple(found)


async def resolve(manager: ResourceManager, definitions: Iterable[ResourceDefinition]) -> dict[str, Any]:
    """The keyword arguments of one run of a step; what is not cached is made once for all of them."""
    definitions = tuple(definitions)
    # The way of every run but the first: nothing to make, nothing to open.
    values = {one.name: manager._find(one.resource) for one in definitions}
    if all(value is not _ABSENT for value in values.values()):
        return values
    with manager._resolution():
        return {one.name: await manager.get(one.resource) for one in definitions}


def check(definitions: Iterable[ResourceDefinition]) -> list[str]:
    """What is wrong with the resources, one message each, found without calling a factory: a missing or unfit config
    file, a circular dependency, a factory parameter that nothing fills.
    """
    messages: list[str] = []
    for definition in definitions:
        for chain, problem in _problems(definition.resource, (), set()):
            path = f" ({' -> '.join(name for _, name in chain)})" if len(chain) > 1 else ""
            message = f"parameter {definition.name!r}{path}: {problem}"
            if message not in messages:
                messages.append(message)
    return messages


async def build(manager: ResourceManager, definitions: Iterable[ResourceDefinition]) -> list[str]:
    """What goes wrong when every resource is built, one message for each parameter; what could be built is kept."""
    messages = []
    for definition in definitions:
        try:
            await resolve(manager, (definition,))
        except Exception as error:  # noqa: BLE001 - a factory may raise anything, and the report goes on
            reason = str(error) if isinstance(error, ResourceError) else f"{type(error).__name__}: {error}"
            messages.append(f"parameter {definition.name!r}: {reason}")
    return messages


def _definition(where: str, name: str, hint: Any, names: Mapping[str, Any]) -> ResourceDefinition | None:
    if get_origin(hint) is not Annotated:
        return None
    annotation, *metadata = get_args(hint)
    if any(one is Resource or one is ResourceConfig for one in metadata):
        raise ResourceError(
            f"{where}: parameter {name!r} has a bare Resource. Give it what it needs: Resource(factory)."
        )
    found = [one for one in metadata if not isinstance(one, type) and isinstance(one, ResourceDescriptor)]
    if not found:
        return None
    if len(found) > 1:
        raise ResourceError(f"{where}: parameter {name!r} has {len(found)} resources. Keep one of them.")
    resource: ResourceDescriptor = found[0]
    if isinstance(resource, ResourceConfig):
        resource = resource.typed(annotation)
    else:
        resource.set_type_annotation(annotation)
        resource.set_localns(dict(names))
    return ResourceDefinition(name, resource, annotation)


def _factory_parameters(resource: Resource, names: Mapping[str, Any]) -> Iterator[ResourceDefinition]:
    factory = resource.factory
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some built-in types have no signature; they are called without arguments
        return
    bound = factory.keywords if isinstance(factory, functools.partial) else {}
    where = f"Resource factory {resource.name}"
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or parameter.name in bound:
            continue
        fillable = parameter.default is not parameter.empty
        try:
            hint = evaluate(factory, parameter, names)
        except Exception as error:
            # A type imported for the type checker only must not keep a parameter from its default.
            if fillable:
                continue
            raise ResourceError(
                f"{where}: the annotation {parameter.annotation!r} of parameter {parameter.name!r} cannot be read: "
                f"{error}. Import its names at run time (not only under TYPE_CHECKING)."
            ) from error
        definition = _definition(where, parameter.name, hint, names)
        if definition is None and not fillable:
            raise ResourceError(
                f"{where}: parameter {parameter.name!r} is neither a resource nor has it a default. Annotate it with "
                "Annotated[T, Resource(…)], or give it a default."
            )
        if definition is not None:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise ResourceError(f"{where}: parameter {parameter.name!r} is positional only. Remove the `/`.")
            yield definition


async def _enter(resource: Resource, made: Any, manager: ResourceManager) -> Any:
    """What the generator yields; the rest of it is deferred to the end of the manager."""
    generator: AsyncGenerator[Any] = made if hasattr(made, "__anext__") else _asynchronous(made)
    try:
        value = await anext(generator)
    except StopAsyncIteration:
        raise ResourceError(f"Resource factory {resource.name} yields nothing. Yield the resource once.") from None

    async def finish() -> None:
        async for _ in generator:
            await generator.aclose()
            raise ResourceError(f"Resource factory {resource.name} yields twice. Clean up after its one yield.")

    manager.defer(finish)
    return value


async def _asynchronous(generator: Generator[Any, None, Any]) -> AsyncGenerator[Any, None]:
    with contextlib.closing(generator):
        for value in generator:
            yield value


async def _build(resource: ResourceDescriptor, manager: ResourceManager, chain: _Chain) -> Any:
    try:
        return await resource.resolve(manager)
    except Exception as error:
        # The innermost frame knows the whole chain; the outer ones see the note and add nothing.
        note = "While building resource "
        if not any(one.startswith(note) for one in getattr(error, "__notes__", ())):
            error.add_note(f"{note}{' -> '.join(name for _, name in chain)}")
        raise


def _problems(resource: ResourceDescriptor, outer: _Chain, done: set[Hashable]) -> Iterator[tuple[_Chain, str]]:
    chain = (*outer, (None, resource.name))
    try:
        if isinstance(resource, ResourceConfig):
            resource.read()
        dependencies = resource.get_dependencies()
    except ResourceError as error:
        yield chain, str(error)
        return
    if not dependencies:
        return
    key = _key(resource)
    chain = (*outer, (key, resource.name))
    if any(key == one for one, _ in outer):
        yield (), _circular(chain)
        return
    if key not in done:
        for _, one, _ in dependencies:
            yield from _problems(one, chain, done)
        done.add(key)


def _key(resource: ResourceDescriptor) -> Hashable:
    return resource.key if isinstance(resource, (Resource, ResourceConfig)) else ("name", resource.name)


def _circular(chain: _Chain) -> str:
    # The cycle alone: what led to it is not at fault.
    first = next(place for place, (key, _) in enumerate(chain) if key == chain[-1][0])
    path = " -> ".join(name for _, name in chain[first:])
    return f"Circular resource dependency detected: {path}. Take a parameter out of one, or build both in one factory."


def _callable_name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__qualname__", repr(fn))
