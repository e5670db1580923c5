// Rounds the weight of a real transformer layer by every method that looks at calibration data, and prints what each
// leaves of the outputs on held-out tokens and how long it takes; then the layer and the one behind it together.
//
//     rounding_report [folder with the files of examples/data]
#include <nibble/nibble.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using Eigen::MatrixXf;
using nibble::Group, nibble::Hessian, nibble::UInt;

/// y = W x + b, then V gelu(y).
struct Block {
  MatrixXf up, bias, down, train, eval;

  MatrixXf hidden(const MatrixXf& weight, const MatrixXf& x) const {
    const MatrixXf y = (weight * x).colwise() + bias.col(0);
    return y.unaryExpr([](float v) { return 0.5f * v * (1 + std::erf(v * 0.70710678f)); });
  }
  /// The derivative of gelu at y.
  MatrixXf slopes(const MatrixXf& x) const {
    const MatrixXf y = (up * x).colwise() + bias.col(0);
    return y.unaryExpr(
        [](float v) { return 0.5f * (1 + std::erf(v * 0.70710678f)) + v * 0.39894228f * std::exp(-0.5f * v * v); });
  }
};

double relative(const MatrixXf& exact, const MatrixXf& got) {
  return static_cast<double>((got - exact).norm() / exact.norm());
}

/// One line: the held-out output error in percent at 2, 3 and 4 bits, in groups of 128 and per row, and mean seconds.
class Table {
 public:
  explicit Table(const Block& block) : block_(block) {}

  /// `quantize` makes a matrix of a scheme, given one of its (empty) matrices.
  template <class Quantize> void line(const char* name, const Quantize& quantize) {
    std::printf("%-34s", name);
    seconds_ = 0;
    cell<UInt<2, Group<128>>>(quantize);
    cell<UInt<3, Group<128>>>(quantize);
    cell<UInt<4, Group<128>>>(quantize);
    cell<UInt<2>>(quantize);
    cell<UInt<3>>(quantize);
    cell<UInt<4>>(quantize);
    std::printf(" %9.2f\n", seconds_ / 6);
  }

 private:
  template <class S, class Quantize> void cell(const Quantize& quantize) {
    const auto start = std::chrono::steady_clock::now();
    const auto q = quantize(nibble::QuantizedMatrix<S>());
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf(" %7.2f", 100 * nibble::compare_outputs(block_.up, q, block_.eval).relative_error);
  }

  const Block& block_;
  double seconds_ = 0;
};

/// The error of the block's output on held-out tokens, in percent, by how its two weights were rounded.
template <class S> void report_block(const char* name, const Block& block) {
  using namespace nibble;
  const MatrixXf exact_hidden = block.hidden(block.up, block.train);
  const MatrixXf exact = block.down * block.hidden(block.up, block.eval);
  const Hessian inputs(block.train), hidden(exact_hidden);
  // What errors of y do to the outputs: V diag(gelu'(y)), squared and averaged over the tokens.
  const Eigen::MatrixXd down = block.down.cast<double>();
  const Hessian outputs =
      Hessian::from_matrix(Hessian(block.slopes(block.train)).matrix().cwiseProduct(down.transpose() * down));
  const auto error = [&](const MatrixXf& up, const MatrixXf& down_too) {
    return 100 * relative(exact, down_too * block.hidden(up, block.eval));
  };
  const auto nearest = quantize<S>(block.up).dequantize(), gptq = quantize<S>(block.up, Gptq{inputs}).dequantize();
  const auto yaqa = quantize<S>(block.up, Yaqa{inputs, outputs}).dequantize();
  const auto gptq_down = quantize<S>(block.down, Gptq{hidden}).dequantize();
  const auto after = [&](const MatrixXf& up) {  // the second layer aims at the exact outputs, from inputs as they are
    Propagation p(block.down.cols());
    p.add(exact_hidden, block.hidden(up, block.train));
    return quantize<S>(p.target(block.down, 0.5), Gptq{p.hessian()}).dequantize();
  };
  std::printf("%-10s %9.2f %9.2f %9.2f %9.2f %9.2f\n", name, error(nearest, quantize<S>(block.down).dequantize()),
              error(gptq, gptq_down), error(yaqa, gptq_down), error(gptq, after(gptq)), error(yaqa, after(yaqa)));
}

}  // namespace

