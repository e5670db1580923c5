"""Golden tables of number formats, made by software that is not nibble's.

Run with Python 3.11 and numpy, ml-dtypes 0.6.0, en-dtypes 0.0.4, gguf 0.19.0 and softposit 0.3.4.4 (a
cross-check, optional) in a virtual environment, and functional.py unpacked from the bitsandbytes 0.50.2
wheel, which is only read, so that torch is not needed:

    python make_formats.py --bitsandbytes path/to/bitsandbytes/functional.py [--out formats]

Nothing here shares code with include/. The output is deterministic. Every file is a .npy (version 1, C
order, little endian) of uint8, uint16 or uint32. Floats are stored as the uint32 of their bits; NaN is
0x7fc00000 in results. "code" below means uint8 for formats of at most 8 bits and uint16 beyond.

Scalar formats F
    e4m3fn e4m3 e5m2 e4m3fnuz e5m2fnuz e4m3b11fnuz e3m4 e3m2fn e2m3fn e2m1fn e8m0fnu bfloat16 float16
    e3m0fn e1m2fn ue5m3fn ue4m3fn hif8 posit8 posit16
  F.decode    uint32[2^bits]  value of every code
  F.half.R    code[65536]     code of the value of every IEEE half, indexed by the bits of the half
  F.edge_x    uint32[n]       float inputs: every value and every rounding boundary (for posits the value with
                              one more bit, else the midpoint) with the floats just below and above, both
                              signs; overflow threshold; zeros, infinities, NaNs, extreme floats. For 16-bit
                              formats: every 16th value and boundary, all next to a change of exponent, the
                              first 32 and the last 32.
  F.edge.R    code[n]         their codes
  R is `standard` or `saturate`, in the format's own rounding (nearest even; hif8 nearest away; posits by the
  posit rule). F.edge also has, for minifloats, R = away_standard, away_saturate, zero_standard,
  zero_saturate. Posits have only `standard`. F.half.saturate is left out where it equals F.half.standard:
  e3m2fn e2m3fn e2m1fn e3m0fn e1m2fn bfloat16 float16.

  standard    ml_dtypes (hif8: en_dtypes; float16: numpy) in its only mode: overflow to Inf, else NaN, else
              max. The exact reference of this file is asserted to agree on every table.
  saturate    an exact rule of this file: finite inputs beyond max give max with their sign; finite negative
              inputs to unsigned formats, and zeros to e8m0fnu, give code 0; all else as `standard` (so Inf
              stays Inf, or NaN in formats with NaN but no Inf). Compared once, equal in every entry, with
              ConvertFrom<saturate> of ml_dtypes' C++ headers at b793a6e, for the formats found there.
  away, zero  the exact reference. Toward zero a finite value never overflows (IEEE 754, 7.4).
  e8m0fnu     has one rounding to nearest, ties up, which `away` repeats. Between 2^-127 and 1.5 * 2^-127 it
              gets the nearest code, 0; ml_dtypes, also in C++, gives 1 there, as if 0 were a subnormal.
  posits      the exact reference, 2022 standard; asserted equal to SoftPosit on all codes and halves.
  ue5m3fn, ue4m3fn, e3m0fn have no cast in these packages: the exact reference, with Fn specials for ue*
              (-0 gives 0, negative inputs NaN) and ties to the even code. e1m2fn likewise; values (bias 1)
              are en_dtypes'.
  NaN         into a format without NaN: the code of -0, or of 0 if the sign of the NaN is set, as ml_dtypes
              does. float16 NaN results are 0x7e00 or 0xfe00.

Codebooks B
    nf4 bnb_fp4 af4 (code 0 is +1, as bitsandbytes stores it) dynamic_signed dynamic_unsigned (ascending)
    iq4nl (integers)
  B.decode    uint32[2^bits]
  B.half.lower, B.half.upper              uint8[65536]  nearest level; a tie goes down or up
  B.edge_x, B.edge.lower, B.edge.upper    as above, for the midpoints of levels
  Entries for NaN inputs are 0 and mean nothing. Of the codes 0 and 8 of bnb_fp4, both zero, 0 is used. The
  dynamic maps are the exact values rounded to float; torch's may differ by 2 units in the last place.

Blocks: inputs are float32[8, 256] with zero blocks, an outlier block, a lone nonzero, signed extremes, ties.
  gguf.x              uint32[8, 256]  also has blocks whose half scale is subnormal or 0
  gguf_T.packed       uint8[8, B]     T = q4_0 (B = 144), q8_0 (272), mxfp4 (136) by gguf.quants.quantize; of
                                      nvfp4 (144) and iq4_nl (144), which gguf only decodes, made-up bytes
  gguf_T.dequant      uint32[8, 256]
  mx.x                uint32[8, 256]  also has float-subnormal blocks; row 7: one block with NaN, one -Inf
  mx_E_M.scale        uint8[8, 8]     E = e4m3fn e5m2 e3m2fn e2m3fn e2m1fn int8, M = floor ceil even rceil;
  mx_E_M.codes        uint8[8, 256]   blocks of 32; scale codes are E8M0. One code per byte, not packed; int8
  mx_E_M.dequant      uint32[8, 256]  in two's complement, -128 unused, rounded to nearest even.
                                      Blocks with NaN or Inf: scale FF, codes 0, dequant NaN. Scale code 0 is
                                      2^-127 in both directions. `even` for int8 rounds to 6 fraction bits.
  nvfp4.x             uint32[8, 256]  finite
  nvfp4.tensor_scale  uint32[1]       amax / (448 * 6)
  nvfp4.scale         uint8[8, 16]    blocks of 16, E4M3FN
  nvfp4.codes         uint8[8, 256]   E2M1, one per byte
  nvfp4.dequant       uint32[8, 256]  float32(float32(tensor_scale * scale) * element)
"""

