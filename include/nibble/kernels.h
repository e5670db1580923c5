// Products of low-bit matrices.
#pragma once

#include "nibble/kernels/compounds.h"
#include "nibble/kernels/gemm.h"
