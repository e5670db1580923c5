// error: need a common divisor that is a multiple of 4
#include <nibble/nibble.h>

Eigen::MatrixXf product(const nibble::QuantizedMatrix<nibble::Int<4, nibble::Group<32>>>& w,
                        const nibble::QuantizedActivations<nibble::Int<8, nibble::Group<30>>>& x) {
  return w * x;
}