import argparse
import ast
import pathlib
from fractions import Fraction

import en_dtypes
import gguf
import ml_dtypes
import numpy as np

QNAN = 0x7FC00000
F32_MAX = float(np.finfo(np.float32).max)
HALVES = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
OUT = pathlib.Path()


# Files and floats


def save(name, array):
    assert array.dtype in (np.uint8, np.uint16, np.uint32), (name, array.dtype)
    np.save(OUT / f"{name}.npy", np.ascontiguousarray(array))


def float_bits(x):
    """Bits of float32 values, NaN canonical; x must hold exact float32 values."""
    with np.errstate(invalid="ignore", over="ignore"):
        f = np.asarray(x).astype(np.float32)
    assert np.array_equal(f.astype(np.float64), np.asarray(x, np.float64), equal_nan=True), "not a float32"
    return np.where(np.isnan(f), np.uint32(QNAN), f.view(np.uint32)).astype(np.uint32)


def exact(fraction):
    """A Fraction as the float64 equal to it."""
    value = float(fraction)
    assert Fraction(value) == fraction, fraction
    return value


def two(exponent):
    return Fraction(2) ** exponent


# The exact reference: magnitudes in order, the boundaries between them, the codes they have


class Grid:
    """Magnitudes (ascending, from Fractions), their codes, and boundaries[i] between magnitudes i and i + 1;
    the last boundary separates max from `over`, the next value if the format went on (None: never overflows).
    """

    def __init__(self, values, codes, over, boundaries=None):
        assert all(a < b for a, b in zip(values, values[1:]))
        if boundaries is None:
            line = values + ([over] if over is not None else [])
            boundaries = [(a + b) / 2 for a, b in zip(line, line[1:])]
        self.values = np.array([exact(v) for v in values])
        self.codes = np.array(codes, np.int64)
        self.boundaries = np.array([exact(b) for b in boundaries])
        self.over = over

    def round(self, magnitude, rounding):
        """Index of the magnitude chosen; len(values) for overflow."""
        if rounding == "zero":
            return np.maximum(np.searchsorted(self.values, magnitude, "right") - 1, 0)
        i = np.searchsorted(self.boundaries, magnitude, "left")
        at = np.minimum(i, len(self.boundaries) - 1)
        tie = (i < len(self.boundaries)) & (self.boundaries[at] == magnitude)
        if rounding == "away":
            return i + tie
        odd = self.codes[np.minimum(i, len(self.codes) - 1)] & 1 == 1
        return i + (tie & odd)


class MiniFloat:
    """e exponent bits, m mantissa bits; special is finite, ieee, fn, fnuz or scale (see ml_dtypes)."""

    def __init__(self, e, m, bias, special, signed=True, dtype=None):
        self.e, self.m, self.bias, self.special, self.signed = e, m, bias, special, signed
        self.bits, self.dtype = e + m + signed, dtype
        self.sign_bit = 1 << (e + m) if signed else 0
        top = 1 << (e + m)
        self.inf = ((1 << e) - 1) << m if special == "ieee" else None
        count = {"finite": top, "fnuz": top, "fn": top - 1, "scale": top - 1, "ieee": self.inf}[special]
        self.max_code = count - 1
        self.nan = {"finite": self.sign_bit, "fnuz": self.sign_bit, "fn": top - 1, "scale": top - 1}.get(
            special
        )
        if special == "ieee":
            self.nan = self.inf | 1 << (m - 1)
        self.grid = Grid([self.magnitude(c) for c in range(count)], range(count), self.magnitude(count))
        self.ties = "away" if special == "scale" else "even"

    def magnitude(self, code):
        field, fraction = code >> self.m, code & ((1 << self.m) - 1)
        if field == 0 and self.special != "scale":
            return Fraction(fraction) * two(1 - self.bias - self.m)
        return Fraction((1 << self.m) + fraction) * two(field - self.bias - self.m)

    def decode(self):
        out = np.full(1 << self.bits, np.nan)
        for sign in (0, self.sign_bit) if self.signed else (0,):
            values = -self.grid.values if sign else self.grid.values
            out[sign : sign + len(values)] = values
            if self.inf is not None:
                out[sign + self.inf] = -np.inf if sign else np.inf
        if self.special == "fnuz":
            out[self.sign_bit] = np.nan
        return out

    def encode(self, x, rounding=None, saturate=False):
        x = np.asarray(x, np.float64)
        negative, magnitude = np.signbit(x), np.abs(x)
        index = self.grid.round(magnitude, rounding or self.ties)
        over = index >= len(self.grid.codes)
        code = self.grid.codes[np.minimum(index, self.max_code)]
        sign = np.where(negative, self.sign_bit, 0)
        signed_nan = np.full(x.shape, self.nan)
        if self.special in ("ieee", "fn"):
            signed_nan = sign | self.nan
        elif self.special == "finite":
            signed_nan = self.sign_bit ^ sign
        beyond = sign | self.max_code
        if self.special == "ieee":
            beyond = sign | self.inf
        elif self.special != "finite":
            beyond = signed_nan
        result = np.where(over & (not saturate), beyond, sign | code)
        result = np.where(np.isinf(x), beyond, result)
        if self.special == "fnuz":
            result = np.where((code == 0) & ~over, 0, result)
        if not self.signed:
            outside = negative & (magnitude > 0) if self.special == "fn" else negative | (magnitude == 0)
            result = np.where(outside & ~np.isinf(x), 0 if saturate else self.nan, result)
        return np.where(np.isnan(x), signed_nan, result).astype(np.uint8 if self.bits <= 8 else np.uint16)


