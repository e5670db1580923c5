// error: AnyMatrix multiplies floats and QuantizedActivations<Int<8>>
#include <nibble/nibble.h>

void multiply(const nibble::AnyMatrix& w, const nibble::QuantizedActivations<nibble::Int<8, nibble::Group<32>>>& x) {
  w* x;
}
