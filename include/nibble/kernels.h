// Products of low-bit matrices, casts of arrays, and the Hadamard transform.
#pragma once

#include "nibble/kernels/cast.h"
#include "nibble/kernels/compounds.h"
#include "nibble/kernels/lane_product.h"
#include "nibble/kernels/gemm.h"
#include "nibble/kernels/hadamard.h"
