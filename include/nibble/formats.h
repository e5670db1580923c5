// formats/: one number, from its code to its value and back.
#pragma once

#include "nibble/core.h"
#include "nibble/formats/codebook.h"
#include "nibble/formats/distributions.h"
#include "nibble/formats/format.h"
#include "nibble/formats/integer.h"
#include "nibble/formats/integer_view.h"
#include "nibble/formats/kmeans.h"
#include "nibble/formats/level_table.h"
#include "nibble/formats/levels.h"
#include "nibble/formats/lloyd_max.h"
#include "nibble/formats/minifloat.h"
#include "nibble/formats/normal_float.h"
#include "nibble/formats/tables_4bit.h"
