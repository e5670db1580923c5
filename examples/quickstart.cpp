#include <nibble/nibble.h>

#include <iostream>

int main() {
  const Eigen::MatrixXf W = Eigen::MatrixXf::Random(1024, 4096);  // N x K: one row per output feature
  const Eigen::MatrixXf X = Eigen::MatrixXf::Random(4096, 16);    // K x M: one column per sample

  const auto W4 = nibble::quantize<nibble::MxFp4>(W);              // 4.25 bits per weight
  const Eigen::MatrixXf Y = W4 * X;                                // float activations: exact in W4
  const Eigen::MatrixXf Z = W4 * nibble::quantize_activations(X);  // int8 activations: faster still

  std::cout << nibble::compare(W, W4) << '\n' << "Z is " << (Z - Y).norm() / Y.norm() * 100 << " % from Y\n";
}
