"""Distortion against bits per weight, with Shannon's bound, from the file that format_atlas --csv writes.

    format_atlas --csv atlas.csv && python plot_atlas.py atlas.csv format_atlas.svg      (needs matplotlib)
"""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "nibble", "svg.fonttype": "none"})
import matplotlib.pyplot as plt

SOURCES = ["Gaussian", "Laplace", "Student-t", "layer"]
NAMED = {"NVFP4", "MXFP6 E2M3", "MXFP8 E4M3", "MXINT8", "int8, g64", "hif8, g64", "any2: a table per row, g128",
         "any3: a table per row, g128", "ternary, g64", "binary, g64", "pair11, g64", "e3m0, g64"}

with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
families = list(dict.fromkeys(row["family"] for row in rows))
figure, axes = plt.subplots(2, 2, figsize=(11, 8), sharex=True, sharey=True, layout="constrained")
for axis, source in zip(axes.flat, SOURCES):
    for i, family in enumerate(families):
        points = [(float(r["bits"]), float(r[source])) for r in rows if r["family"] == family]
        axis.scatter(*zip(*points), s=22, marker="os^vDP*X"[i % 8], label=family)
    for row in rows:
        if row["scheme"] in NAMED:
            axis.annotate(row["scheme"].split(",")[0].split(":")[0], (float(row["bits"]), float(row[source])), fontsize=7,
                          xytext=(4, -7), textcoords="offset points")
    if source == "Gaussian":
        axis.plot([1, 8.5], [6.0206, 6.0206 * 8.5], color="gray", linewidth=1, label="Shannon's bound")
    axis.set_title(source)
    axis.grid(alpha=0.3)
    axis.set_xlim(1, 9.6)
    axis.set_ylim(-2, 54)
for axis in axes[1]:
    axis.set_xlabel("bits per weight, scales included")
for axis in axes[:, 0]:
    axis.set_ylabel("signal to quantization noise, dB")
axes[0, 0].legend(fontsize=8, loc="upper left")
figure.savefig(sys.argv[2], metadata={"Date": None})
