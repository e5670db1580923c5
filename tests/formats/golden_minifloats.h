// The minifloats that have golden tables, and the names of those.
#pragma once

#include <gtest/gtest.h>

#include "nibble/formats/minifloat.h"

namespace nibble::test {

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

using GoldenMiniFloats =
    testing::Types<GoldenE5M2, GoldenE4M3, GoldenE3M4, GoldenE4M3FN, GoldenE5M2FNUZ, GoldenE4M3FNUZ, GoldenE4M3B11FNUZ,
                   GoldenE3M2, GoldenE2M3, GoldenE3M0, GoldenE2M1, GoldenE1M2, GoldenUE5M3, GoldenUE4M3, GoldenE8M0,
                   GoldenHalf, GoldenBFloat16>;

}  // namespace nibble::test