def posit_value(code, n):
    """Posit Standard 2022 with es = 2: the value of a positive n-bit code, from its definition."""
    bits = format(code, f"0{n}b")[1:]
    run = len(bits) - len(bits.lstrip(bits[0]))
    regime = run - 1 if bits[0] == "1" else -run
    rest = bits[run + 1 :]
    exponent = int((rest[:2] + "00")[:2], 2)
    fraction = rest[2:]
    significand = 1 + (Fraction(int(fraction, 2), 1 << len(fraction)) if fraction else 0)
    return significand * two(4 * regime + exponent)


class Posit:
    ties = "even"

    def __init__(self, n):
        self.bits = n
        count = 1 << (n - 1)
        values = [Fraction(0)] + [posit_value(c, n) for c in range(1, count)]
        # The boundary above a code is the posit of n + 1 bits that appends a 1 to it; nothing rounds to 0.
        boundaries = [Fraction(0)] + [posit_value(2 * c + 1, n + 1) for c in range(1, count - 1)]
        self.grid = Grid(values, range(count), None, boundaries)

    def decode(self):
        half = len(self.grid.values)
        return np.concatenate([self.grid.values, [np.nan], -self.grid.values[:0:-1]])[: 2 * half]

    def encode(self, x, rounding=None, saturate=False):
        x = np.asarray(x, np.float64)
        index = self.grid.round(np.abs(x), "even")
        code = np.where(x < 0, -index, index) & ((1 << self.bits) - 1)
        code = np.where(np.isfinite(x), code, 1 << (self.bits - 1))
        return code.astype(np.uint8 if self.bits <= 8 else np.uint16)


def hif8_value(code):
    """HiFloat8 magnitude of a code 0..0x7f, from the definition (sign | dot | exponent | mantissa)."""
    bits = format(code, "07b")
    for dot, size in (("11", 4), ("10", 3), ("01", 2), ("001", 1), ("0001", 0)):
        if bits.startswith(dot):
            field, mantissa = bits[len(dot) : len(dot) + size], bits[len(dot) + size :]
            # sign of the exponent, then its magnitude with an implicit leading 1
            exponent = int("1" + field[1:], 2) * (-1 if field[0] == "1" else 1) if field else 0
            return (1 + Fraction(int(mantissa, 2), 1 << len(mantissa))) * two(exponent)
    return two(code - 23) if code else Fraction(0)


class HiFloat8:
    bits, ties, dtype = 8, "away", en_dtypes.hifloat8

    def __init__(self):
        order = sorted((c for c in range(128) if c != 0x6F), key=hif8_value)
        self.grid = Grid([hif8_value(c) for c in order], order, hif8_value(0x6F))

    def decode(self):
        out = np.array([exact(hif8_value(c)) for c in range(128)])
        out[0x6F] = np.inf
        out = np.concatenate([out, -out])
        out[0x80] = np.nan
        return out

    def encode(self, x, rounding=None, saturate=False):
        x = np.asarray(x, np.float64)
        index = self.grid.round(np.abs(x), "away")
        over = index >= len(self.grid.codes)
        code = np.where(over, 0x6E if saturate else 0x6F, self.grid.codes[np.minimum(index, 126)])
        code = np.where(np.isinf(x), 0x6F, code)
        code = np.where(np.signbit(x) & (code != 0), code | 0x80, code)
        return np.where(np.isnan(x), 0x80, code).astype(np.uint8)


