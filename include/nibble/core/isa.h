// Instruction sets: their names, what the CPU has, which one a program forces, and the target regions of kernels.
#pragma once

#include <cstdlib>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "nibble/core/error.h"

namespace nibble {

/// The instruction sets that kernels are written for. Avx2 stands for AVX2 + FMA + F16C; Avx512 for AVX-512 F, BW, DQ,
/// VL, VNNI and VBMI (Ice Lake, Zen 4 and later); Neon for AArch64 Advanced SIMD with dot product.
enum class Isa : int { Portable, Avx2, Avx512, Neon };

namespace isa {

/// What the command line of this translation unit lets the compiler use anywhere. It is part of the type of every tag
/// below and so of the name of every kernel: translation units built with different flags never share one, and the
/// linker cannot put a kernel built for a newer CPU in the place of one that a dispatcher chose for an older.
inline constexpr unsigned baseline = 0
#ifdef __AVX__
                                     | 1u << 0
#endif
#ifdef __AVX2__
                                     | 1u << 1
#endif
#ifdef __FMA__
                                     | 1u << 2
#endif
#ifdef __AVX512F__
                                     | 1u << 3
#endif
#ifdef __AVX512BW__
                                     | 1u << 4
#endif
#ifdef __AVX512VL__
                                     | 1u << 5
#endif
#ifdef __AVX512VNNI__
                                     | 1u << 6
#endif
#ifdef __AVX512VBMI__
                                     | 1u << 7
#endif
#ifdef __SSE4_2__
                                     | 1u << 8
#endif
#ifdef _OPENMP
                                     | 1u << 16
#endif
    ;

/// Tags: kernels are templates on one of them. `id` is its public name, `available()` asks the CPU.
template <unsigned Baseline> struct PortableTag {
  static constexpr Isa id = Isa::Portable;
  static constexpr const char* name = "portable";
  static bool available() { return true; }
};

#if defined __x86_64__ || defined _M_X64
template <unsigned Baseline> struct Avx2Tag {
  static constexpr Isa id = Isa::Avx2;
  static constexpr const char* name = "avx2";
  static bool available() {
    // Every CPU with AVX2 has F16C, and clang 14 cannot ask for it.
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  }
};

template <unsigned Baseline> struct Avx512Tag {
  static constexpr Isa id = Isa::Avx512;
  static constexpr const char* name = "avx512";
  static bool available() {
    return Avx2Tag<Baseline>::available() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
  }
};

using Avx2 = Avx2Tag<baseline>;
using Avx512 = Avx512Tag<baseline>;
#endif

using Portable = PortableTag<baseline>;

/// Target<i>::type is the tag whose id is static_cast<Isa>(i), or void where this build has none. A specialisation
/// registers an instruction set; a higher number is preferred.
template <int Id> struct Target { using type = void; };
template <> struct Target<0> { using type = Portable; };
#if defined __x86_64__ || defined _M_X64
template <> struct Target<1> { using type = Avx2; };
template <> struct Target<2> { using type = Avx512; };
#endif
inline constexpr int max_targets = 8;

/// Calls f(Tag{}) for each registered instruction set that this CPU has, best first, until f returns true.
template <class F, int Id = max_targets - 1> bool any_available(F&& f) {
  using Tag = typename Target<Id>::type;
  if constexpr (!std::is_void_v<Tag>) {
    if (Tag::available() && f(Tag{})) return true;
  }
  if constexpr (Id > 0) {
    return any_available<F, Id - 1>(static_cast<F&&>(f));
  } else {
    return false;
  }
}

}  // namespace isa

/// The instruction sets that this build has kernels for and this CPU can run, best first.
inline std::vector<Isa> available_isas() {
  std::vector<Isa> ids;
  isa::any_available([&](auto tag) { return ids.push_back(tag.id), false; });
  return ids;
}

/// "portable", "avx2", "avx512", "neon".
inline const char* name(Isa id) {
  const char* found = "unknown";
  isa::any_available([&](auto tag) { return tag.id == id && (found = tag.name, true); });
  return found;
}

/// The instruction set that a kernel call runs on: `forced` where given, else the one that the environment variable
/// NIBBLE_ISA names, else the best that the CPU has. Throws std::invalid_argument where that one is not available.
inline Isa resolve(std::optional<Isa> forced = std::nullopt) {
  if (forced) {
    if (isa::any_available([&](auto tag) { return tag.id == *forced; })) return *forced;
    invalid("resolve", "an instruction set that this CPU has", text("Isa(", static_cast<int>(*forced), ")"));
  }
  static const Isa chosen = [] {
    const std::vector<Isa> ids = available_isas();
    const char* wanted = std::getenv("NIBBLE_ISA");
    if (wanted == nullptr || *wanted == '\0') return ids.front();
    for (Isa id : ids)
      if (std::string_view(name(id)) == wanted) return id;
    invalid("resolve", "NIBBLE_ISA to name an instruction set that this CPU has", text('"', wanted, '"'));
  }();
  return chosen;
}

/// Calls f(tag) with the tag of `id`, which must be available, and returns what it returns.
template <class F, int Id = isa::max_targets - 1> decltype(auto) dispatch(Isa id, F&& f) {
  using Tag = typename isa::Target<Id>::type;
  if constexpr (Id == 0) {
    return f(Tag{});
  } else {
    if constexpr (!std::is_void_v<Tag>) {
      if (id == Tag::id) return f(Tag{});
    }
    return dispatch<F, Id - 1>(id, static_cast<F&&>(f));
  }
}

}  // namespace nibble

/// A target region: what stands between NIBBLE_BEGIN_TARGET("avx2,fma") and NIBBLE_END_TARGET is compiled for those
/// instructions whatever the command line says. Inside it: intrinsics, raw pointers and sizes only. Standard
/// algorithms, Eigen, lambdas and OpenMP would miss the target; includes come before the region.
#define NIBBLE_PRAGMA(x) _Pragma(#x)
#if defined __clang__
#define NIBBLE_BEGIN_TARGET(features) \
  NIBBLE_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define NIBBLE_END_TARGET _Pragma("clang attribute pop")
#else
// GCC 12 warns of its own intrinsics where they are inlined (GCC bug 105593).
#define NIBBLE_BEGIN_TARGET(features)                                                            \
  _Pragma("GCC push_options") NIBBLE_PRAGMA(GCC target(features)) _Pragma("GCC diagnostic push") \
      _Pragma("GCC diagnostic ignored \"-Wuninitialized\"")                                      \
          _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")
#define NIBBLE_END_TARGET _Pragma("GCC diagnostic pop") _Pragma("GCC pop_options")
#endif
