"""Two charts of products on one thread, from the JSON that nibble_bench writes:

    nibble_bench --benchmark_filter='gemm/.*/threads:1$' --benchmark_out=gemm.json --benchmark_out_format=json
    python plot.py gemm.json .              (needs matplotlib)

throughput.svg: operations per second against the columns of X, a line for each scheme and each peer.
fractions.svg: the fraction of the nearer limit, arithmetic or memory, that each scheme reaches.
"""

import json
import os
import re
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "nibble", "svg.fonttype": "none"})
import matplotlib.pyplot as plt

PANELS = {"float": "float activations", "int8": "int8 activations, one scale per column"}
PEERS = {"vs_eigen": "Eigen, float", "vs_openblas": "OpenBLAS, float", "vs_onednn": "oneDNN, float",
         "vs_onednn_int8": "oneDNN, int8 without scales"}
BAR_COLUMNS = [1, 8, 128]

with open(sys.argv[1]) as file:
    benchmarks = json.load(file)["benchmarks"]
folder = sys.argv[2]

products = {}  # (N, K) -> activation -> scheme -> M -> counters
for b in benchmarks:
    name = re.fullmatch(r"gemm/(\w+)/(\w+)/N:(\d+)/K:(\d+)/M:(\d+)/threads:1", b["name"])
    if name and name[2] in PANELS:
        scheme, activation, n, k, m = name.groups()
        schemes = products.setdefault((int(n), int(k)), {}).setdefault(activation, {})
        schemes.setdefault(scheme, {})[int(m)] = b
if not products:
    sys.exit("no gemm/<scheme>/<float or int8>/.../threads:1 in " + sys.argv[1])
(n, k), panels = next(iter(products.items()))


def save(figure, name):
    figure.suptitle(f"W * X on one thread, W of {n} x {k}")
    figure.savefig(os.path.join(folder, name), metadata={"Date": None})


figure, axes = plt.subplots(1, len(panels), figsize=(6.5 * len(panels), 6), sharey=True, squeeze=False,
                            layout="constrained")
for axis, (activation, schemes) in zip(axes[0], panels.items()):
    for i, (scheme, by_columns) in enumerate(schemes.items()):
        points = sorted((m, b["ops_per_second"] / 1e9) for m, b in by_columns.items())
        axis.plot(*zip(*points), marker="os^vDP*X"[i // 10 % 8], markersize=4, linewidth=1, color=f"C{i % 10}",
                  label=scheme)
    for peer, style, color in zip(PEERS, ["--", ":", "-.", "--"], ["black", "black", "black", "gray"]):
        if activation == "float" and peer == "vs_onednn_int8":
            continue
        rates = {}
        for by_columns in schemes.values():
            for m, b in by_columns.items():
                if peer in b:
                    rates.setdefault(m, []).append(b["ops_per_second"] / b[peer] / 1e9)
        if rates:
            points = sorted((m, statistics.median(values)) for m, values in rates.items())
            axis.plot(*zip(*points), linestyle=style, color=color, linewidth=1.5, label=PEERS[peer])
    columns = sorted({m for by_columns in schemes.values() for m in by_columns})
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(columns, map(str, columns))
    axis.set_xticks([], minor=True)
    axis.grid(alpha=0.3, which="both")
    axis.set_title(PANELS[activation])
    axis.set_xlabel("columns of X")
    axis.legend(fontsize=6, ncols=2, loc="lower right")
axes[0, 0].set_ylabel("Gop/s")
save(figure, "throughput.svg")

rows = max(map(len, panels.values()))
figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 1.5 + 0.35 * rows), sharex=True, squeeze=False,
                            layout="constrained")
for axis, (activation, schemes) in zip(axes[0], panels.items()):
    for j, m in enumerate(BAR_COLUMNS):
        for i, by_columns in enumerate(schemes.values()):
            if m not in by_columns:
                continue
            arithmetic = by_columns[m].get("fraction_of_peak", 0)
            memory = by_columns[m].get("fraction_of_dram", 0)
            axis.barh(i + 0.27 * (j - 1), max(arithmetic, memory), 0.25, color=f"C{j}", edgecolor="white", linewidth=0,
                      hatch="////" if memory > arithmetic else None)
    axis.set_yticks(range(len(schemes)), schemes, fontsize=7)
    axis.invert_yaxis()
    axis.axvline(1, color="gray", linewidth=1)
    axis.grid(alpha=0.3, axis="x")
    axis.set_title(PANELS[activation])
    axis.set_xlabel("fraction of the nearer limit (hatched: memory)")
handles = [plt.Rectangle((0, 0), 1, 1, color=f"C{j}", label=f"M = {m}") for j, m in enumerate(BAR_COLUMNS)]
axes[0, -1].legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
save(figure, "fractions.svg")
