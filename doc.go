// Package datablock exchanges data between the processes of one machine through shared memory, in a way that no crash can spoil: any process may be killed at any
// instruction, and the others carry on. One [Producer] writes messages into a named block; any number of consumers, in Go, C, C++ or Python, read them in place.
//
//	config := datablock.DefaultConfig(datablock.Ring)
//	config.SlotSize = 1 << 20
//	producer, err := datablock.OpenProducer("camera", config)
//	...
//	slot, err := producer.Claim(datablock.Forever)
//	...
//	err = producer.Commit(slot, copy(slot.Data(), image))
//
// and elsewhere
//
//	consumer, err := datablock.OpenConsumer("camera", datablock.ConsumerOptions{})
//	...
//	for message, err := range consumer.Messages(datablock.Forever) {
//		...
//	}
//
// # Three ways to write and to read
//
// The plain calls, [Producer.Claim] with [Producer.Commit] and [Consumer.Next] with [Consumer.Release], are the fastest. The transactions, [WithWriteTransaction],
// [WithReadTransaction] and [WithNextSlot], end by themselves what they began: an error from the function, or a panic in it, publishes nothing, and every slot is let
// go of. The guards, [WriteTransactionGuard] and [ReadTransactionGuard], are transactions for defer. The plain calls and the transactions allocate nothing while they succeed.
//
// # Rules for all of it
//
// Timeouts are the same everywhere: 0 does not wait, [Forever] waits without a limit, any other negative time is an error.
//
// A producer or consumer is for one goroutine at a time, which need not always be the same one. Only Interrupt and Name may be called from any: Interrupt makes waiting calls end.
//
// Data belongs to the block. A slot may be written from Claim to Commit or Abort, a message be read until it is released; afterwards the memory holds something
// else, and after Close nothing: copy what is to stay. A message is mapped read-only: writing to it ends the program.
//
// Errors are of type [*Error] and say what was wrong, with the values, and what to do. A program decides by their status:
//
//	if errors.Is(err, datablock.ErrTimeout) { ... }
//
// Begin a Config with [DefaultConfig]: what it sets is part of the block, so that a Config without it fits no block that was made with it.
//
// Several types, as [Metrics] and [Zone], are names for ones of internal/core, which has their fields: go doc datablock/internal/core.Metrics shows them.
//
// A call that fails has changed nothing unless it says otherwise. After Close every call fails: with [ErrClosed], or with [ErrInvalid] where it is about a slot.
//
// What nobody can protect against is somebody who truncates a block's files while they are in use: a load from what is no longer there ends the program, as with every mapped file.
package datablock
