// Every instruction set that has kernels: one line each.
#pragma once

#include "nibble/kernels/avx2/kernels.h"
#include "nibble/kernels/avx512/float.h"
#include "nibble/kernels/avx512/integer.h"
#include "nibble/kernels/portable/kernels.h"
