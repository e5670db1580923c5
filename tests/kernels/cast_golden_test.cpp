// Arrays of the named minifloats, on every instruction set: the codes of the golden tables and of F::encode.
#include "formats/golden_minifloats.h"
#include "kernels/cast_rules.h"

namespace nibble {
namespace {

template <class G> class CastGolden : public testing::Test {};
TYPED_TEST_SUITE(CastGolden, test::GoldenMiniFloats);

TYPED_TEST(CastGolden, Codes) {
  using F = typename TypeParam::Format;
  const std::string name = TypeParam::name;
  int tables = 0;
  for (Isa isa : available_isas()) {
    for (CastOptions options : test::cast_rules) {
      options.isa = isa;
      const std::string rule = test::golden_rule(options);
      SCOPED_TRACE(text(name, ' ', rule, ' ', nibble::name(isa)));
      const auto expect = [&](const std::vector<float>& x, const std::string& table) {
        if (!test::has_golden(table)) return;
        std::size_t i = 0;
        test::expect_codes(x, test::golden(table),
                           [&, codes = test::encode_array<F>(x, options)](float) { return codes[i++]; });
        ++tables;
      };
      expect(test::golden_floats(name + ".edge_x"), name + ".edge." + rule);
      expect(test::every_half(), name + ".half." + rule);
    }
  }
  // Rounding to nearest even, at least.
  EXPECT_GE(tables, 3 * static_cast<int>(available_isas().size()));
}

TYPED_TEST(CastGolden, SameOnEveryInstructionSet) {
  test::expect_same_on_every_isa<typename TypeParam::Format>();
}

}  // namespace
}  // namespace nibble