FORMATS = {
    "e4m3fn": MiniFloat(4, 3, 7, "fn", dtype=ml_dtypes.float8_e4m3fn),
    "e4m3": MiniFloat(4, 3, 7, "ieee", dtype=ml_dtypes.float8_e4m3),
    "e5m2": MiniFloat(5, 2, 15, "ieee", dtype=ml_dtypes.float8_e5m2),
    "e4m3fnuz": MiniFloat(4, 3, 8, "fnuz", dtype=ml_dtypes.float8_e4m3fnuz),
    "e5m2fnuz": MiniFloat(5, 2, 16, "fnuz", dtype=ml_dtypes.float8_e5m2fnuz),
    "e4m3b11fnuz": MiniFloat(4, 3, 11, "fnuz", dtype=ml_dtypes.float8_e4m3b11fnuz),
    "e3m4": MiniFloat(3, 4, 3, "ieee", dtype=ml_dtypes.float8_e3m4),
    "e3m2fn": MiniFloat(3, 2, 3, "finite", dtype=ml_dtypes.float6_e3m2fn),
    "e2m3fn": MiniFloat(2, 3, 1, "finite", dtype=ml_dtypes.float6_e2m3fn),
    "e2m1fn": MiniFloat(2, 1, 1, "finite", dtype=ml_dtypes.float4_e2m1fn),
    "e8m0fnu": MiniFloat(8, 0, 127, "scale", signed=False, dtype=ml_dtypes.float8_e8m0fnu),
    "bfloat16": MiniFloat(8, 7, 127, "ieee", dtype=ml_dtypes.bfloat16),
    "float16": MiniFloat(5, 10, 15, "ieee", dtype=np.float16),
    "e3m0fn": MiniFloat(3, 0, 3, "finite"),
    "e1m2fn": MiniFloat(1, 2, 1, "finite"),
    "ue5m3fn": MiniFloat(5, 3, 15, "fn", signed=False),
    "ue4m3fn": MiniFloat(4, 3, 7, "fn", signed=False),
    "hif8": HiFloat8(),
    "posit8": Posit(8),
    "posit16": Posit(16),
}


def package_decode(fmt):
    codes = np.arange(1 << fmt.bits, dtype=np.uint8 if fmt.bits <= 8 else np.uint16)
    return codes.view(fmt.dtype).astype(np.float32)


def package_encode(fmt, x):
    with np.errstate(over="ignore", invalid="ignore"):
        codes = x.astype(fmt.dtype).view(np.uint8 if fmt.bits <= 8 else np.uint16)
    if fmt.dtype is np.float16:
        codes = np.where(np.isnan(x), np.where(np.signbit(x), 0xFE00, 0x7E00), codes).astype(np.uint16)
    return codes


def edge_inputs(grid, bits):
    points = np.concatenate([grid.values, grid.boundaries])
    if bits > 8:
        exponents = np.frexp(grid.values)[1]
        n = len(grid.values)
        keep = (np.arange(n) % 16 == 0) | (np.arange(n) < 32) | (np.arange(n) >= n - 32)
        change = np.flatnonzero(exponents[1:] != exponents[:-1])
        for shift in (-1, 0, 1, 2):
            keep[np.clip(change + shift, 0, n - 1)] = True
        points = np.concatenate([grid.values[keep], grid.boundaries[keep[: len(grid.boundaries)]]])
    if grid.over is not None:
        points = np.append(points, exact(grid.over))
    points = points[points <= F32_MAX].astype(np.float64)
    single = points.astype(np.float32)
    assert np.array_equal(single.astype(np.float64), points)
    up, down = np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(0))
    positive = np.concatenate([single, up, down, np.float32([0, 2.0**-149, 2.0**-126, 1, F32_MAX, np.inf])])
    positive = np.unique(positive)
    nans = np.array([0x7FC00000, 0xFFC00000, 0x7F800001], np.uint32).view(np.float32)
    return np.concatenate([positive, -positive, nans])


def raw_bits(x):
    """Float inputs as they are (NaN payloads kept)."""
    return np.ascontiguousarray(x, np.float32).view(np.uint32)


def make_scalars():
    for name, fmt in FORMATS.items():
        dtype = getattr(fmt, "dtype", None)
        decoded = float_bits(fmt.decode())
        edges = edge_inputs(fmt.grid, fmt.bits)
        tables = {"half": HALVES, "edge": edges}
        if dtype is not None:
            assert np.array_equal(decoded, float_bits(package_decode(fmt))), name
        save(f"{name}.decode", decoded)
        save(f"{name}.edge_x", raw_bits(edges))
        for kind, x in tables.items():
            standard = fmt.encode(x)
            if dtype is not None:
                theirs = package_encode(fmt, x)
                if name == "e8m0fnu":  # see the note on this format above
                    low = (x > 2.0**-127) & (x < 1.5 * 2.0**-127)
                    assert (theirs[low] == 1).all() and (standard[low] == 0).all()
                    theirs = np.where(low, standard, theirs)
                different = np.flatnonzero(standard != theirs)
                assert different.size == 0, (
                    name,
                    kind,
                    [(float(x[i]), hex(standard[i]), hex(theirs[i])) for i in different[:10]],
                )
                standard = theirs
            save(f"{name}.{kind}.standard", standard)
            if isinstance(fmt, Posit):
                continue
            saturated = fmt.encode(x, saturate=True)
            if kind == "edge" or not np.array_equal(saturated, standard):
                save(f"{name}.{kind}.saturate", saturated)
            if kind == "edge" and isinstance(fmt, MiniFloat):
                for rounding in ("away", "zero"):
                    save(f"{name}.edge.{rounding}_standard", fmt.encode(x, rounding))
                    save(f"{name}.edge.{rounding}_saturate", fmt.encode(x, rounding, saturate=True))
    values = np.arange(16, dtype=np.uint8).view(en_dtypes.float4_e1m2).astype(np.float32)
    assert np.array_equal(values, FORMATS["e1m2fn"].decode())


