"""Definitions in source code, found by tree-sitter: what is defined where, and under which name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

MAX_DEPTH: Final = 12  # classes in classes

# Language → (module of the grammar, its function).
_GRAMMARS: Final = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "shell": ("tree_sitter_bash", "language"),
}
_LEAVES: Final = frozenset({
    "function_definition", "function_declaration", "generator_function_declaration", "function_item",
    "function_signature_item", "method_declaration", "method_definition", "constructor_declaration",
    "destructor_declaration", "method", "singleton_method", "struct_item", "enum_item", "union_item",
    "macro_definition", "type_item", "type_declaration", "type_alias_declaration", "enum_declaration",
    "enum_specifier", "property_declaration", "operator_declaration", "delegate_declaration",
    "record_struct_declaration", "compact_constructor_declaration", "function_signature", "annotation_type_declaration",
})  # fmt: skip
_CONTAINERS: Final = frozenset({
    "class_definition", "class_declaration", "abstract_class_declaration", "class_specifier", "struct_specifier",
    "interface_declaration", "namespace_definition", "namespace_declaration", "internal_module", "module", "class",
    "trait_item", "impl_item", "mod_item", "trait_declaration", "record_declaration", "struct_declaration",
    "object_declaration", "file_scoped_namespace_declaration", "foreign_mod_item",
})  # fmt: skip
# What only wraps a definition, with where the definition is in it; None for the last child.
_WRAPPERS: Final = {"decorated_definition": "definition", "export_statement": "declaration",
                    "template_declaration": None, "linkage_specification": "body",
                    "ambient_declaration": None}  # fmt: skip
_BODIES: Final = ("body", "declaration_list")
_GROUPS: Final = frozenset({"preproc_ifdef", "preproc_if", "declaration_list", "program"})
_COMMENTS: Final = ("comment", "line_comment", "block_comment", "attribute_item", "inner_attribute_item")


_COMMENT_RUN: Final = re.compile(rb"(?:^[ \t]*+#[^\n]*+\n){300,}+", re.MULTILINE)


def grammar_modules() -> frozenset[str]:
    """The modules of the grammars that are used where they are installed."""
    return frozenset(module for module, _ in _GRAMMARS.values())


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition: bytes [start, end) with the comments above it, its name, and what is defined inside."""

    name: str
    start: int
    end: int
    inside: tuple[Symbol, ...] = ()


def symbols(code: bytes, language: str) -> tuple[Symbol, ...] | None:
    """The definitions in `code` (UTF-8), in their order; None when no grammar of the language is there.

    Raises ImportError when tree-sitter or the grammar is not installed.
    """
    if language not in _GRAMMARS:
        return None
    from tree_sitter import Language, Parser

    if language == "python":
        # Its grammar looks at all comments below each comment: many thousands of them would take hours.
        code = _COMMENT_RUN.sub(lambda found: re.sub(rb"[^\n]", b" ", found[0]), code)
    module, function = _GRAMMARS[language]
    grammar = Language(getattr(import_module(module), function)())
    root = Parser(grammar).parse(code).root_node
    return tuple(_among(root, code, 0))


def _among(parent: Any, code: bytes, depth: int) -> Iterator[Symbol]:
    start = -1  # where the comments begin that stand right above the next definition
    end = 0
    for node in parent.children:
        if node.type in _COMMENTS or node.type == "decorator":
            if start < 0 or b"\n\n" in code[end : node.start_byte].replace(b"\r", b"").replace(b" ", b""):
                start = node.start_byte
            end = node.end_byte
            # A comment behind something on the same line is about that.
            if b"\n" not in code[_line_end(code, node) : node.start_byte] and _follows(code, node):
                start = -1
            continue
        begin = node.start_byte
        if start >= 0 and b"\n\n" not in code[end:begin].replace(b"\r", b"").replace(b" ", b"").replace(b"\t", b""):
            begin = start
        start = -1
        if node.type in _GROUPS and depth < MAX_DEPTH:
            yield from _among(node, code, depth + 1)
        elif (found := _definition(node)) is not None:
            yield _symbol(found, begin, node.end_byte, code, depth)


def _line_end(code: bytes, node: Any) -> int:
    return code.rfind(b"\n", 0, node.start_byte) + 1


def _follows(code: bytes, node: Any) -> bool:
    return bool(code[_line_end(code, node) : node.start_byte].strip())


def _definition(node: Any) -> Any:
    """The definition that a node is or wraps, or None."""
    for _ in range(4):
        if node.type in _LEAVES or node.type in _CONTAINERS:
            # A mention of a type (`struct a b;`) is no definition of it.
            bare = node.type.endswith("_specifier") and node.child_by_field_name("body") is None
            return None if bare else node
        if node.type in ("lexical_declaration", "variable_declaration"):
            return node if _assigned(node) is not None else None
        if node.type in ("declaration", "type_definition", "field_declaration"):
            inner = node.child_by_field_name("type")
            if inner is None or not inner.type.endswith("_specifier"):
                return None
            node = inner
            continue
        if node.type == "expression_statement" and node.children and node.children[0].type == "internal_module":
            node = node.children[0]
            continue
        if node.type not in _WRAPPERS:
            return None
        field = _WRAPPERS[node.type]
        inner = node.child_by_field_name(field) if field else node.children[-1] if node.children else None
        if inner is None:
            return None
        node = inner
    return None


def _symbol(node: Any, start: int, end: int, code: bytes, depth: int) -> Symbol:
    inside: tuple[Symbol, ...] = ()
    if node.type in _CONTAINERS and depth < MAX_DEPTH:
        body = next((one for name in _BODIES if (one := node.child_by_field_name(name)) is not None), None)
        if body is None:
            body = next(
                (one for one in node.children if one.type in ("body_statement", "class_body", "enum_body")), node
            )
        inside = tuple(_among(body, code, depth + 1))
    return Symbol(_name(node, code), start, end, inside)


def _assigned(node: Any) -> Any:
    """The declarator of `const f = () => …`, or None."""
    for child in node.children:
        if child.type == "variable_declarator":
            value = child.child_by_field_name("value")
            if value is not None and value.type in ("arrow_function", "function_expression", "function", "class"):
                return child
    return None


def _name(node: Any, code: bytes) -> str:
    if node.type in ("lexical_declaration", "variable_declaration"):
        return _name(_assigned(node), code)
    if node.type == "impl_item":
        return _text(node.child_by_field_name("type"), code).partition("<")[0]
    found = node.child_by_field_name("name")
    if found is None and node.type == "type_declaration":
        spec = next((one for one in node.children if one.type in ("type_spec", "type_alias")), None)
        found = spec.child_by_field_name("name") if spec is not None else None
    inner = node.child_by_field_name("declarator")
    for _ in range(20):  # C: pointers to functions that return pointers …
        if found is not None or inner is None:
            break
        deeper = inner.child_by_field_name("declarator")
        if deeper is None:
            deeper = next((one for one in inner.children if one.type.endswith("declarator")), None)
        if deeper is None:
            found = inner
        inner = deeper
    name = _text(found, code)
    receiver = node.child_by_field_name("receiver")  # Go
    if receiver is not None:
        kind = _text(receiver, code).strip("()").split()
        name = f"{kind[-1].lstrip('*').partition('[')[0]}.{name}" if kind else name
    return name.replace("::", ".")


def _text(node: Any, code: bytes) -> str:
    return " ".join(code[node.start_byte : node.end_byte].decode("utf-8", "replace").split())[:200] if node else ""
