// Products of low-bit matrices, and casts of arrays.
#pragma once

#include "nibble/kernels/cast.h"
#include "nibble/kernels/compounds.h"
#include "nibble/kernels/gemm.h"
