// Errors of low-bit matrices.
#pragma once

#include "nibble/metrics/compare.h"
