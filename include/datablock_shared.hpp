/*
 * datablock_shared.hpp - what the participants of a block share, for C++17: locks, the flexible
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * An older name of datablock/shared.hpp. Includes all of datablock.hpp.
 */
#ifndef DATABLOCK_SHARED_HPP
#define DATABLOCK_SHARED_HPP

#include "datablock.hpp"

#endif /* DATABLOCK_SHARED_HPP */
