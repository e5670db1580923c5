// Instruction sets: which there are, which is chosen, and that those that CI expects are there.
#include "nibble/core/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <sstream>

namespace nibble {
namespace {

bool available(Isa id) {
  const std::vector<Isa> ids = available_isas();
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

TEST(Isa, BestFirstAndPortableLast) {
  const std::vector<Isa> ids = available_isas();
  ASSERT_FALSE(ids.empty());
  EXPECT_EQ(ids.back(), Isa::Portable);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end(), std::greater<>{}));
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

TEST(Isa, Names) {
  EXPECT_STREQ(name(Isa::Portable), "portable");
  EXPECT_STREQ(name(static_cast<Isa>(77)), "unknown");
  for (Isa id : available_isas()) {
    const std::string expected = id == Isa::Avx2     ? "avx2"
                                 : id == Isa::Avx512 ? "avx512"
                                 : id == Isa::Neon   ? "neon"
                                                     : "portable";
    EXPECT_EQ(name(id), expected);
  }
}

// NIBBLE_EXPECT_ISAS: what the machine has by another account (.ci/run asks the kernel).
TEST(Isa, FindsWhatIsExpected) {
  const char* list = std::getenv("NIBBLE_EXPECT_ISAS");
  std::istringstream in(list != nullptr ? list : "portable");
  for (std::string expected; in >> expected;) {
    const std::vector<Isa> ids = available_isas();
    EXPECT_TRUE(std::any_of(ids.begin(), ids.end(), [&](Isa id) { return name(id) == expected; })) << expected;
  }
}

TEST(Isa, DispatchesToTheTag) {
  for (Isa id : available_isas()) EXPECT_EQ(dispatch(id, [](auto tag) { return tag.id; }), id);
}

TEST(Isa, AnyAvailableStopsAtTrue) {
  int calls = 0;
  EXPECT_TRUE(isa::any_available([&](auto) { return ++calls == 1; }));
  EXPECT_EQ(calls, 1);
  calls = 0;
  EXPECT_FALSE(isa::any_available([&](auto) { return ++calls < 0; }));
  EXPECT_EQ(static_cast<std::size_t>(calls), available_isas().size());
}

TEST(Isa, ForcedByArgument) {
  for (Isa id : available_isas()) EXPECT_EQ(resolve(id), id);
  for (Isa id : {Isa::Neon, Isa::Avx512, Isa::Avx2, static_cast<Isa>(77), static_cast<Isa>(-1)}) {
    if (available(id)) continue;
    try {
      resolve(id);
      ADD_FAILURE() << static_cast<int>(id);
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(error.what(), text("nibble::resolve: expected an instruction set that this CPU has, got Isa(",
                                   static_cast<int>(id), ")"));
    }
  }
}

/// In a process of its own (the choice is made once): sets NIBBLE_ISA, resolves, prints what came of it.
[[noreturn]] void resolve_under(const char* value) {
  if (value != nullptr)
    setenv("NIBBLE_ISA", value, 1);
  else
    unsetenv("NIBBLE_ISA");
  try {
    const char* chosen = name(resolve());
    const bool same = std::string(chosen) == name(resolve());
    const bool forced = resolve(Isa::Portable) == Isa::Portable;
    std::fprintf(stderr, "chosen: %s.", chosen);
    std::exit(same && forced ? 0 : 1);
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "%s", error.what());
    std::exit(2);
  }
}

class IsaFromEnvironment : public testing::Test {
 protected:
  // The program is started anew for each death test.
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(IsaFromEnvironment, Unset) {
  const std::string best = text("chosen: ", name(available_isas().front()), "\\.");
  EXPECT_EXIT(resolve_under(nullptr), testing::ExitedWithCode(0), best);
  EXPECT_EXIT(resolve_under(""), testing::ExitedWithCode(0), best);
}

TEST_F(IsaFromEnvironment, Named) {
  for (Isa id : available_isas())
    EXPECT_EXIT(resolve_under(name(id)), testing::ExitedWithCode(0), text("chosen: ", name(id), "\\."));
}

TEST_F(IsaFromEnvironment, Nonsense) {
  for (const char* value : {"sse9", "AVX2", "avx2 ", "unknown"})
    EXPECT_EXIT(
        resolve_under(value), testing::ExitedWithCode(2),
        text("nibble::resolve: expected NIBBLE_ISA to name an instruction set that this CPU has, got \"", value, "\""));
}

TEST_F(IsaFromEnvironment, NotOnThisCpu) {
  for (const auto& [id, value] : {std::pair(Isa::Neon, "neon"), {Isa::Avx2, "avx2"}, {Isa::Avx512, "avx512"}}) {
    if (!available(id)) {
      EXPECT_EXIT(resolve_under(value), testing::ExitedWithCode(2), "this CPU has, got");
    }
  }
}

}  // namespace
}  // namespace nibble
