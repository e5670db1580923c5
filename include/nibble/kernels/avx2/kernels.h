// AVX2
