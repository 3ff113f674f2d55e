"""Programming languages: by the ends of their files' names, the media types they go under."""

from __future__ import annotations

from typing import Final

_PREFIX: Final = "text/x-"
_ENDS: Final = {
    "python": "py pyi pyw pyx",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "java": "java",
    "c": "c",
    "cpp": "h cc cpp cxx hh hpp hxx ino cu",
    "go": "go",
    "rust": "rs",
    "csharp": "cs",
    "ruby": "rb rake gemspec",
    "php": "php phtml",
    "shell": "sh bash zsh ksh",
    "sql": "sql ddl",
    # No grammar is used for these: they are read as blocks of code.
    "css": "css scss sass less",
    "dart": "dart",
    "elixir": "ex exs",
    "erlang": "erl hrl",
    "haskell": "hs",
    "ini": "ini cfg conf properties",
    "julia": "jl",
    "kotlin": "kt kts",
    "lua": "lua",
    "perl": "pl pm",
    "powershell": "ps1 psm1",
    "protobuf": "proto",
    "r": "r",
    "scala": "scala sc",
    "swift": "swift",
    "toml": "toml",
    "yaml": "yaml yml",
    "zig": "zig",
}
_LABELS: Final = {
    "application/javascript": "javascript",
    "application/sql": "sql",
    "application/toml": "toml",
    "application/x-httpd-php": "php",
    "application/x-python-code": "python",
    "application/x-sh": "shell",
    "application/yaml": "yaml",
    "text/css": "css",
    "text/javascript": "javascript",
    "text/x-c++": "cpp",
    "text/x-c++src": "cpp",
    "text/x-csrc": "c",
    "text/x-script.python": "python",
    "text/x-shellscript": "shell",
}

CODE_TYPES: Final = {f"{_PREFIX}{language}": language for language in _ENDS}
"""Media type → language, of all source code that is read."""

CODE_SUFFIXES: Final = {f".{end}": f"{_PREFIX}{language}" for language, ends in _ENDS.items() for end in ends.split()}
"""End of a file's name → media type."""

CODE_LABELS: Final = {label: f"{_PREFIX}{language}" for label, language in _LABELS.items()}
"""Other media types that servers give to source code → ours."""
