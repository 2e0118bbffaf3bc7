/*
 * datablock_wait.hpp - waiting on several blocks, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * An older name of datablock/wait.hpp. Includes all of datablock.hpp.
 */
#ifndef DATABLOCK_WAIT_HPP
#define DATABLOCK_WAIT_HPP

#include "datablock.hpp"

#endif /* DATABLOCK_WAIT_HPP */