int main(int argc, char** argv) try {
  using namespace nibble;
  const std::filesystem::path folder = argc > 1 ? argv[1] : NIBBLE_EXAMPLE_DATA_DIR;
  const Block block{read_npy(folder / "weight.npy"), read_npy(folder / "bias.npy"),
                    read_npy(folder / "weight_down.npy"), read_npy(folder / "activations_train.npy"),
                    read_npy(folder / "activations_eval.npy")};
  const MatrixXf& w = block.up;
  const Hessian h(block.train);
  std::printf(
      "%td x %td weights, affine integers, calibrated on %td tokens; error of the outputs on %td others, %%\n\n",
      w.rows(), w.cols(), block.train.cols(), block.eval.cols());
  std::printf("%-34s %23s %23s\n%-34s %7s %7s %7s %7s %7s %7s %9s\n", "", "groups of 128, bits", "per row, bits", "",
              "2", "3", "4", "2", "3", "4", "seconds");

  Table table(block);
  const auto by = [&](const char* name, const auto& rounding) {
    table.line(name, [&]<class S>(const QuantizedMatrix<S>&) { return quantize<S>(w, rounding); });
  };
  const ColumnOptions by_activation{.order = Order::ActOrder, .groups = Groups::Static};
  const auto with_scales = [&](const auto& rule, const auto& rounding) {
    return [&]<class S>(const QuantizedMatrix<S>&) { return quantize<S>(w, rule, rounding); };
  };
  const auto rotated = [&](const auto& make) {
    return [&]<class S>(const QuantizedMatrix<S>&) { return quantize_incoherent<S>(w, h, make); };
  };
  by("nearest", Nearest{});
  table.line("nearest, HQQ's scales", with_scales(HalfQuadratic{}, Nearest{}));
  by("AdaRound", AdaRound{h});
  by("AdaQuant", AdaQuant{h});
  by("COMQ", Comq{h});
  by("GPTQ", Gptq{h});
  by("GPTQ, by activations", Gptq{h, by_activation});
  table.line("GPTQ, HQQ's scales", with_scales(HalfQuadratic{}, Gptq{h}));
  table.line("GPTQ, scales of least output error", with_scales(OutputError::from(block.train), Gptq{h}));
  table.line("GPTQ, rotated (QuIP)", rotated([](const Hessian& r) { return Gptq{r}; }));
  by("GPTQ, then scales and codes again",
     Refined{Gptq{h}, FitScales{h}, CyclicRounding{h}, FitScales{h}, CyclicRounding{h}});
  const Hessian d = h.damped(0.05);
  by("the same, H damped by 5 %", Refined{Gptq{d}, FitScales{d}, CyclicRounding{d}, FitScales{d}, CyclicRounding{d}});
  by("decoupleQ", DecoupleQ{h});
  table.line("decoupleQ, rotated", rotated([](const Hessian& r) { return DecoupleQ{r}; }));
  table.line("GPTQ, 1 % kept by SpQR's rule", [&]<class S>(const QuantizedMatrix<S>&) {
    return fit_outliers(w, quantize_with_outliers<S>(split_sensitive<S>(w, h, 0.01), MinMax{}, Gptq{h}), h);
  });

  std::printf("\nthis layer and the one behind it in groups of 128; error of the outputs of both, %%\n");
  std::printf("%-10s %9s %9s %9s %9s %9s\n", "", "nearest", "GPTQ", "YAQA", "GPTQ+QEP", "YAQA+QEP");
  report_block<UInt<2, Group<128>>>("2 bits", block);
  report_block<UInt<3, Group<128>>>("3 bits", block);
  report_block<UInt<4, Group<128>>>("4 bits", block);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "rounding_report: %s\n", e.what());
  return 1;
}
