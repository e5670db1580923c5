// formats/: one number, from its code to its value and back.
#pragma once

#include "nibble/core.h"
#include "nibble/formats/best_of.h"
#include "nibble/formats/format.h"
#include "nibble/formats/integer.h"
#include "nibble/formats/integer_view.h"
#include "nibble/formats/levels.h"
#include "nibble/formats/minifloat.h"
