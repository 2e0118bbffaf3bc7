// Package datablock is a crash-safe, zero-copy channel in shared memory between the processes of
// one machine. One [Producer] publishes messages into a named block. Any number of consumers, in
// Go, C, C++ or Python, read the messages in place. Any process may be killed at any instruction,
// and the other processes continue.
//
//	config := datablock.DefaultConfig(datablock.Ring)
//	config.SlotSize = 1 << 20
//	producer, err := datablock.OpenProducer("camera", config)
//	...
//	slot, err := producer.Claim(datablock.Forever)
//	...
//	err = producer.Commit(slot, copy(slot.Data(), image))
//
// and in another process
//
//	consumer, err := datablock.OpenConsumer("camera", datablock.ConsumerOptions{})
//	...
//	for message, err := range consumer.Messages(datablock.Forever) {
//		...
//	}
//
// # Three ways to write and to read
//
// The plain calls are the fastest: [Producer.Claim] with [Producer.Commit], and [Consumer.Next]
// with [Consumer.Release].
//
// The transactions are [WithWriteTransaction], [WithReadTransaction] and [WithNextSlot]. They end
// what they began. If the function returns an error or panics, nothing is published and every slot
// is released.
//
// The guards, [WriteTransactionGuard] and [ReadTransactionGuard], are transactions for defer. The
// plain calls and the transactions allocate nothing while they succeed.
//
// # Rules for all calls
//
// Timeouts are the same everywhere: 0 does not wait, [Forever] waits without a limit, any other
// negative time is an error.
//
// A call without a timeout waits for no other participant, unless its description says so. It may
// make system calls.
//
// Only one goroutine at a time may use a producer, a consumer or an observer, and the slots and
// guards that come from it. It need not always be the same goroutine. Only Interrupt and Name may
// be called from any goroutine at any time. Interrupt makes waiting calls end. Every other function
// may be called from any goroutine. A value without methods that write may be read by several
// goroutines at a time.
//
// The block owns the data. A program may write to a slot from Claim to Commit or Abort, and may
// read a message until the release. Afterwards the memory holds other data, and after Close the
// memory is not mapped. Copy what the program needs for longer. Messages are mapped read-only: a
// write to a message ends the program.
//
// Errors are of type [*Error]. They say what was wrong, with the values, and what to do. A program
// decides by their status:
//
//	if errors.Is(err, datablock.ErrTimeout) { ... }
//
// Begin a Config with [DefaultConfig]. The values that DefaultConfig sets are part of the block, so
// that a Config without them does not fit a block that was made with them.
//
// A call that fails has changed nothing unless its description says otherwise. After Close every
// call fails with [ErrClosed], or with [ErrInvalid] if the call is about a slot.
//
// No library can protect a process whose block files are truncated while they are in use. A load
// from the missing part ends the program, as with every mapped file.
package datablock
