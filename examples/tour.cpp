// The README's second block of code, and what it needs around it.
#include <nibble/nibble.h>

#include <fstream>
#include <iostream>

int main() {
  const Eigen::MatrixXf W = Eigen::MatrixXf::Random(512, 1024);
  const Eigen::MatrixXf X = Eigen::MatrixXf::Random(1024, 32);
  const Eigen::VectorXf bias = Eigen::VectorXf::Random(512);
  Eigen::MatrixXf Y(512, 32);
  // clang-format off
namespace nb = nibble;
auto W3 = nb::quantize<nb::Int<3, nb::Group<64>>>(W, nb::OutputError::from(X));      // scales for the least output error
auto any4 = nb::quantize<nb::Codebook<4, nb::Group<128>>>(W);                        // 16 learned levels for each row
auto best = nb::quantize<nb::BestOf<nb::Group<64>, nb::formats::E2M1, nb::formats::Int<4>>>(W, nb::MinimalError{});
auto codes = nb::encode<nb::formats::E4M3FN>(X);                                     // an array cast, SIMD

nb::Hessian H(X);                                                                    // calibration data, in any batches
auto W2 = nb::quantize<nb::UInt<2, nb::Group<128>>>(W, nb::OutputError::from(X), nb::Gptq{H});
auto finer = nb::quantize<nb::Int<3>>(W, nb::Refined{nb::Gptq{H}, nb::FitScales{H}, nb::CyclicRounding{H}});
auto rotated = nb::quantize_incoherent<nb::Int<3>>(W, H, [](const nb::Hessian& h) { return nb::Gptq{h}; });

std::ofstream file("w3.nibble", std::ios::binary);
W3.save(file);                                                                       // mapped again without a copy
nb::Workspace memory;                                                                // no allocation after the first call
nb::gemm(W3, nb::quantize_activations(X), Y, {.threads = 2, .workspace = &memory},
         {.bias = bias, .activation = nb::Activation::Gelu});                        // into existing memory
std::cout << nb::compare_outputs(W, W3, X) << '\n';
  // clang-format on
  std::cout << nb::compare(W, any4) << '\n' << nb::compare(W, best) << '\n';
  std::cout << nb::compare(W, W2, H) << '\n' << nb::compare(W, finer, H) << '\n' << nb::compare(W, rotated, H) << '\n';
  std::cout << "relative error of E4M3 activations " << (nb::decode<nb::formats::E4M3FN>(codes) - X).norm() / X.norm()
            << "\n";
}
