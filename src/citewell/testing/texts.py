"""Texts that break careless code: empty, blank, in many scripts, with controls and lone surrogates, very long."""

from __future__ import annotations

TEXTS: tuple[str, ...] = (
    "How do I rotate keys?",
    "Keys are rotated every ninety days by the operations team, in Ghent as in Porto.",
    "Łódź, Straße, café, naïve; ﬁne ligatures, ½ and ①.",
    "漢字かなまじり文。한국어 문장입니다. ภาษาไทย",
    "مرحبا بالعالم \u202eright to left\u202c",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 and a combining e\u0301",
    "[SEP] [CLS] <|endoftext|> <s> </s> [1] {{x}} %s \\n",
    "x",
    "a" * 3000,
    "line one\nline two\r\nline three\ttab\u00a0space\u2028separator",
)
"""Texts with something to find in each of them."""

ODD_TEXTS: tuple[str, ...] = (
    *(
        "",
        " ",
        "\n\t \n",
        "\0",
        "\ufeff",
        "\u200b\u200d",
        "\ud800",
        "x\udcffy",
        "?!…—",
        '"',
        "AND OR NOT (",
        "*",
        "-a +b",
    ),
    *("a:b^2~", "%", "'; DROP TABLE nodes; --", "\U0001f600", "word " * 3000, "\u0301" * 50, "9" * 400),
)
"""Texts that hold little or nothing, or that some query language would take for a command."""