def check_facts():
    """The facts listed in REFERENCE.md, section 2."""

    def code(name, x, **options):
        return int(FORMATS[name].encode(np.float32([x]), **options)[0])

    facts = {  # max, its code, min normal, min subnormal, inf, nan
        "e3m4": (15.5, 0x6F, 2.0**-2, 2.0**-6, 0x70, 0x78),
        "e4m3": (240, 0x77, 2.0**-6, 2.0**-9, 0x78, 0x7C),
        "e4m3fn": (448, 0x7E, 2.0**-6, 2.0**-9, None, 0x7F),
        "e4m3fnuz": (240, 0x7F, 2.0**-7, 2.0**-10, None, 0x80),
        "e4m3b11fnuz": (30, 0x7F, 2.0**-10, 2.0**-13, None, 0x80),
        "e5m2": (57344, 0x7B, 2.0**-14, 2.0**-16, 0x7C, 0x7E),
        "e5m2fnuz": (57344, 0x7F, 2.0**-15, 2.0**-17, None, 0x80),
        "e2m3fn": (7.5, 0x1F, 1, 0.125, None, None),
        "e3m2fn": (28, 0x1F, 0.25, 0.0625, None, None),
        "e2m1fn": (6, 7, 1, 0.5, None, None),
        "ue5m3fn": (114688, 0xFE, 2.0**-14, 2.0**-17, None, 0xFF),
        "ue4m3fn": (448, 0x7E, 2.0**-6, 2.0**-9, None, 0x7F),
    }
    for name, (top, top_code, normal, subnormal, inf, nan) in facts.items():
        fmt, values = FORMATS[name], FORMATS[name].decode()
        assert values[top_code] == top == np.max(values[np.isfinite(values)]), name
        assert values[1 << fmt.m] == normal and values[1] == subnormal, name
        assert inf is None or (values[inf] == np.inf and code(name, np.inf) == inf), name
        assert nan is None or (np.isnan(values[nan]) and code(name, np.nan) == nan), name
        assert (np.isinf(values).sum() == 0) == (inf is None) and (nan is None) == (
            not np.isnan(values).any()
        )
    scales = FORMATS["e8m0fnu"].decode()
    assert scales[0xFE] == 2.0**127 and scales[0] == 2.0**-127 and np.isnan(scales[0xFF])
    above = float(np.nextafter(np.float32(2.0**-10), np.float32(1)))
    for name, x, expected in (
        ("e4m3fn", 2.0**-10, 0x00),
        ("e4m3fn", above, 0x01),
        ("e4m3fn", -0.0, 0x80),
        ("e4m3fn", 464, 0x7E),
        ("e4m3fn", 465, 0x7F),
        ("e5m2", 61439, 0x7B),
        ("e5m2", 61440, 0x7C),
        ("e4m3fnuz", 248, 0x80),
        ("e4m3fnuz", -0.0, 0x00),
        ("e8m0fnu", 1.5, 128),
        ("e8m0fnu", 3, 129),
        ("e8m0fnu", 0, 0xFF),
        ("e8m0fnu", -1, 0xFF),
        ("e2m1fn", 0.25, 0),
        ("e2m1fn", 0.75, 2),
        ("e2m1fn", 1.25, 2),
        ("e2m1fn", 1.75, 4),
        ("e2m1fn", 2.5, 4),
        ("e2m1fn", 3.5, 6),
        ("e2m1fn", 5, 6),
        ("e2m1fn", 7, 7),
        ("e2m1fn", np.inf, 7),
        ("e2m1fn", np.nan, 8),
        ("hif8", 40960, 0x6F),
        ("hif8", 40959, 0x6E),
        ("hif8", 2.0**-23, 0x01),
        ("hif8", 2.0**-23 * 0.999, 0x00),
        ("hif8", -np.inf, 0xEF),
        ("hif8", np.nan, 0x80),
        ("hif8", 1.0625, 0x09),
        ("posit8", 1, 0x40),
        ("posit8", 2, 0x48),
        ("posit8", 4, 0x50),
        ("posit8", 16, 0x60),
        ("posit8", 0, 0),
        ("posit8", 1e30, 0x7F),
        ("posit8", 1e-30, 0x01),
        ("posit8", -1e-30, 0xFF),
        ("posit8", np.inf, 0x80),
        ("bfloat16", F32_MAX, 0x7F80),
    ):
        assert code(name, x) == expected, (name, x, hex(code(name, x)))
    for name, x, expected in (
        ("e4m3fn", 465, 0x7E),
        ("e4m3fn", np.inf, 0x7F),
        ("e4m3fn", -np.inf, 0xFF),
        ("e8m0fnu", 0, 0),
        ("e8m0fnu", -1, 0),
        ("hif8", 1e9, 0x6E),
        ("e5m2", 1e9, 0x7B),
    ):
        assert code(name, x, saturate=True) == expected, (name, x)
    hif8 = FORMATS["hif8"].decode()
    assert hif8[0] == 0 and hif8[0x6E] == 2.0**15 and hif8[0x6F] == np.inf and hif8[1] == 2.0**-22
    posit8, posit16 = FORMATS["posit8"].decode(), FORMATS["posit16"].decode()
    assert posit8[0x7F] == 2.0**24 and posit8[1] == 2.0**-24 and np.isnan(posit8[0x80])
    assert posit16[0x7FFF] == 2.0**56 and posit16[1] == 2.0**-56 and np.isnan(posit16[0x8000])
    assert list(FORMATS["e3m0fn"].decode()[:8]) == [0, 0.25, 0.5, 1, 2, 4, 8, 16]


