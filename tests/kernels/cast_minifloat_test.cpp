// Arrays of minifloats that have no name, on every instruction set: the codes of F::encode.
#include "kernels/cast_rules.h"

namespace nibble {
namespace {

using formats::MiniFloat;
using formats::Sign;
using formats::Special;

// The ends of the range of floats, other kinds of special codes, no mantissa, no exponent to speak of.
template <class F> class CastOdd : public testing::Test {};
using Odd = testing::Types<
    MiniFloat<5, 5, 20>, MiniFloat<4, 3, -100>, MiniFloat<5, 10, -96>, MiniFloat<4, 3, 146>, MiniFloat<1, 14>,
    MiniFloat<3, 0>, MiniFloat<7, 8>, MiniFloat<8, 0>, MiniFloat<8, 3>, MiniFloat<8, 7, 140>,
    MiniFloat<8, 7, 130, Special::Finite>, MiniFloat<8, 3, 128, Special::Fn>, MiniFloat<6, 5, 32, Special::Fnuz>,
    MiniFloat<4, 3, 7, Special::Ieee, Sign::Unsigned>, MiniFloat<5, 0, 15, Special::Finite, Sign::Unsigned>,
    MiniFloat<4, 0, 7, Special::Scale, Sign::Unsigned>, MiniFloat<7, 0, 149, Special::Scale, Sign::Unsigned>>;
TYPED_TEST_SUITE(CastOdd, Odd);

TYPED_TEST(CastOdd, SameOnEveryInstructionSet) {
  test::expect_same_on_every_isa<TypeParam>();
}

}  // namespace
}  // namespace nibble
