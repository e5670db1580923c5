// What a user's first program does: quantize, multiply, compare.
#include <nibble/nibble.h>

#include <iostream>

int main() {
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(40, 70);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(70, 5);
  const auto w4 = nibble::quantize<nibble::MxFp4>(w);
  const Eigen::MatrixXf y = w4 * x;
  const double error = (y - w4.dequantize() * x).norm() / y.norm();
  std::cout << nibble::compare(w, w4) << '\n';
  return error < 1e-5 ? 0 : 1;
}
