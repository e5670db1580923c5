// What must be fast: products of low-bit matrices, casts of arrays.
#pragma once

#include "nibble/kernels/cast.h"
#include "nibble/kernels/gemm.h"
