/*
 * datablock_recovery.hpp - diagnosis, repair and integrity of blocks, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * An older name of datablock/recovery.hpp. Includes all of datablock.hpp.
 */
#ifndef DATABLOCK_RECOVERY_HPP
#define DATABLOCK_RECOVERY_HPP

#include "datablock.hpp"

#endif /* DATABLOCK_RECOVERY_HPP */
