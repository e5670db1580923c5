// A set of formats of one width, of which every group of a matrix uses the one that suits it best.
#pragma once

#include "nibble/formats/format.h"

namespace nibble::formats {

/// `choices` formats of `bits` bits each; the last argument of every function says which one. A matrix stores the
/// choice of each group in a byte. Where a group is the whole tensor or row, this is the search for a number of
/// exponent bits. Sources: Chen et al., "BitMoD", 2024; Kuzmin et al., "FP8 quantization: the power of the exponent",
/// 2022.
template <Format First, Format... Rest>
  requires(dim_of<First> == 1 && table_size_of<First> == 0 && choices_of<First> == 1)
struct BestOf {
  static_assert(((Rest::bits == First::bits && dim_of<Rest> == 1 && table_size_of<Rest> == 0) && ...),
                "scalar formats of one width, without tables");
  using code_type = typename First::code_type;
  static constexpr int bits = First::bits;
  static constexpr int choices = 1 + static_cast<int>(sizeof...(Rest));
  static_assert(choices <= 256, "a choice is a byte");

  static constexpr float decode(code_type code, int choice) { return decoders[choice](code); }
  static constexpr code_type encode(float x, int choice) { return encoders[choice](x); }
  static constexpr float max(int choice) { return maxima[choice](); }
  static std::string name() {
    std::string n = text("best(", format_name<First>());
    ((n += text(',', format_name<Rest>())), ...);
    return n + ')';
  }

 private:
  static constexpr float (*decoders[choices])(code_type) = {[](code_type c) { return First::decode(c); },
                                                            [](code_type c) { return Rest::decode(c); }...};
  static constexpr code_type (*encoders[choices])(float) = {[](float x) { return First::encode(x); },
                                                            [](float x) { return Rest::encode(x); }...};
  static constexpr float (*maxima[choices])() = {[] { return First::max(); }, [] { return Rest::max(); }...};
};

}  // namespace nibble::formats
