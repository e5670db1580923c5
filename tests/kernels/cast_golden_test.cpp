// Arrays of the named minifloats, on every instruction set: the codes of the golden tables and of F::encode.
#include "kernels/cast_rules.h"

namespace nibble {
namespace {

#define GOLDEN(Type, file)                    \
  struct Golden##Type {                       \
    using Format = formats::Type;             \
    static constexpr const char* name = file; \
  }
GOLDEN(E5M2, "e5m2");
GOLDEN(E4M3, "e4m3");
GOLDEN(E3M4, "e3m4");
GOLDEN(E4M3FN, "e4m3fn");
GOLDEN(E5M2FNUZ, "e5m2fnuz");
GOLDEN(E4M3FNUZ, "e4m3fnuz");
GOLDEN(E4M3B11FNUZ, "e4m3b11fnuz");
GOLDEN(E3M2, "e3m2fn");
GOLDEN(E2M3, "e2m3fn");
GOLDEN(E3M0, "e3m0fn");
GOLDEN(E2M1, "e2m1fn");
GOLDEN(E1M2, "e1m2fn");
GOLDEN(UE5M3, "ue5m3fn");
GOLDEN(UE4M3, "ue4m3fn");
GOLDEN(E8M0, "e8m0fnu");
GOLDEN(Half, "float16");
GOLDEN(BFloat16, "bfloat16");
#undef GOLDEN

template <class G> class CastGolden : public testing::Test {};
using Goldens = testing::Types<GoldenE5M2, GoldenE4M3, GoldenE3M4, GoldenE4M3FN, GoldenE5M2FNUZ, GoldenE4M3FNUZ,
                               GoldenE4M3B11FNUZ, GoldenE3M2, GoldenE2M3, GoldenE3M0, GoldenE2M1, GoldenE1M2,
                               GoldenUE5M3, GoldenUE4M3, GoldenE8M0, GoldenHalf, GoldenBFloat16>;
TYPED_TEST_SUITE(CastGolden, Goldens);

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
