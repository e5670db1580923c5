// Integer products of formats that are looked up, of coded scales, and of groups of activations.
#include "kernels/integer_cases.h"

namespace nibble {

using Cases = testing::Types<Case<MxFp4>, Case<NvFp4>, Case<MxFp6E2M3>, Case<MxInt8>,
                             Case<Int<4, Group<32>, formats::E4M3FN>>, Case<Int<4, Group<32>, formats::Half>>,
                             Case<Int<8, Group<32>, formats::BFloat16>>, Case<Int<4, Group<32>, formats::UE5M3>>,
                             Case<Int<4, Group<32>>, Int<8, Group<32>>>, Case<Int<4, Group<32>>, Int<8, Group<48>>>,
                             Case<UInt<4>, Int<8, Group<20>>>, Case<UInt<4, Group<10>>, Int<8, Group<20>>>,
                             Case<NvFp4, Int<8, Group<64>>>, Case<Int<8>, Int<4>>, Case<MxFp4, Int<6, Group<8>>>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Formats, IntegerProduct, Cases);

}  // namespace nibble
