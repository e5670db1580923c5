// Products of low-bit matrices.
#pragma once

#include "nibble/kernels/gemm.h"
