// Every instruction set that has kernels: a line for each of its files.
#pragma once

#include "nibble/kernels/avx2/float.h"
#include "nibble/kernels/avx2/integer.h"
#include "nibble/kernels/avx512/float.h"
#include "nibble/kernels/avx512/integer.h"
#include "nibble/kernels/portable/kernels.h"
