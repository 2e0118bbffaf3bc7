/*
 * datablock_schema.hpp - the schema of a struct, from the struct itself, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * An older name of datablock/schema.hpp. Includes all of datablock.hpp.
 */
#ifndef DATABLOCK_SCHEMA_HPP
#define DATABLOCK_SCHEMA_HPP

#include "datablock.hpp"

#endif /* DATABLOCK_SCHEMA_HPP */
