// Quantizes the weight of a real transformer layer with every scheme and prints one table: size, error of the weights,
// error of the outputs on held-out activations, and speed beside Eigen's float product.
//
//     layer_report [folder with weight.npy (N x K) and activations_eval.npy (K x M)]
#include <nibble/nibble.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <vector>

namespace {

using Eigen::MatrixXf;

struct Layer {
  MatrixXf weight, tokens;
};

/// Median seconds of `a` over median seconds of `b`, measured in turns.
template <class A, class B> double speed_ratio(A&& a, B&& b) {
  const auto seconds = [](auto&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::vector<double> of_a, of_b;
  for (int i = 0; i < 15; ++i) {
    of_a.push_back(seconds(a));
    of_b.push_back(seconds(b));
  }
  const auto median = [](std::vector<double>& v) {
    std::nth_element(v.begin(), v.begin() + 7, v.end());
    return v[7];
  };
  return median(of_a) / median(of_b);
}

/// How many times faster than Eigen `q` multiplies `columns` columns of int8 activations, their quantization included.
template <class Q> double speedup(const Layer& layer, const Q& q, Eigen::Index columns) {
  const MatrixXf x = layer.tokens.leftCols(columns);
  MatrixXf exact(q.rows(), columns), y(q.rows(), columns);
  return speed_ratio([&] { exact.noalias() = layer.weight * x; },
                     [&] { nibble::gemm(q, nibble::quantize_activations(x), y); });
}

template <class Scheme, class... Rule> void report(const char* name, const Layer& layer, const Rule&... rule) {
  const auto q = nibble::quantize<Scheme>(layer.weight, rule...);
  const auto weights = nibble::compare(layer.weight, q);
  const auto floats = nibble::compare_outputs(layer.weight, q, layer.tokens);
  const auto int8 = nibble::compare_outputs(layer.weight, q, layer.tokens, nibble::quantize_activations(layer.tokens));
  const Eigen::Index many = std::min<Eigen::Index>(128, layer.tokens.cols());
  std::printf("%-26s %7.3f %8.1f %8.2f %9.3f %9.3f %8.1fx %7.1fx\n", name, weights.bits_per_weight,
              static_cast<double>(q.bytes()) / 1024, weights.sqnr, 100 * floats.relative_error,
              100 * int8.relative_error, speedup(layer, q, 1), speedup(layer, q, many));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::filesystem::path folder = argc > 1 ? argv[1] : NIBBLE_EXAMPLE_DATA_DIR;
  const Layer layer{nibble::read_npy(folder / "weight.npy"), nibble::read_npy(folder / "activations_eval.npy")};
  std::printf("%td x %td weights, %td held-out tokens, kernels: %s, one thread\n\n", layer.weight.rows(),
              layer.weight.cols(), layer.tokens.cols(), nibble::name(nibble::resolve()));
  std::printf("%-26s %7s %8s %8s %19s %18s\n", "", "bits", "", "weight", "output error, %", "speed, int8 : Eigen");
  std::printf("%-26s %7s %8s %8s %9s %9s %9s %8s\n", "scheme", "/weight", "KiB", "SQNR, dB", "float x", "int8 x", "W*x",
              "W*X");

  using namespace nibble;
  report<Int<8>>("INT8 per row", layer);
  report<UInt<8, Group<32>>>("UINT8 group 32", layer);
  report<Int<6, Group<64>>>("INT6 group 64", layer);
  report<Int<5, Group<64>>>("INT5 group 64", layer);
  report<NvFp4>("NVFP4", layer);
  report<MxFp4>("MXFP4", layer);
  report<UInt<4, Group<32>>>("UINT4 group 32", layer);
  report<Int<4, Group<32>>>("INT4 group 32", layer);
  report<Int<4, Group<32>>>("INT4 group 32, least error", layer, MinimalError{});
  report<Int<4, Group<128>>>("INT4 group 128", layer);
  report<Int<4, Group<128>>>("INT4 group 128, least err.", layer, MinimalError{});
  report<Int<4>>("INT4 per row", layer);
  report<Int<3, Group<32>>>("INT3 group 32", layer);
  report<UInt<2, Group<32>>>("UINT2 group 32", layer);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "layer_report: %s\n", e.what());
  return 1;
}
