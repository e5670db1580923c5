// The benchmarks of gemm for one scheme.
#pragma once

#include <nibble/nibble.h>

#include <memory>
#include <random>

#include "measure.h"

namespace nibble::bench {

inline Eigen::MatrixXf random_normal(Index rows, Index cols) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  return Eigen::MatrixXf::NullaryExpr(rows, cols, [&] { return normal(random); });
}

/// N x K weights of scheme S, as many copies as no cache can hold.
template <class S> struct Weights {
  Weights(Index n, Index k) : rows(n), cols(k) {
    // Quantizing a few rows is enough: their codes, repeated, are as good as others.
    const Index few = std::min<Index>(n, 256);
    const Parts<S> sample = quantize<S>(random_normal(few, k)).parts();
    Parts<S> parts(n, k);
    for (Index r = 0; r < n; ++r) parts.codes.row(r) = sample.codes.row(r % few);
    for (Index r = 0; r < parts.scales.rows(); ++r) parts.scales.row(r) = sample.scales.row(r % few);
    for (Index r = 0; r < parts.supers.rows(); ++r) parts.supers.row(r) = sample.supers.row(r % few);
    for (Index r = 0; r < parts.zeros.rows(); ++r) parts.zeros.row(r) = sample.zeros.row(r % few);
    for (Index r = 0; r < parts.choices.rows(); ++r) parts.choices.row(r) = sample.choices.row(r % few);
    for (Index r = 0; r < parts.tables.rows(); ++r) parts.tables.row(r) = sample.tables.row(r % few);
    std::ostringstream file;
    QuantizedMatrix<S>(parts).save(file);
    const std::string saved = std::move(file).str();
    for (Index size = 0; size == 0 || size < beyond_caches(); size += static_cast<Index>(saved.size())) {
      AlignedArray<std::uint8_t> bytes(saved.size());
      std::memcpy(bytes.data(), saved.data(), saved.size());
      copies.push_back(QuantizedMatrix<S>::map(Bytes(std::move(bytes))));
    }
  }

  const QuantizedMatrix<S>& next() { return copies[turn++ % copies.size()]; }

  Index rows, cols;
  std::vector<QuantizedMatrix<S>> copies;
  std::size_t turn = 0;
};

/// The weights of the benchmark that runs, kept for the next one; others make room first.
inline std::shared_ptr<void> held;
template <class S> std::shared_ptr<Weights<S>> weights(Index n, Index k) {
  static std::weak_ptr<Weights<S>> last;
  std::shared_ptr<Weights<S>> w = last.lock();
  if (w && w->rows == n && w->cols == k) return w;
  w.reset();
  held.reset();
  w = std::make_shared<Weights<S>>(n, k);
  last = w;
  held = w;
  return w;
}

/// Activation kinds: what gemm is given, and the limit of the arithmetic that it then runs.
struct FloatActivations {
  static constexpr const char* name = "float";
  static Eigen::MatrixXf make(const Eigen::MatrixXf& x) { return x; }
  static Limit& limit() { return fma_limit(resolve()); }
};
struct BFloat16Activations {
  static constexpr const char* name = "bf16";
  using Matrix = Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic>;
  static Matrix make(const Eigen::MatrixXf& x) { return x.cast<Eigen::bfloat16>(); }
  static Limit& limit() {
    Limit& pairs = bf16_limit(resolve());
    return pairs.best() > 0 ? pairs : fma_limit(resolve());
  }
};
template <class A> struct IntegerActivations {
  static constexpr const char* name = A::format::bits == 16 ? "int16" : A::group_inputs == 0 ? "int8" : "int8g32";
  static QuantizedActivations<A> make(const Eigen::MatrixXf& x) { return quantize_activations<A>(x); }
  static Limit& limit() { return int8_limit(resolve()); }
};

/// Activations in bits. `Passes` binary products are what the bits of W and of X, or two ternary operands, come to.
template <class A, int Passes> struct BitActivationsOf {
  static constexpr const char* name = "bits";
  static constexpr double passes = Passes;
  static BitActivations<A> make(const Eigen::MatrixXf& x) { return quantize_bit_activations<A>(x); }
  static Limit& limit() { return popcount_limit(resolve()); }
};

/// One product to measure: `multiply` computes Y = W X once, `bytes` are W's, `peak` is the limit of its arithmetic, of
/// which a multiply-add takes 2 `passes` operations.
struct Product {
  Shape shape;
  int threads;
  Index bytes;
  Limit& peak;
  std::function<void()> multiply;
  double passes = 1;
};

/// Measures a product beside the limits and, on one thread, the peers; sets the counters.
void measure_gemm(benchmark::State& state, const Settings& settings, const Product& product);

template <class S, class X> void run_gemm(benchmark::State& state, const Settings& settings, Shape shape, int threads) {
  const auto w = weights<S>(shape.n, shape.k);
  const auto x = X::make(random_normal(shape.k, shape.m));
  Eigen::MatrixXf y(shape.n, shape.m);
  Workspace workspace;
  const GemmOptions options{threads, {}, executor(), &workspace};
  Product product{shape, threads, w->copies[0].bytes(), X::limit(), [&] { gemm(w->next(), x, y, options); }};
  if constexpr (requires { X::passes; }) product.passes = X::passes;
  measure_gemm(state, settings, product);
}

/// Registers gemm/<scheme>/<activation>/N:<n>/K:<k>/M:<m>/threads:<t>.
template <class S, class X> void register_gemm_with(const char* scheme, const Settings& settings, const Shape& shape) {
  for (int threads : settings.threads) {
    const std::string name =
        text("gemm/", scheme, "/", X::name, "/N:", shape.n, "/K:", shape.k, "/M:", shape.m, "/threads:", threads);
    benchmark::RegisterBenchmark(name.c_str(), [&settings, shape, threads](benchmark::State& state) {
      run_gemm<S, X>(state, settings, shape, threads);
    });
  }
}

/// The same for float activations, for bfloat16 ones and, where there are integer products, for int8 ones.
template <class S> void register_gemm(const char* scheme, const Settings& settings) {
  for (const Shape& shape : settings.shapes) {
    register_gemm_with<S, FloatActivations>(scheme, settings, shape);
    if constexpr (S::panel_rows == 16 && S::format::bits <= 8 && S::dim == 1)
      register_gemm_with<S, BFloat16Activations>(scheme, settings, shape);
    if constexpr (has_integer_view<typename S::format>)
      register_gemm_with<S, IntegerActivations<Int<8>>>(scheme, settings, shape);
  }
}

}  // namespace nibble::bench
