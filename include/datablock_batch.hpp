/*
 * datablock_batch.hpp - several messages in one call, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * An older name of datablock/batch.hpp. Includes all of datablock.hpp.
 */
#ifndef DATABLOCK_BATCH_HPP
#define DATABLOCK_BATCH_HPP

#include "datablock.hpp"

#endif /* DATABLOCK_BATCH_HPP */