# Codebooks


def bitsandbytes_lists(path):
    """The value lists in bitsandbytes' get_4bit_type, by type name, in code order."""
    module = ast.parse(pathlib.Path(path).read_text())
    body = next(n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == "get_4bit_type")
    lists = {}
    for branch in (n for n in ast.walk(body) if isinstance(n, ast.If)):
        test = branch.test
        if not (isinstance(test, ast.Compare) and isinstance(test.comparators[0], ast.Constant)):
            continue
        for node in ast.walk(ast.Module(branch.body, [])):
            if isinstance(node, ast.Assign) and isinstance(node.value, (ast.List, ast.Subscript)):
                text = ast.unparse(node.value)
                values = ast.literal_eval(text.removesuffix("[::-1]"))
                key = test.comparators[0].value
                lists.setdefault(key, values[::-1] if text.endswith("[::-1]") else values)
    return lists


def dynamic_map(signed):
    """bitsandbytes' create_dynamic_map(signed, 7, 8) in exact numbers: midpoints of linspace(.1, 1, n)."""
    values = [Fraction(0), Fraction(1)]
    for i in range(7):
        count = 2**i if signed else 2 ** (i + 1)
        step = Fraction(9, 10) / count
        means = [
            (Fraction(1, 10) + step * (k + Fraction(1, 2))) * Fraction(10) ** (i - 6) for k in range(count)
        ]
        values += means + ([-m for m in means] if signed else [])
    assert len(values) == 256
    return [float(np.float32(float(v))) for v in sorted(values)]


def check_dynamic_map(path, signed, ours):
    """bitsandbytes' own function, run on numpy instead of torch, gives the same values but for rounding."""
    module = ast.parse(pathlib.Path(path).read_text())
    function = next(
        n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == "create_dynamic_map"
    )

    class Torch:
        float32 = np.float32

        @staticmethod
        def linspace(a, b, n, dtype):
            return np.linspace(a, b, n, dtype=dtype)

        @staticmethod
        def tensor(data, dtype):
            return np.array(data, dtype)

    scope = {"torch": Torch}
    exec(compile(ast.Module([function], []), path, "exec"), scope)
    theirs = scope["create_dynamic_map"](signed)
    assert np.allclose(theirs, ours, rtol=2.0**-22, atol=0), signed


def save_codebook(name, values):
    """values: float32 by code. Duplicates: the first code is used."""
    values = np.array(values, np.float32)
    save(f"{name}.decode", float_bits(values))
    levels, codes = np.unique(values, return_index=True)
    middle = (levels[1:].astype(np.float64) + levels[:-1]) / 2
    assert all(
        Fraction(m) * 2 == Fraction(float(a)) + Fraction(float(b))
        for m, a, b in zip(middle, levels, levels[1:])
    )
    near = middle.astype(np.float32)
    low, high = np.float32(-np.inf), np.float32(np.inf)
    edges = np.unique(
        np.concatenate(
            [
                near,
                np.nextafter(near, low),
                np.nextafter(near, high),
                levels,
                np.float32([-np.inf, -F32_MAX, -0.0, 2.0**-149, F32_MAX, np.inf]),
            ]
        )
    )
    save(f"{name}.edge_x", raw_bits(edges))
    for kind, x in (("half", HALVES), ("edge", edges)):
        for tie, side in (("lower", "left"), ("upper", "right")):
            with np.errstate(invalid="ignore"):
                index = np.searchsorted(middle, x.astype(np.float64), side)
            code = np.where(np.isnan(x), 0, codes[index])
            save(f"{name}.{kind}.{tie}", code.astype(np.uint8))


def make_codebooks(path):
    lists = bitsandbytes_lists(path)
    nf4 = np.float32(lists["nf4"])
    assert nf4[0] == -1 and nf4[7] == 0 and nf4[15] == 1 and nf4[8] == np.float32(0.07958029955625534)
    save_codebook("nf4", nf4)
    fp4 = np.float32(lists["fp4"]) / np.float32(12)
    fp4[8] = 0  # the list has an integer -0
    assert abs(fp4[1] - 0.0052083) < 1e-7 and fp4[3] == 1
    save_codebook("bnb_fp4", fp4)
    af4 = np.float32(lists["af4"])
    assert af4[0] == 1 and af4[15] == -1
    save_codebook("af4", af4)
    for name, signed in (("dynamic_signed", True), ("dynamic_unsigned", False)):
        values = dynamic_map(signed)
        check_dynamic_map(path, signed, values)
        assert values[-1] == 1 and values.count(0.0) == 1 and (values[0] > -1)
        save_codebook(name, values)
    save_codebook("iq4nl", gguf.quants.IQ4_NL.kvalues)


# Blocks


