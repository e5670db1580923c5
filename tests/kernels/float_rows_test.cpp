// Float products of schemes whose panels are one row high: a table for each row or group, vector formats.
#include "formats/toy_formats.h"
#include "kernels/float_product_cases.h"

namespace nibble::test {
namespace {

/// Three inputs in one code of 9 bits.
struct Triple {
  using code_type = std::uint16_t;
  static constexpr int bits = 9;
  static constexpr int dim = 3;
  static constexpr float max() { return 4; }
  static constexpr std::array<float, 3> decode(code_type code) {
    return {static_cast<float>(code & 7) - 4, static_cast<float>(code >> 3 & 7) - 3.25f, static_cast<float>(code >> 6)};
  }
  static constexpr code_type encode(const std::array<float, 3>&) { return 0; }
};

using Schemes = testing::Types<Codebook<4>, Codebook<4, Group<128>>, Codebook<4, Group<256>, Group<256>>,
                               Codebook<4, Group<32>, Group<32>>, Codebook<3, Group<20>>, Codebook<8, Group<64>>,
                               Scheme<formats::Pair11, Group<32>>, Scheme<Grid, PerTensor>,
                               Scheme<Triple, Group<384>, SubScale<formats::E4M3FN>>, Scheme<Triple, Group<15>>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Rows, FloatProduct, Schemes);

}  // namespace
}  // namespace nibble::test
