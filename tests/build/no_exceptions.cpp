// Built with -fno-exceptions: bad input ends the program with the message that the exception would have carried.
#include <nibble/nibble.h>

#include <csignal>
#include <cstdlib>

int main() {
  // Ends quietly, so that the test looks at the message alone.
  std::signal(SIGABRT, [](int) { std::_Exit(1); });
  const Eigen::MatrixXf w = Eigen::MatrixXf::Ones(2, 3);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Ones(4, 1);
  const Eigen::MatrixXf y = nibble::quantize<nibble::Int<8>>(w) * x;
  return static_cast<int>(y.size());
}
