// io/: matrices in files of other programs.
#pragma once

#include "nibble/io/byte_reader.h"
#include "nibble/io/npy.h"
