"""Golden codes of GPTQ, by the arithmetic of the published code (IST-DASLab/gptq: gptq.py, quant.py), written out in numpy
float32: the Hessian 2 / M X X^T, damping by a hundredth of the mean diagonal, the upper Cholesky factor of
the inverse, blocks with lazy updates, affine grids that include 0.

Run with Python 3.11 and numpy 2: python make_gptq.py; writes into gptq/ beside this file.

  weights.npy  float32[24, 96]   normal, rows of different sizes
  inputs.npy   float16[96, 120]  correlated samples
  <case>.codes.npy   uint8[24, 96]   codes of 4 bits
  <case>.loss.npy    float64[1]      tr(E H E^T) of these codes with the damped H, in float64

Cases: row (a scale for each row), row_act (in the order of descending diagonals), g32 (groups of 32, blocks of 32: with
larger ones the published code chooses scales from weights that lack the block's own updates), g32_act (groups of 32
with static scales, in the order of descending diagonals).
"""

import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parent / "gptq"
F = np.float32


def find_params(x, maxq):
    low, high = np.minimum(x.min(1), 0), np.maximum(x.max(1), 0)
    scale = ((high - low) / F(maxq)).astype(F)
    return scale[:, None], np.rint(-low / scale).astype(F)[:, None]


def encode(x, scale, zero, maxq):
    return np.clip(np.rint(x / scale) + zero, 0, maxq).astype(F)


def gptq(w, h, bits, group, block, act_order, static):
    w, h = w.copy(), h.copy()
    n, k = w.shape
    maxq = 2**bits - 1
    params = [find_params(w[:, g : g + group], maxq) for g in range(0, k, group)]
    perm = np.argsort(-np.diag(h), kind="stable") if act_order else np.arange(k)
    w, h = w[:, perm], h[np.ix_(perm, perm)]
    h[np.arange(k), np.arange(k)] += F(0.01) * np.mean(np.diag(h))
    damped = h.copy()
    upper = np.linalg.cholesky(np.linalg.inv(h)).T
    codes, values, original = np.zeros_like(w), np.zeros_like(w), w.copy()
    for b in range(0, k, block):
        e = min(b + block, k)
        w1, u1, err1 = w[:, b:e].copy(), upper[b:e, b:e], np.zeros((n, e - b), F)
        for i in range(e - b):
            if static:
                scale, zero = params[perm[b + i] // group]
            elif (b + i) % group == 0:
                scale, zero = find_params(w[:, b + i : b + i + group], maxq)
            x = w1[:, i : i + 1]
            q = encode(x, scale, zero, maxq)
            codes[:, b + i : b + i + 1] = q
            values[:, b + i : b + i + 1] = scale * (q - zero)
            err = (x - scale * (q - zero)) / u1[i, i]
            w1[:, i:] -= err @ u1[i : i + 1, i:]
            err1[:, i : i + 1] = err
        w[:, e:] -= err1 @ upper[b:e, e:]
    error = (original - values).astype(np.float64)
    loss = np.trace(error @ damped.astype(np.float64) @ error.T)
    inverse = np.argsort(perm)
    return codes[:, inverse].astype(np.uint8), np.array([loss])


def main():
    rng = np.random.default_rng(20240702)
    w = (rng.standard_normal((24, 96)) * (1 + np.arange(24)[:, None] % 3)).astype(F)
    x = rng.standard_normal((96, 12)) @ rng.standard_normal((12, 120)) + 0.5 * rng.standard_normal((96, 120))
    x *= np.exp(0.5 * rng.standard_normal((96, 1)))
    x = x.astype(np.float16)
    h = (F(2) / F(120)) * (x.astype(F) @ x.astype(F).T)
    OUT.mkdir(exist_ok=True)
    np.save(OUT / "weights.npy", w)
    np.save(OUT / "inputs.npy", x)
    for name, group, block, act, static in [
        ("row", 96, 40, False, False),
        ("row_act", 96, 40, True, False),
        ("g32", 32, 32, False, False),
        ("g32_act", 32, 40, True, True),
    ]:
        codes, loss = gptq(w, h, 4, group, block, act, static)
        np.save(OUT / f"{name}.codes.npy", codes)
        np.save(OUT / f"{name}.loss.npy", loss)
        print(name, loss)


if __name__ == "__main__":
    main()
