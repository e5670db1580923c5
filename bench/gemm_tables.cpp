#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_tables(const Settings& settings) {
  register_gemm<Nf4<64>>("nf4_g64", settings);
  register_gemm<Fp8E4M3<Group<32>>>("e4m3_g32", settings);
  register_gemm<Scheme<formats::Half, Group<32>>>("half_g32", settings);
  register_gemm<Codebook<4>>("codebook4_row", settings);
  register_gemm<Scheme<formats::Pair11, Group<32>>>("pair11_g32", settings);
}

}  // namespace nibble::bench
