/*
 * datablock_observer.hpp - observing a block without taking part, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * An older name of datablock/observer.hpp. Includes all of datablock.hpp.
 */
#ifndef DATABLOCK_OBSERVER_HPP
#define DATABLOCK_OBSERVER_HPP

#include "datablock.hpp"

#endif /* DATABLOCK_OBSERVER_HPP */
