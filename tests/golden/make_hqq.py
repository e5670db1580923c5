"""Golden zero points of half-quadratic quantization, by the arithmetic of hqq's default solver (optimize_weights_proximal
of hqq/core/optimize.py, whose formulas are written out here) in float64, with one zero point for all weights.

Run with Python 3.11 and numpy 2: python make_hqq.py; writes into hqq/ beside this file.

  weights.npy  float32[6, 63]  a group in each row: normal, Student-t (3), skewed, with an outlier, tiny, uniform; an odd
                               number of weights, so that no small shift leaves the mean error as it is
  scale_b.npy  float64[6]      (max - min) / (2^b - 1) with 0 in the range, b = 2, 3, 4, 8
  zero_b.npy   float64[6]      the zero point after the iterations, from -min / scale on
"""

import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parent / "hqq"


def shrink(x, beta, p):
    with np.errstate(divide="ignore", invalid="ignore"):
        threshold = np.where(x == 0, 0, np.abs(x) ** (p - 1) / beta)
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def optimal_zero(w, scale, zero, top, p=0.7, beta=10.0, kappa=1.01, iterations=20):
    best = np.inf
    for _ in range(iterations):
        codes = np.clip(np.rint(w / scale + zero), 0, top)
        restored = (codes - zero) * scale
        outliers = shrink(w - restored, beta, p)
        zero = np.mean(codes - (w - outliers) / scale)
        beta *= kappa
        error = np.mean(np.abs(w - restored))
        if error >= best:
            break
        best = error
    return zero


def main():
    rng = np.random.default_rng(20240701)
    weights = np.stack(
        [
            rng.standard_normal(63),
            rng.standard_t(3, 63),
            rng.exponential(1.0, 63) - 0.5,
            rng.standard_normal(63),
            rng.standard_normal(63) * 0.01,
            rng.uniform(-3, 2, 63),
        ]
    ).astype(np.float32)
    weights[3, 10] = 12
    OUT.mkdir(exist_ok=True)
    np.save(OUT / "weights.npy", weights)
    for bits in (2, 3, 4, 8):
        top = 2**bits - 1
        scales, zeros = [], []
        for row in weights.astype(np.float64):
            low, high = min(row.min(), 0), max(row.max(), 0)
            scales.append((high - low) / top)
            zeros.append(optimal_zero(row, scales[-1], -low / scales[-1], top))
        np.save(OUT / f"scale_{bits}.npy", np.array(scales))
        np.save(OUT / f"zero_{bits}.npy", np.array(zeros))


if __name__ == "__main__":
    main()