def sample(rng):
    """float32[8, 256]: normal numbers with awkward blocks of 32 in rows 0 to 3."""
    x = rng.standard_normal((8, 256)).astype(np.float32)
    x *= np.exp2(rng.integers(-6, 7, (8, 8)).repeat(32, axis=1)).astype(np.float32)
    x[0, 0:32] = 0
    x[0, 32:64] = 0
    x[0, 45] = -0.75
    x[1, 0:32] *= np.float32(0.01)
    x[1, 7] = 1000
    x[1, 32:64] = np.where(np.arange(32) % 2, 3, -3)
    x[2, 0:32] = np.arange(-16, 16) / np.float32(4)
    x[2, 32:64] = np.float32(448) * np.exp2(-np.arange(32.0)).astype(np.float32)
    x[3, 0:32] = np.float32(1)
    x[3, 32:64] = -0.0
    return x


def make_gguf():
    x = sample(np.random.default_rng(20240601))
    x[4, 0:32] = x[5, 0:32] * np.float32(1e-6) / np.abs(x[5, 0:32]).max()  # half scale is subnormal
    x[4, 32:64] = x[5, 32:64] * np.float32(1e-8) / np.abs(x[5, 32:64]).max()  # half scale is 0
    save("gguf.x", raw_bits(x))
    kinds = gguf.GGMLQuantizationType
    packed = {
        n: gguf.quants.quantize(x, t)
        for n, t in (("q4_0", kinds.Q4_0), ("q8_0", kinds.Q8_0), ("mxfp4", kinds.MXFP4))
    }
    rng = np.random.default_rng(20240602)
    nvfp4 = rng.integers(0, 256, (8, 4, 36), dtype=np.uint8)
    nvfp4[:, :, :4] = rng.integers(0, 0x7F, (8, 4, 4), dtype=np.uint8)
    nvfp4[0, 0, :4] = (0, 1, 7, 0x7E)
    packed["nvfp4"] = nvfp4.reshape(8, -1)
    iq4 = rng.integers(0, 256, (8, 8, 18), dtype=np.uint8)
    iq4[:, :, :2] = rng.standard_normal((8, 8)).astype(np.float16)[..., None].view(np.uint8)
    packed["iq4_nl"] = iq4.reshape(8, -1)
    for name, data in packed.items():
        values = gguf.quants.dequantize(data, getattr(kinds, name.upper()))
        assert values.shape == (8, 256) and np.isfinite(values).all()
        save(f"gguf_{name}.packed", data)
        save(f"gguf_{name}.dequant", raw_bits(values))


MX_ELEMENTS = {  # emax, mantissa bits, max
    "e4m3fn": (8, 3, 448.0),
    "e5m2": (15, 2, 57344.0),
    "e3m2fn": (4, 2, 28.0),
    "e2m3fn": (2, 3, 7.5),
    "e2m1fn": (2, 1, 6.0),
    "int8": (0, 6, 127 / 64),
}


def floor_log2(x):
    """floor(log2(x)) of a positive Fraction."""
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if two(e) <= x else e - 1


def mx_exponent(amax, element, mode):
    """Unbiased scale exponent of a block whose largest magnitude is amax (a float32, finite)."""
    emax, mantissa, top = MX_ELEMENTS[element]
    # As torchao reads it, float subnormals and 0 have the exponent field 0, read as 2^-127.
    word = int(np.float32(amax).view(np.uint32))
    if mode == "rceil":
        if amax == 0:
            return -127
        ratio = Fraction(float(amax)) / Fraction(top)
        exponent = floor_log2(ratio)
        exponent += two(exponent) < ratio
        # torchao's float arithmetic, old and new, agrees on these inputs; it has no int8.
        approximations = (np.float32(amax) / np.float32(top), np.float32(amax) * np.float32(1 / top))
        for approximate in approximations if element != "int8" else ():
            rounded = Fraction(float(approximate))
            if rounded >= two(-126):
                theirs = floor_log2(rounded) + (two(floor_log2(rounded)) < rounded)
                assert exponent == theirs, (element, float(amax).hex(), approximate, exponent, theirs)
    else:
        if mode == "even":
            word += 1 << (22 - mantissa)
        exponent = (word >> 23) - 127 - emax
        if mode == "ceil":
            exponent += word & 0x7FFFFF != 0
    return min(max(exponent, -127), 127)


def mx_codes(scaled, element):
    """Element codes, saturating, of float64 values; and the values of the codes."""
    if element == "int8":
        q = np.clip(np.rint(scaled * 64), -127, 127)
        return q.astype(np.int8).view(np.uint8), q / 64
    fmt, top = FORMATS[element], MX_ELEMENTS[element][2]
    clamped = np.clip(scaled, -top, top)
    codes = package_encode(fmt, clamped.astype(np.float32))
    assert np.array_equal(codes, fmt.encode(scaled, saturate=True))
    return codes, codes.view(fmt.dtype).astype(np.float64)


