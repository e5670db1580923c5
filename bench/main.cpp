// nibble_bench: see README.md.
#include <nibble/core/isa.h>

#include <cstdio>
#include <cstring>

#include "families.h"

namespace {

using nibble::bench::Settings;
using nibble::bench::Shape;

/// Takes the options of this program out of the command line; false where one is malformed.
bool parse(int& argc, char** argv, Settings& settings) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&](const char* flag) -> const char* {
      return arg.rfind(flag, 0) == 0 ? argv[i] + std::strlen(flag) : nullptr;
    };
    char rest = 0;
    if (const char* seconds = value("--benchmark_min_time=")) {
      settings.seconds = std::strtod(seconds, nullptr);
    } else if (const char* shape = value("--shape=")) {
      Shape s{};
      if (std::sscanf(shape, "%tdx%tdx%td%c", &s.n, &s.k, &s.m, &rest) != 3 || s.n < 1 || s.k < 1 || s.m < 1)
        return false;
      settings.shapes.push_back(s);
    } else if (const char* threads = value("--threads=")) {
      int count = 0;
      if (std::sscanf(threads, "%d%c", &count, &rest) != 1 || count < 1) return false;
      settings.threads.push_back(count);
    } else if (arg == "--no_peers") {
      settings.peers = false;
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  static Settings settings;
  if (!parse(argc, argv, settings)) {
    std::fprintf(stderr,
                 "usage: nibble_bench [--shape=<N>x<K>x<M>]... [--threads=<t>]... [--no_peers] "
                 "[--benchmark_min_time=<seconds>] [--benchmark_...]\n");
    return 1;
  }
  if (settings.shapes.empty())
    for (std::ptrdiff_t n : {4096, 14336})
      for (std::ptrdiff_t m : {1, 8, 128, 512}) settings.shapes.push_back({n, 4096, m});
  if (settings.threads.empty()) {
    settings.threads = {1};
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    if (cores > 1) settings.threads.push_back(cores);
  }

  // A benchmark fills its time itself, in one call: the library must not repeat it until its own time is filled.
  std::vector<char*> args(argv, argv + argc);
  char once[] = "--benchmark_min_time=1e-9";
  args.push_back(once);
  int count = static_cast<int>(args.size());
  args.push_back(nullptr);
  benchmark::Initialize(&count, args.data());
  if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 1;
  benchmark::AddCustomContext("isa", nibble::name(nibble::resolve()));

  using namespace nibble::bench;
  register_limits(settings);
  register_quantize_activations(settings);
  register_cast(settings);
  register_hadamard(settings);
  register_rounding(settings);
  register_sparse(settings);
  register_gemm_int8(settings);
  register_gemm_int4(settings);
  register_gemm_float4(settings);
  register_gemm_odd_bits(settings);
  register_gemm_scales(settings);
  register_gemm_ternary(settings);
  register_gemm_binary(settings);
  register_gemm_tables(settings);
  const std::size_t run = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return run > 0 ? 0 : 1;
}
