// The error of every number format on weights of four kinds: a table, and with --csv FILE a file for plot_atlas.py.
// Errors are signal to quantization noise in dB at one scale per group, by the scheme's default rule.
#include <nibble/nibble.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace nibble;

struct Source {
  const char* name;
  RowMajorMatrixXf weights;
};

struct Entry {
  std::string family, name;
  double bits;
  std::vector<double> sqnr;
};

std::vector<Source> make_sources(const std::string& layer) {
  constexpr Index rows = 256, cols = 4096;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::exponential_distribution<float> exponential;
  std::student_t_distribution<float> student(4);
  std::bernoulli_distribution coin;
  const auto matrix = [](auto&& draw) { return RowMajorMatrixXf::NullaryExpr(rows, cols, draw); };
  return {{"Gaussian", matrix([&] { return normal(random); })},
          {"Laplace", matrix([&] { return coin(random) ? exponential(random) : -exponential(random); })},
          {"Student-t", matrix([&] { return student(random); })},
          {"layer", read_npy(layer)}};
}

class Atlas {
 public:
  explicit Atlas(const std::string& layer) : sources_(make_sources(layer)) {
    std::printf("%-12s %-34s %7s", "family", "scheme", "bits");
    for (const Source& s : sources_) std::printf(" %10s", s.name);
    std::printf("\n");
  }

  template <class S> void add(const char* family, const std::string& name) {
    Entry entry{family, name, 0, {}};
    for (const Source& s : sources_) {
      const Comparison c = compare(s.weights, quantize<S>(s.weights));
      if (entry.bits == 0) entry.bits = c.bits_per_weight;
      entry.sqnr.push_back(c.sqnr);
    }
    std::printf("%-12s %-34s %7.3f", family, name.c_str(), entry.bits);
    for (double db : entry.sqnr) std::printf(" %10.2f", db);
    std::printf("\n");
    entries_.push_back(std::move(entry));
  }
  template <Format F, class G> void add(const char* family) {
    add<Scheme<F, G>>(family, format_name<F>() + ", " + G::name());
  }

  void write_csv(const char* path) const {
    std::ofstream out(path);
    out << "family,scheme,bits";
    for (const Source& s : sources_) out << ',' << s.name;
    out << '\n';
    for (const Entry& e : entries_) {
      out << e.family << ",\"" << e.name << "\"," << e.bits;
      for (double db : e.sqnr) out << ',' << db;
      out << '\n';
    }
    if (!out) throw std::runtime_error(std::string("cannot write ") + path);
  }

 private:
  std::vector<Source> sources_;
  std::vector<Entry> entries_;
};

template <template <int> class F, int... Bits> void add_bits(Atlas& atlas, const char* family) {
  (atlas.add<F<Bits>, Group<64>>(family), ...);
}

template <int B> using SignedInteger = formats::Int<B>;
template <int B> using NormalFloats = formats::NormalFloat<B>;
template <int B> using GaussianLevels = formats::LloydMax<B, formats::Gaussian>;
template <int B> using Shifts = formats::DenseShift<B>;

}  // namespace

int main(int argc, char** argv) try {
  const bool csv = argc == 3 && std::strcmp(argv[1], "--csv") == 0;
  if (argc != 1 && !csv) throw std::runtime_error("usage: format_atlas [--csv FILE]");
  Atlas atlas(NIBBLE_EXAMPLE_DATA_DIR "/weight.npy");

  add_bits<SignedInteger, 2, 3, 4, 5, 6, 7, 8>(atlas, "integer");
  atlas.add<UInt<2, Group<64>>>("integer", "uint2 with zero point, g64");
  atlas.add<UInt<3, Group<64>>>("integer", "uint3 with zero point, g64");
  atlas.add<UInt<4, Group<64>>>("integer", "uint4 with zero point, g64");
  atlas.add<formats::DInt<4>, Group<64>>("integer");
  atlas.add<formats::Pair11, Group<64>>("integer");
  atlas.add<Ternary<Group<64>>>("ternary", "ternary, g64");
  atlas.add<Binary<Group<64>>>("ternary", "binary, g64");

  atlas.add<formats::E1M2, Group<64>>("float");
  atlas.add<formats::E2M1, Group<64>>("float");
  atlas.add<formats::E3M0, Group<64>>("float");
  atlas.add<formats::E2M3, Group<64>>("float");
  atlas.add<formats::E3M2, Group<64>>("float");
  atlas.add<formats::E3M4, Group<64>>("float");
  atlas.add<formats::E4M3FN, Group<64>>("float");
  atlas.add<formats::E5M2, Group<64>>("float");
  atlas.add<formats::HiFloat8, Group<64>>("tapered");
  atlas.add<formats::Posit8, Group<64>>("tapered");
  atlas.add<formats::DynamicSigned, Group<64>>("tapered");
  add_bits<Shifts, 3, 4>(atlas, "powers");
  atlas.add<formats::AdditivePowers<4>, Group<64>>("powers");
  atlas.add<formats::PowerExponent<4, 1, 2>, Group<64>>("powers");
  atlas.add<formats::PowerExponent<4, 3, 4>, Group<64>>("powers");

  add_bits<NormalFloats, 2, 3, 4, 5, 6>(atlas, "codebook");
  atlas.add<formats::AF4, Group<64>>("codebook");
  atlas.add<formats::BnbFp4, Group<64>>("codebook");
  atlas.add<formats::Iq4Nl, Group<64>>("codebook");
  add_bits<GaussianLevels, 2, 3, 4>(atlas, "codebook");
  atlas.add<Codebook<2, Group<128>>>("learned", "any2: a table per row, g128");
  atlas.add<Codebook<3, Group<128>>>("learned", "any3: a table per row, g128");
  atlas.add<Codebook<4, Group<128>>>("learned", "any4: a table per row, g128");
  atlas.add<Codebook<4, PerTensor>>("learned", "codebook4, per tensor");

  atlas.add<MxFp4>("block", "MXFP4");
  atlas.add<NvFp4>("block", "NVFP4");
  atlas.add<MxFp6E2M3>("block", "MXFP6 E2M3");
  atlas.add<MxFp6E3M2>("block", "MXFP6 E3M2");
  atlas.add<MxFp8E4M3>("block", "MXFP8 E4M3");
  atlas.add<MxFp8E5M2>("block", "MXFP8 E5M2");
  atlas.add<MxInt8>("block", "MXINT8");
  atlas.add<BlockFloat<4>>("block", "block float, 4 bits");
  atlas.add<Nf4Double<>>("block", "NF4, double quantization");
  atlas.add<SuperBlock<4>>("block", "uint4 under 6-bit scales");
  atlas.add<Progressive<>>("block", "int4 in int8 (QServe)");
  atlas.add<BestOf<Group<64>, formats::E2M1, formats::Int<4>, formats::E1M2, formats::E3M0>>("block",
                                                                                             "best of four, g64");
  atlas.add<BitMod<3, Group<64>>>("block", "BitMoD, 3 bits, g64");
  atlas.add<BitMod<4, Group<64>>>("block", "BitMoD, 4 bits, g64");
  if (csv) atlas.write_csv(argv[2]);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "format_atlas: %s\n", e.what());
  return 1;
}
