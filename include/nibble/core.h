// core/: errors, aligned storage, seeded random numbers, the parallel loop, instruction sets, scratch memory.
#pragma once

#include "nibble/core/aligned.h"
#include "nibble/core/error.h"
#include "nibble/core/isa.h"
#include "nibble/core/parallel.h"
#include "nibble/core/random.h"
#include "nibble/core/shared_progress.h"
#include "nibble/core/workspace.h"