def make_mx():
    x = sample(np.random.default_rng(20240603))
    rng = np.random.default_rng(20240604)
    x[4, 0:32] = rng.standard_normal(32).astype(np.float32) * np.float32(2.0**-128)
    x[4, 32:64] = rng.standard_normal(32).astype(np.float32) * np.float32(2.0**-140)
    x[4, 64:96] = rng.standard_normal(32).astype(np.float32) * np.float32(2.0**-120)
    x[4, 96:128] = rng.standard_normal(32).astype(np.float32) * np.float32(2.0**120)
    x[4, 128] = np.float32(F32_MAX)
    # Largest magnitudes on and beside the thresholds of the four modes.
    for block, value in enumerate((1, 1.75, 1.875, 1.9375, 1.96875, 1.99, 7, 6)):
        x[5, 32 * block : 32 * block + 32] = np.linspace(-0.9, 0.9, 32, dtype=np.float32) * np.float32(value)
        x[5, 32 * block + block] = np.float32(value)
    for block, value in enumerate((1, 448, 57344, 28, 7.5, 6, 127 / 64, 1.75)):
        x[6, 32 * block : 32 * block + 32] = np.linspace(-0.9, 0.9, 32, dtype=np.float32) * np.float32(value)
        x[6, 32 * block + block] = np.nextafter(np.float32(value), np.float32(np.inf))
    x[7, 3], x[7, 40] = np.nan, -np.inf
    save("mx.x", raw_bits(x))
    for element in MX_ELEMENTS:
        for mode in ("floor", "ceil", "even", "rceil"):
            scale = np.zeros((8, 8), np.uint8)
            codes = np.zeros((8, 256), np.uint8)
            values = np.full((8, 256), np.nan)
            for i in range(8):
                for b in range(8):
                    part = slice(32 * b, 32 * b + 32)
                    block = x[i, part]
                    if not np.isfinite(block).all():
                        scale[i, b] = 0xFF
                        continue
                    exponent = mx_exponent(np.abs(block).max(), element, mode)
                    scale[i, b] = exponent + 127
                    codes[i, part], value = mx_codes(block.astype(np.float64) * 2.0**-exponent, element)
                    values[i, part] = value * 2.0**exponent
            assert (
                (scale[7, :2] == 0xFF).all()
                and np.isnan(values[7, :64]).all()
                and (scale[7, 2:] < 0xFF).all()
            )
            assert scale[0, 0] == 0 and (values[0, :32] == 0).all() and (values[3, 32:64] == 0).all()
            with np.errstate(over="ignore"):  # rounding up the largest floats may give infinity
                single = values.astype(np.float32)
            save(f"mx_{element}_{mode}.scale", scale)
            save(f"mx_{element}_{mode}.codes", codes)
            save(f"mx_{element}_{mode}.dequant", float_bits(single))


def make_nvfp4():
    x = sample(np.random.default_rng(20240605))
    x[4, 0:16] *= np.float32(2.0**-30)  # the block scale is held at the smallest normal E4M3
    save("nvfp4.x", raw_bits(x))
    tensor = np.float32(np.abs(x).max()) / np.float32(448 * 6)
    blocks = x.reshape(8, 16, 16)
    ratio = (np.abs(blocks).max(axis=2) / np.float32(6)) / tensor
    scale = package_encode(FORMATS["e4m3fn"], np.clip(ratio, np.float32(2.0**-6), np.float32(448)))
    total = tensor * scale.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    scaled = np.clip(blocks / total[..., None], np.float32(-6), np.float32(6))
    assert scaled.dtype == np.float32 and total.dtype == np.float32
    codes = package_encode(FORMATS["e2m1fn"], scaled)
    values = codes.view(ml_dtypes.float4_e2m1fn).astype(np.float32) * total[..., None]
    save("nvfp4.tensor_scale", raw_bits(np.array([tensor])))
    save("nvfp4.scale", scale)
    save("nvfp4.codes", codes.reshape(8, 256))
    save("nvfp4.dequant", raw_bits(values.reshape(8, 256)))


def check_posits():
    """Compares with SoftPosit's pX2 (es = 2), where it is installed."""
    try:
        import softposit
    except ImportError:
        return
    for n in (8, 16):
        fmt = FORMATS[f"posit{n}"]
        values = fmt.decode()
        for code in range(1 << n):
            theirs = softposit.convertPX2ToDouble(softposit.posit_2(x=n, bits=code).v)
            assert theirs == values[code] or code == 1 << (n - 1), (n, hex(code), theirs, values[code])
        x = HALVES[np.isfinite(HALVES)]
        ours = fmt.encode(x)
        theirs = np.array([softposit.convertDoubleToPX2(float(v), n).v >> (32 - n) for v in x])
        assert np.array_equal(ours, theirs), n


def main():
    parser = argparse.ArgumentParser(description="Write the golden tables of number formats.")
    parser.add_argument("--bitsandbytes", required=True, help="functional.py of the bitsandbytes wheel")
    parser.add_argument("--out", default=pathlib.Path(__file__).parent / "formats", type=pathlib.Path)
    arguments = parser.parse_args()
    global OUT
    OUT = arguments.out
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.npy"):
        old.unlink()
    np.seterr(invalid="ignore")  # NaN inputs are meant
    check_facts()
    make_scalars()
    make_codebooks(arguments.bitsandbytes)
    make_gguf()
    make_mx()
    make_nvfp4()
    check_posits()
    print(
        f"{sum(f.stat().st_size for f in OUT.glob('*.npy')):,} bytes in {len(list(OUT.glob('*.npy')))} files"
    )


if __name__ == "__main__":
    main()
