"""Golden .npy files, written by NumPy. Run with numpy 2: python make_npy.py; writes into npy/ beside this file.

  T_O_RxC.npy  element (i, j) is 3 i - 2 j + 1, plus 0.5 for floats; of unsigned and bool types 5 i + j, bool: its lowest
               bit. T is f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1; a leading "b" (bf4) is big endian. O is c or f, the
               order. Sizes are 3 x 5, and for f4 also 0 x 3, 4 x 0, 1 x 1, 17 x 2.
  f4_1d.npy    1, 2, 3, 4, 5;   f4_1d_empty.npy: none;   f4_0d.npy: 7.5;   f4_3d.npy: 2 x 2 x 2, to be rejected
  f4_v2.npy, f4_v3.npy   3 x 5 in versions 2.0 and 3.0
  extremes_T.npy         smallest and largest finite value of T, a column; floats then have -0, infinity, -infinity, NaN
  structured.npy, complex.npy, text.npy   types to be rejected
"""

import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parent / "npy"
FLOATS, SIGNED, UNSIGNED = ("f2", "f4", "f8"), ("i1", "i2", "i4", "i8"), ("u1", "u2", "u4", "u8", "b1")


def values(kind, rows, cols):
    i, j = np.mgrid[0:rows, 0:cols]
    if kind in UNSIGNED:
        return (5 * i + j) & 1 if kind == "b1" else 5 * i + j
    return 3 * i - 2 * j + 1 + (0.5 if kind in FLOATS else 0)


def save(name, array, version=None):
    with open(OUT / f"{name}.npy", "wb") as f:
        np.lib.format.write_array(f, array, version=version)


def main():
    OUT.mkdir(exist_ok=True)
    for kind in FLOATS + SIGNED + UNSIGNED:
        for endian in ("", "b") if kind[1] != "1" else ("",):
            for order in "cf":
                shapes = [(3, 5)] + ([(0, 3), (4, 0), (1, 1), (17, 2)] if kind == "f4" and not endian else [])
                for shape in shapes:
                    dtype = np.dtype((">" if endian else "<") + kind)
                    array = np.array(values(kind, *shape), dtype=dtype, order=order.upper())
                    save(f"{endian}{kind}_{order}_{shape[0]}x{shape[1]}", array)
        if kind in FLOATS:
            info = np.finfo(kind)
            extremes = [info.min, info.max, -0.0, np.inf, -np.inf, np.nan]
        elif kind == "b1":
            continue
        else:
            extremes = [np.iinfo(kind).min, np.iinfo(kind).max]
        save(f"extremes_{kind}", np.array(extremes, dtype="<" + kind))
    save("f4_1d", np.arange(1, 6, dtype="<f4"))
    save("f4_1d_empty", np.zeros(0, dtype="<f4"))
    save("f4_0d", np.array(7.5, dtype="<f4"))
    save("f4_3d", np.zeros((2, 2, 2), dtype="<f4"))
    for version in (2, 3):
        save(f"f4_v{version}", values("f4", 3, 5).astype("<f4"), (version, 0))
    save("structured", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i2")]))
    save("complex", np.zeros(2, dtype="<c8"))
    save("text", np.array(["abc"], dtype="<U3"))


if __name__ == "__main__":
    main()
